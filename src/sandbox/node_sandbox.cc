#include "sandbox/node_sandbox.h"

#include <csignal>

#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace saw::sandbox {
namespace {

// A pty master is /dev/ptmx of some devpts. Anything else that a saw-init hands over could block, or be a
// file of its choosing.
bool is_terminal_master(const Fd& fd) {
  constexpr unsigned kPtmxMajor = 5, kPtmxMinor = 2;
  struct stat info{};
  return ::fstat(fd.get(), &info) == 0 && S_ISCHR(info.st_mode) &&
         info.st_rdev == makedev(kPtmxMajor, kPtmxMinor);
}

}  // namespace

std::unique_ptr<RunningSandbox> RunningSandbox::open(os::Loop& loop, Peer peer, Callbacks callbacks) {
  std::unique_ptr<RunningSandbox> self(new RunningSandbox(loop, std::move(peer.init), peer.execs_below,
                                                          std::move(peer.probes), std::move(callbacks)));
  RunningSandbox* raw = self.get();  // link, watch and timer belong to it and end with it
  self->link_ =
      os::Link::open(loop, std::move(peer.channel),
                     {.on_message = [raw](std::string payload,
                                          std::vector<Fd> fds) { raw->on_message(payload, std::move(fds)); },
                      .on_close = [raw](const std::string& why) { raw->kill("lost saw-init: " + why); }});
  self->watch_ =
      loop.watch(raw->init_.pidfd(), os::Loop::kReadable, [raw](uint32_t) { raw->on_init_ended(); });
  self->hello_timer_ = loop.after(kHelloTimeoutMs, [raw] { raw->kill("saw-init did not say hello"); });
  return self;
}

void RunningSandbox::start_exec(uint64_t exec, const ExecSpec& spec, std::vector<Fd> stdio) {
  execs_.emplace(exec, Exec{.terminal = spec.terminal});
  link_->send(wire::encode(ToInit{StartCommand{.exec = exec,
                                               .argv = spec.argv,
                                               .environment = spec.environment,
                                               .directory = spec.directory,
                                               .terminal = spec.terminal,
                                               .rows = spec.rows,
                                               .columns = spec.columns}}),
              std::move(stdio));
}

void RunningSandbox::signal_exec(uint64_t exec, int32_t signal) {
  if (execs_.contains(exec)) link_->send(wire::encode(ToInit{SignalCommand{exec, signal}}));
}

void RunningSandbox::resize_exec(uint64_t exec, uint16_t rows, uint16_t columns) {
  if (execs_.contains(exec)) link_->send(wire::encode(ToInit{ResizeCommand{exec, rows, columns}}));
}

void RunningSandbox::kill(std::string reason) {
  // When init has ended by itself its exit status is the better reason.
  if (kill_reason_.empty() && !init_.has_ended()) kill_reason_ = std::move(reason);
  init_.kill(SIGKILL);
}

void RunningSandbox::on_init_ended() {
  watch_.cancel();
  hello_timer_.cancel();
  probe_timer_.cancel();
  link_.reset();
  const std::optional<int> status = init_.reap();
  auto gone = std::move(callbacks_.on_gone);
  gone(kill_reason_.empty() ? "saw-init " + os::describe_wait_status(status.value_or(0)) : kill_reason_);
}

void RunningSandbox::on_message(const std::string& payload, std::vector<Fd> fds) {
  auto message = wire::decode<FromInit>(payload);
  if (!message) return kill("saw-init sent a malformed message");
  auto handled = std::visit([&](const auto& body) { return handle(body, fds); }, *message);
  if (!handled) kill("saw-init misbehaved: " + handled.error().message);
}

Result<> RunningSandbox::handle(const InitHello& hello, std::vector<Fd>& fds) {
  if (said_hello_ || !fds.empty()) return Error::make("node.init", "a second hello");
  if (hello.running.size() > kMaxExecs)
    return Error::make("node.init", "{} running commands", hello.running.size());
  for (uint64_t exec : hello.running) {
    if (exec >= execs_below_) return Error::make("node.init", "a command that was never started");
    execs_.emplace(exec, Exec{.state = ExecState::running});
  }
  said_hello_ = true;
  hello_timer_.cancel();
  if (probes_)
    ask_for_probes(*probes_);
  else
    become_ready();
  return {};
}

void RunningSandbox::become_ready() {
  ready_ = true;
  callbacks_.on_ready();
}

void RunningSandbox::ask_for_probes(const ProbeSubject& subject) {
  probing_ = true;
  link_->send(wire::encode(ToInit{RunProbes{++probe_round_, subject}}));
  probe_timer_ = loop_.after(kProbeTimeoutMs, [this] { kill("saw-init did not run its probes"); });
}

Result<> RunningSandbox::prove(const ProbeSubject& subject) {
  if (!ready_ || probing_) return Error::make("node.busy", "the sandbox is being probed already");
  ask_for_probes(subject);
  return {};
}

Result<> RunningSandbox::handle(const ProbeReport& report, std::vector<Fd>& fds) {
  if (!probing_ || report.round != probe_round_ || !fds.empty())
    return Error::make("node.init", "a report that nobody asked for");
  probing_ = false;
  probe_timer_.cancel();
  if (auto judged = callbacks_.on_probed(report); !judged) {
    kill(judged.error().message);
    return {};
  }
  if (!ready_) become_ready();
  return {};
}

Result<> RunningSandbox::handle(const CommandStarted& started, std::vector<Fd>& fds) {
  const auto found = execs_.find(started.exec);
  if (!ready_ || found == execs_.end() || found->second.state != ExecState::requested)
    return Error::make("node.init", "a start that nobody asked for");
  if (fds.size() != (found->second.terminal ? 1u : 0u))
    return Error::make("node.init", "{} descriptors with a start", fds.size());
  if (found->second.terminal && !is_terminal_master(fds[0]))
    return Error::make("node.init", "a terminal that is none");
  found->second.state = ExecState::running;
  callbacks_.on_exec_started(started.exec, started.pid, fds.empty() ? Fd() : std::move(fds[0]));
  return {};
}

Result<> RunningSandbox::handle(const CommandEnded& ended, std::vector<Fd>& fds) {
  const auto found = execs_.find(ended.exec);
  if (!ready_ || found == execs_.end() || !fds.empty()) return Error::make("node.init", "an end of nothing");
  if (ended.started && found->second.state == ExecState::requested)
    return Error::make("node.init", "an end before the start");
  execs_.erase(found);
  callbacks_.on_exec_ended(ended.exec, ended);
  return {};
}

}  // namespace saw::sandbox

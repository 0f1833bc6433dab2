#include "saw-init/init.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/launch_child.h"
#include "saw-init/probes.h"

namespace saw::init {
namespace {

// Nothing that a sandbox runs exists before saw-node has recorded it and says so. The end of the pipe:
// saw-node is gone.
bool wait_for_release() {
  char byte = 0;
  ssize_t n;
  do n = ::read(sandbox::kInitGo, &byte, 1);
  while (n < 0 && errno == EINTR);
  ::close(sandbox::kInitGo);
  return n == 1;
}

}  // namespace

void serve_many(Fd children) {
  sandbox::report_built(sandbox::kInitReport);
  if (!wait_for_release()) ::_exit(1);
  ::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);  // from here on the sandbox survives saw-node
  auto ended = Init(Fd(sandbox::kInitControl), std::move(children)).run();
  ::_exit(ended ? 0 : 1);
}

Result<> Init::run() {
  while (true) SAW_TRY(wait_and_handle());
}

Result<> Init::wait_and_handle() {
  const short peer_events = static_cast<short>(outbox_.empty() ? POLLIN : POLLIN | POLLOUT);
  pollfd watched[] = {{children_.get(), POLLIN, 0},
                      {peer_ ? peer_->fd() : listener_.get(), peer_ ? peer_events : short{POLLIN}, 0}};
  if (::poll(watched, 2, -1) < 0) {
    if (errno == EINTR) return {};
    return Error::system("init.poll", "waiting");
  }
  if (watched[0].revents) collect();
  if (!watched[1].revents) return {};
  if (!peer_)
    accept_peer();
  else if (watched[1].revents & (POLLIN | POLLHUP | POLLERR))
    read_peer();
  flush();
  return {};
}

void Init::accept_peer() {
  Fd accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted) return;
  auto channel = os::Channel::adopt(std::move(accepted));
  if (!channel) return;
  peer_ = std::move(*channel);
  sandbox::InitHello hello{commands_.running()};
  // A command whose end was not told yet counts as running, so that the end is of something.
  for (const Outgoing& waiting : outbox_)
    if (const auto* ended = std::get_if<sandbox::CommandEnded>(&waiting.message))
      hello.running.push_back(ended->exec);
  outbox_.push_front({std::move(hello), {}});
}

void Init::drop_peer() {
  peer_.reset();
  std::erase_if(outbox_, [](const Outgoing& waiting) {
    return !std::holds_alternative<sandbox::CommandEnded>(waiting.message);
  });
}

void Init::read_peer() {
  auto got = peer_->receive();
  if (!got || got->state == os::Channel::State::closed) return drop_peer();
  if (got->state == os::Channel::State::empty) return;
  auto message = wire::decode<sandbox::ToInit>(got->payload);
  if (!message) return drop_peer();
  std::visit([&](const auto& body) { handle(body, std::move(got->fds)); }, *message);
}

void Init::handle(const sandbox::StartCommand& command, std::vector<Fd> fds) {
  auto started = commands_.start(command, std::move(fds));
  if (!started) return post(sandbox::CommandEnded{command.exec, false, started.error().os_errno});
  post(sandbox::CommandStarted{command.exec, started->pid}, std::move(started->terminal));
}

void Init::handle(const sandbox::RunProbes& request, std::vector<Fd>) {
  post(sandbox::ProbeReport{request.round, run_probes(request.subject)});
}

void Init::collect() {
  signalfd_siginfo ignored;
  while (::read(children_.get(), &ignored, sizeof ignored) > 0) {
  }
  while (auto ended = commands_.reap()) post(*ended);
  flush();
}

void Init::post(sandbox::FromInit message, Fd attached) {
  outbox_.push_back({std::move(message), std::move(attached)});
  if (outbox_.size() > kMaxOutbox) drop_peer();
}

void Init::flush() {
  while (peer_ && !outbox_.empty()) {
    const Outgoing& next = outbox_.front();
    const int fd = next.attached.get();
    auto sent = peer_->send(wire::encode(next.message), std::span(&fd, next.attached ? 1 : 0));
    if (!sent && sent.error().code == "channel.full") return;
    if (!sent) return drop_peer();
    outbox_.pop_front();
  }
}

}  // namespace saw::init

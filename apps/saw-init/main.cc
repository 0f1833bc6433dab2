// saw-init: first a mould (sandbox/mould_protocol.h), privileged, on whose requests from saw-node sandboxes
// are forked; in each fork, once it is confined for good, PID 1 of that sandbox. Inherited: 3, the channel to
// saw-node.
#include <algorithm>
#include <csignal>
#include <cstring>

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/process.h"
#include "sandbox/launch_child.h"
#include "saw-init/init.h"
#include "saw-init/once.h"

namespace saw::init {
namespace {

constexpr int kChannel = 3;

struct Request {
  sandbox::SandboxSpec spec;
  std::vector<Fd> fds;
};

void report(int socket, const sandbox::Report& what) {
  // saw-node may have given this one up; the others' mould goes on.
  [[maybe_unused]] ssize_t ignored = ::send(socket, &what, sizeof what, MSG_NOSIGNAL);
}

Result<sandbox::MouldState> read_mould(const os::Channel& channel) {
  auto got = SAW_TRY(channel.receive());
  if (got.state != os::Channel::State::message) return Error::make("init.mould", "no mould was asked for");
  sandbox::MouldState out{.spec = SAW_TRY(wire::decode_struct<sandbox::MouldSpec>(got.payload))};
  if (out.spec.filter.size() % sizeof(os::BpfInstruction) != 0)
    return Error::make("init.mould", "a filter of {} bytes", out.spec.filter.size());
  out.filter.resize(out.spec.filter.size() / sizeof(os::BpfInstruction));
  std::memcpy(out.filter.data(), out.spec.filter.data(), out.spec.filter.size());
  return out;
}

// From here on as PID 1 of the new sandbox; never returns to the mould's loop.
[[noreturn]] void become_sandbox(const sandbox::MouldState& mould, const Request& request) {
  std::vector<int> raw;
  raw.reserve(request.fds.size());
  for (const Fd& fd : request.fds) raw.push_back(fd.get());
  sandbox::confine(mould, request.spec, raw);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  Fd signals(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) ::_exit(1);
  if (request.spec.serve == sandbox::Serve::once) serve_once(request.spec, std::move(signals));
  serve_many(std::move(signals));
}

void make_sandbox(const sandbox::MouldState& mould, const sandbox::MouldFailure& unfit,
                  const Request& request) {
  const int socket = request.fds[0].get();
  if (unfit.error != 0)
    return report(socket, {.kind = sandbox::ReportKind::failed,
                           .stage = sandbox::Stage::mould_mounts,
                           .error = unfit.error,
                           .index = unfit.index});
  const int32_t pid = os::clone_sandbox();
  if (pid == 0) become_sandbox(mould, request);
  if (pid < 0)
    return report(socket,
                  {.kind = sandbox::ReportKind::failed, .stage = sandbox::Stage::clone, .error = -pid});
  report(socket, {.kind = sandbox::ReportKind::cloned, .pid = pid});
}

// Until saw-node closes the channel.
Result<> serve_as_mould(const os::Channel& channel) {
  const sandbox::MouldState mould = SAW_TRY(read_mould(channel));
  // A mould that could not be made answers every request with the reason.
  const sandbox::MouldFailure unfit = sandbox::build_mould(mould.spec);
  while (true) {
    auto got = SAW_TRY(channel.receive());
    if (got.state != os::Channel::State::message) return {};
    Request request{.spec = SAW_TRY(wire::decode_struct<sandbox::SandboxSpec>(got.payload)),
                    .fds = std::move(got.fds)};
    const size_t needed = sandbox::kFixedDescriptors + size_t{request.spec.mounts} +
                          (request.spec.serve == sandbox::Serve::once ? sandbox::kStreamDescriptors : 0) +
                          (request.spec.first == sandbox::First::runtime ? 1 : 0);
    if (request.fds.size() < needed)
      return Error::make("init.mould", "a request with {} descriptors", request.fds.size());
    make_sandbox(mould, unfit, request);
  }
}

}  // namespace
}  // namespace saw::init

int main() {
  // Nothing of this process is the agent's to look at, before or after.
  if (saw::os::die_with_parent() != 0 || saw::os::name_process("saw-init") != 0) return 1;
  auto channel = saw::os::Channel::adopt(saw::Fd(saw::init::kChannel));
  if (!channel || !saw::set_blocking(saw::Fd(::dup(channel->fd())), saw::Blocking::yes)) return 1;
  return saw::init::serve_as_mould(*channel) ? 0 : 1;
}

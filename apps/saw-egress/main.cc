// saw-egress --workspace ID: egress for one workspace. Descriptors from saw-node: 3 control link, 4 audit
// link (egress_protocol.h). It confines itself as soon as it is configured, and exits when either link
// closes.
#include <csignal>
#include <cstdio>
#include <string_view>

#include <sys/resource.h>

#include "base/log.h"
#include "egress/engine.h"
#include "os/confine.h"

namespace {

using namespace saw;

constexpr int kControlFd = 3, kAuditFd = 4, kUsage = 2;

// Secrets stay out of core files; confine() makes the process unreadable for others of its uid. No mlockall:
// after the capabilities are gone, RLIMIT_MEMLOCK would make later allocations fail.
void protect_memory() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

Result<> confine() {
  auto missing = SAW_TRY(os::confine_self({.sockets = os::SocketUse::inherited_only,
                                           .files = os::FileUse::none,
                                           .landlock = os::Requirement::best_effort}),
                         "confining saw-egress");
  for (const std::string& what : missing) log_warning("not available here: {}", what);
  return {};
}

Result<> run() {
  os::Loop loop = SAW_TRY(os::Loop::create());
  SystemClock clock;
  os::Channel control = SAW_TRY(os::Channel::adopt(Fd(kControlFd)), "control link");
  os::Channel audit = SAW_TRY(os::Channel::adopt(Fd(kAuditFd)), "audit link");
  std::string why;
  egress::Engine engine(loop, clock, {.on_configured = confine, .on_end = [&](std::string reason) {
                                        why = std::move(reason);
                                        loop.stop();
                                      }});
  engine.open(std::move(control), std::move(audit));
  loop.run();
  log_info("ends: {}", why);
  // No tidy end for what is in flight: closing the descriptors is what fails closed.
  std::fflush(nullptr);
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::string_view(argv[1]) != "--workspace") {
    std::fputs("usage: saw-egress --workspace ID    (started by saw-node)\n", stderr);
    return kUsage;
  }
  configure_log(fmt::format("saw-egress[{}]", argv[2]), LogLevel::info);
  std::signal(SIGPIPE, SIG_IGN);
  protect_memory();
  egress::prepare_tls();
  if (auto ended = run(); !ended) {
    log_error("{}", ended.error().message);
    return 1;
  }
  return 0;
}

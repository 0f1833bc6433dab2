// saw-perimeter --config FILE
//
// Started by saw-node with the control link from sawd on descriptor 3 and the audit link on 4. The only
// program of SAW that resolves names and opens upstream connections; what it does is src/egress/perimeter.h.
// SIGHUP reads the file again. It exits when either link ends (no authority outlives the control plane) and
// on SIGTERM; saw-node starts it again.
#include <csignal>
#include <cstdlib>
#include <string>

#include <sys/resource.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "egress/perimeter.h"
#include "os/confine.h"
#include "os/signals.h"

namespace {

using namespace saw;
using egress::PerimeterFile;

constexpr int kControlFd = 3, kAuditFd = 4;
constexpr const char* kResolvConf = "/etc/resolv.conf";
// Enough for every dial in flight (two questions each) and every client, where the hard limit allows it.
constexpr rlim_t kWantedFiles = 2 * egress::Perimeter::kMaxDialsInTotal + egress::Perimeter::kMaxClients + 64;

enum class Reload { done, needs_restart };

// The file and the name servers, read at start and on SIGHUP.
class Configuration {
 public:
  Configuration(std::string path, egress::Perimeter& perimeter, egress::OsNetwork& network)
      : path_(std::move(path)), perimeter_(perimeter), network_(network) {}

  Reload load() {
    auto text = read_file(path_, PerimeterFile::kMaxBytes);
    if (!text && text.error().os_errno == ENOENT) {
      log_warning("there is no '{}': every destination is refused", path_);
      return have_file_ = true, use({});
    }
    // Landlock admits the file that was there at start; a replacement under the same name takes a fresh
    // process to read.
    if (!text && have_file_ && text.error().os_errno == EACCES) return Reload::needs_restart;
    if (!text) return refuse(text.error().message);
    auto file = PerimeterFile::parse(*text, path_);
    if (file) return have_file_ = true, use(std::move(*file));
    for (const policy::Diagnostic& diagnostic : file.error()) log_error("{}", diagnostic.text());
    return refuse(file.error().empty() ? "unreadable" : file.error().front().text());
  }

 private:
  Reload use(PerimeterFile file) {
    std::vector<egress::SocketTarget> servers;
    if (const auto* fixed = std::get_if<egress::SocketTarget>(&file.resolver())) {
      servers = {*fixed};
    } else if (auto text = read_file(kResolvConf)) {
      servers = egress::parse_resolv_conf(*text);
    } else if (loaded_ && text.error().os_errno == EACCES) {
      return Reload::needs_restart;
    }
    if (servers.empty())
      log_warning("there is no name server in {}: only connectors and literals can be reached", kResolvConf);
    network_.set_servers(std::move(servers));
    log_info("{} entries, {} connectors, {} private ranges in force", file.allow().size(),
             file.connectors().size(), file.private_ranges().size());
    perimeter_.use(std::move(file));
    loaded_ = true;
    return Reload::done;
  }

  // The last good file stays in force; without one, everything is refused and says why.
  Reload refuse(const std::string& reason) {
    have_file_ = true;
    if (loaded_) {
      log_error("the perimeter file cannot be used; the one before stays in force: {}", reason);
    } else {
      log_error("the perimeter file cannot be used; every destination is refused: {}", reason);
      perimeter_.refuse_all(reason);
    }
    return Reload::done;
  }

  std::string path_;
  egress::Perimeter& perimeter_;
  egress::OsNetwork& network_;
  bool loaded_ = false;     // some file is in force
  bool have_file_ = false;  // the first load is over
};

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWantedFiles) return;
  limit.rlim_cur = std::min(kWantedFiles, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log_warning("only {} descriptors are allowed", limit.rlim_cur);
}

Result<> confine(const std::string& config) {
  auto missing = SAW_TRY(os::confine_self({.sockets = os::SocketUse::any,
                                           .files = os::FileUse::listed,
                                           .read = {config, kResolvConf},
                                           .landlock = os::Requirement::best_effort}));
  for (const std::string& feature : missing) log_warning("confined without {}", feature);
  return {};
}

void receive_control(egress::Perimeter& perimeter, os::Loop& loop, const std::string& payload,
                     std::vector<Fd> fds) {
  auto message = wire::decode<egress::ToPerimeter>(payload);
  if (!message || fds.size() != 1) {
    log_error("malformed message on the control link");
    return loop.stop();
  }
  auto& client = std::get<egress::AddClient>(*message);
  const std::string name = printable(client.workspace);
  auto channel = os::Channel::adopt(std::move(fds[0]));
  if (!channel) return log_error("the channel of workspace '{}': {}", name, channel.error().message);
  if (auto added = perimeter.add_client(std::move(client.workspace), std::move(*channel)); !added)
    return log_error("workspace '{}' is not served: {}", name, added.error().message);
  log_info("serving workspace '{}'", name);
}

Result<> serve(const std::string& config) {
  raise_file_limit();
  os::Channel control = SAW_TRY(os::Channel::adopt(Fd(kControlFd)), "the control link on descriptor 3");
  os::Channel audit_channel = SAW_TRY(os::Channel::adopt(Fd(kAuditFd)), "the audit link on descriptor 4");
  os::Loop loop = SAW_TRY(os::Loop::create());
  SystemClock clock;
  egress::OsNetwork network(loop, {});
  auto stop = [&loop](const std::string& why) { log_info("stopping: {}", why), loop.stop(); };
  egress::PerimeterAudit audit(loop, std::move(audit_channel), stop);
  egress::Perimeter perimeter(loop, clock, network, audit);
  Configuration configuration(config, perimeter, network);
  configuration.load();
  auto signals = SAW_TRY(os::Signals::open(loop, {SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (signal != SIGHUP) return stop("asked to");
    if (configuration.load() == Reload::needs_restart)
      stop("the file was replaced; a fresh process reads it");
  }));
  SAW_TRY(confine(config), "confining itself");
  auto link = os::Link::open(
      loop, std::move(control),
      {.on_message = [&](std::string payload,
                         std::vector<Fd> fds) { receive_control(perimeter, loop, payload, std::move(fds)); },
       .on_close = stop});
  loop.run();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  configure_log("saw-perimeter", LogLevel::info);
  constexpr int kUsage = 2;
  if (argc != 3 || std::string_view(argv[1]) != "--config") {
    log_error("usage: saw-perimeter --config FILE; started by saw-node");
    return kUsage;
  }
  auto served = serve(argv[2]);
  if (!served) log_error("{}", served.error().message);
  return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

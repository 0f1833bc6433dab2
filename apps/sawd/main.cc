// sawd: the control plane's process. Wiring only: keys, store, audit log, the link to saw-node, the API.
//
//   sawd --dir DIR [--socket-path PATH]     DIR/control is its own; DIR/perimeter.yaml is read for the
//   operator's CAs, DIR/channels.yaml for the release channels; PATH is for messages
//
// Inherited: fd 3 is the link to saw-node, fd 4 the listening API socket. It ends when the link does;
// saw-node starts the next one.
#include <csignal>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "api/server.h"
#include "base/file.h"
#include "base/log.h"
#include "control/audit_log_sink.h"
#include "control/control.h"
#include "egress/perimeter_file.h"
#include "os/confine.h"
#include "store/sqlite_store.h"

namespace {

using namespace saw;

constexpr int kNodeLink = 3, kApiListener = 4;
constexpr const char* kSystemCaBundle = "/etc/ssl/certs/ca-certificates.crt";

struct Options {
  std::string directory, socket_path;
};

Result<Options> parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
      options.directory = argv[++i];
    else if (std::strcmp(argv[i], "--socket-path") == 0 && i + 1 < argc)
      options.socket_path = argv[++i];
    else
      return Error::make("usage", "unknown argument '{}'; usage: sawd --dir DIR [--socket-path PATH]",
                         argv[i]);
  }
  if (options.directory.empty()) return Error::make("usage", "usage: sawd --dir DIR [--socket-path PATH]");
  return options;
}

// The system's CAs and the operator's. A host without CAs, or a perimeter file that cannot be read, gives
// less trust, never more.
control::HostFacts host_facts(const std::string& directory) {
  control::HostFacts facts;
  if (auto bundle = read_file(kSystemCaBundle))
    facts.system_ca_bundle = facts.upstream_trust = std::move(*bundle);
  else
    log_warning("no system CAs: {}", bundle.error().message);
  const std::string path = directory + "/perimeter.yaml";
  if (::access(path.c_str(), F_OK) != 0) return facts;
  auto text = read_file(path, egress::PerimeterFile::kMaxBytes);
  if (!text) return log_warning("the operator's CAs are not trusted: {}", text.error().message), facts;
  auto file = egress::PerimeterFile::parse(*text, path);
  if (!file) return log_warning("the operator's CAs are not trusted: {}", file.error().front().text()), facts;
  for (const std::string& pem : file->trust()) {
    auto certificates = read_file(pem);
    if (certificates)
      facts.upstream_trust += "\n" + *certificates;
    else
      log_warning("an operator's CA is not trusted: {}", certificates.error().message);
  }
  return facts;
}

// No file: no channels. One that cannot be used is told, and its channels' workspaces stay shut off.
control::ReleaseSetup release_setup(const std::string& directory) {
  const std::string path = directory + "/channels.yaml";
  if (::access(path.c_str(), F_OK) != 0) return {};
  auto setup = control::read_release_setup(path);
  if (setup) return std::move(*setup);
  control::ReleaseSetup none;
  none.problem = setup.error().message;
  return none;
}

// Everything is open, or lies below its own directory or the trees of releases.
Result<> confine(const std::string& control_directory, const control::ReleaseSetup& releases) {
  std::vector<std::string> trees;
  trees.reserve(releases.trees.size());
  for (const auto& [channel, tree] : releases.trees) trees.push_back(tree);
  auto missing = SAW_TRY(os::confine_self({.sockets = os::SocketUse::inherited_only,
                                           .files = os::FileUse::listed,
                                           .read = std::move(trees),
                                           .write = {control_directory},
                                           .landlock = os::Requirement::best_effort}));
  for (const std::string& what : missing) log_warning("this host cannot confine sawd fully: {}", what);
  return {};
}

Result<> run(const Options& options) {
  const std::string directory = options.directory + "/control", audit_directory = directory + "/audit";
  SAW_TRY(make_directories(directory, 0700));
  control::HostFacts facts = host_facts(options.directory);
  facts.ledgers = directory + "/allowance";
  control::Keys keys = SAW_TRY(control::Keys::open(directory + "/keys"));
  auto store = SAW_TRY(store::SqliteStore::open(directory + "/saw.db"));
  os::Loop loop = SAW_TRY(os::Loop::create());
  os::Channel node = SAW_TRY(os::Channel::adopt(Fd(kNodeLink)), "the link to saw-node");
  control::ReleaseSetup releases = release_setup(options.directory);
  SAW_TRY(confine(directory, releases));

  const SystemClock clock;
  std::string lost;
  auto control = SAW_TRY(control::Control::create(
      {.loop = loop,
       .clock = clock,
       .store = *store,
       .keys = keys,
       .open_audit =
           [&] { return control::open_audit_log(loop, audit_directory, keys.audit_origin, keys.audit_seed); },
       .audit_directory = audit_directory,
       .host = std::move(facts),
       .releases = std::move(releases),
       .on_node_lost = [&](std::string why) { lost = std::move(why), loop.stop(); }},
      std::move(node)));
  api::Server server(loop, *control, Fd(kApiListener));
  log_info("serving the API at {}", options.socket_path);
  server.run();
  return Error::make("node.lost", "saw-node is gone: {}", lost);
}

}  // namespace

int main(int argc, char** argv) {
  configure_log("sawd", LogLevel::info);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(0077);
  auto options = parse_options(argc, argv);
  if (!options) {
    log_error("{}", options.error().message);
    return 2;
  }
  auto result = run(*options);
  log_error("{}", result.error().message);
  return 1;
}

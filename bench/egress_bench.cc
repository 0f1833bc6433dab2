// What judging what leaves costs: a client inside a sandbox, saw-egress and saw-perimeter of a whole SAW, nginx as
// the origin on loopback; against the same client outside, directly and through nginx as a plain proxy.
//
//   egress_bench [BLOCKS [SECONDS [SECTION]]]      5 blocks of 1 s for every row, in turn; as root. SECTION: only
//                                                  those whose names contain it
//
// Every contender runs one block, then every one the next, so that a slow moment of the machine meets them all.
// The client is this program itself ("egress_bench client …"), the same on both sides.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "support/figures.h"
#include "support/http_load.h"
#include "support/installation.h"
#include "support/web_origin.h"

extern char** environ;

namespace {

using namespace saw;
using namespace saw::bench;
using Door = WebOrigin::Door;

constexpr const char *kHost = "api.bench.example", *kPassed = "passed.bench.example";
constexpr uint16_t kRawPort = 9000;
constexpr int kIdleClients = 2, kIdleConnections = 500;
constexpr size_t kMaxOutput = 256u << 20;

// A program with pipes to and from it.
class Piped {
 public:
  static Result<Piped> start(const Command& command) {
    Pipe in = SAW_TRY(Pipe::create()), out = SAW_TRY(Pipe::create());
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
    std::vector<char*> argv;
    for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    Piped made;
    const int failed = ::posix_spawnp(&made.pid_, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed) return Error::make("bench.spawn", "starting '{}': {}", command[0], std::strerror(failed));
    made.in_ = std::move(in.write);
    made.out_ = std::move(out.read);
    return made;
  }
  Result<> wait_for_word() {
    char byte;
    while (::read(out_.get(), &byte, 1) == 1)
      if (byte == '\n') return {};
    return Error::make("bench.client", "the client ended before it was ready");
  }
  Result<std::string> finish() {
    in_.reset();
    std::string output = SAW_TRY(read_all(out_, kMaxOutput));
    int status = 0;
    ::waitpid(pid_, &status, 0);
    SAW_TRY(expect_success(pid_, status));
    return output;
  }

 private:
  pid_t pid_ = -1;
  Fd in_, out_;
};

std::string policy(const std::string& programs) {
  return fmt::format(R"(apiVersion: saw/v1
kind: Policy
metadata: {{name: bench}}
profile: local
isolation: namespace
filesystem:
  read: [/usr, /lib, /lib64, /bin, /sbin, /etc/alternatives, /etc/ssl, {0}]
  write: [/workspace, /home/agent, /tmp]
process:
  limits: {{memory: 512MiB, pids: 128, openFiles: 4096}}
network:
  - name: plain
    to: {{hosts: [{1}], ports: [80]}}
    tls: none
    allow: [{{methods: [GET], paths: ["/", "/big"]}}]
  - name: inspected
    to: {{hosts: [{1}], ports: [443]}}
    allow: [{{methods: [GET], paths: ["/", "/big"]}}]
  - name: raw
    to: {{hosts: [{1}], ports: [{3}]}}
    protocol: tcp
    allow: all
  - name: passed
    to: {{hosts: [{2}], ports: [443]}}
    tls: passthrough
    allow: all
)",
                     programs, kHost, kPassed, kRawPort);
}

std::string perimeter(const WebOrigin& web) {
  const auto connector = [&](const char* host, int port, Door door) {
    return fmt::format("  - {{host: {}, port: {}, to: \"127.0.0.1:{}\"}}\n", host, port, web.port(door));
  };
  return fmt::format("apiVersion: saw/v1\nkind: Perimeter\ntrust: [{}]\nconnectors:\n{}{}{}{}",
                     web.certificate(), connector(kHost, 80, Door::origin_plain),
                     connector(kHost, 443, Door::origin_tls), connector(kHost, kRawPort, Door::origin_plain),
                     connector(kPassed, 443, Door::origin_tls));
}

// Who carries a request. `load` becomes the one that leads there.
struct Way {
  std::string name;
  enum class Through : uint8_t { nothing, nginx, saw } through;
};
const std::vector<Way> kWays = {{"direct", Way::Through::nothing},
                                {"nginx as a plain proxy", Way::Through::nginx},
                                {"saw", Way::Through::saw}};

class Egress {
 public:
  Egress(Installation& saw, WebOrigin& web, std::string program, Report& report, int blocks,
         std::string wanted)
      : saw_(saw),
        web_(web),
        program_(std::move(program)),
        report_(report),
        blocks_(blocks),
        wanted_(std::move(wanted)) {}

  // The section's rows: every way that leads there, block by block.
  struct Section {
    std::string name;
    Load load;
    std::vector<Way> ways = kWays;
  };

  Result<> measure(const Section& section) {
    if (section.name.find(wanted_) == std::string::npos) return {};
    std::map<std::string, LoadResult> sums;
    for (int block = 0; block < blocks_; ++block)
      for (const Way& way : section.ways) {
        const LoadResult got =
            SAW_TRY(run(section.load, way), fmt::format("'{}' of '{}'", way.name, section.name));
        Row& row = report_.row(section.name, way.name);
        row.micros.insert(row.micros.end(), got.micros.begin(), got.micros.end());
        sums[way.name].per_second += got.per_second / blocks_;
        sums[way.name].mib_a_second += got.mib_a_second / blocks_;
      }
    const bool bulk = section.load.kind == Load::Kind::bulk;
    if (section.load.speaks == Load::Speaks::tls && !bulk)
      for (const char* peer : {"squid with ssl-bump", "mitmproxy"})
        report_.row(section.name, peer).note = "not compared: this bench starts neither";
    for (const Way& way : section.ways) {
      const LoadResult& sum = sums[way.name];
      report_.amount({.section = section.name + ": throughput",
                      .name = way.name,
                      .unit = bulk ? "MiB/s" : "requests/s",
                      .value = bulk ? sum.mib_a_second : sum.per_second});
    }
    compare(section, sums, bulk);
    return {};
  }

  Result<> memory();

 private:
  Load led(Load load, const Way& way) const {
    if (way.through == Way::Through::saw) return load;
    const bool tls = load.speaks == Load::Speaks::tls;
    load.address = "127.0.0.1";
    load.host = kHost;
    load.port = way.through == Way::Through::nginx ? web_.port(tls ? Door::proxy_tls : Door::proxy_plain)
                                                   : web_.port(tls ? Door::origin_tls : Door::origin_plain);
    return load;
  }

  Command command(const Load& load, const Way& way) const {
    Command client = client_command(program_, led(load, way));
    if (way.through != Way::Through::saw) {
      client.insert(client.begin(), {"env", "SSL_CERT_FILE=" + web_.certificate()});
      return client;
    }
    if (load.host == kPassed) {  // the origin's own certificate comes through
      std::ifstream in(web_.certificate());
      const std::string certificate(std::istreambuf_iterator<char>(in), {});
      client.insert(
          client.begin(),
          {"sh", "-c", "printf %s \"$0\" >/tmp/ca.pem; SSL_CERT_FILE=/tmp/ca.pem exec \"$@\"", certificate});
    }
    client.insert(client.begin(), {"run", "dev", "--"});
    return saw_.command(client);
  }

  Result<LoadResult> run(const Load& load, const Way& way) const {
    Piped client = SAW_TRY(Piped::start(command(load, way)));
    return parse_result(SAW_TRY(client.finish()));
  }

  void compare(const Section& section, std::map<std::string, LoadResult>& sums, bool bulk) {
    const LoadResult& own = sums["saw"];
    for (const Way& way : section.ways) {
      if (way.through == Way::Through::saw) continue;
      const LoadResult& other = sums[way.name];
      const double share = bulk ? own.mib_a_second / other.mib_a_second : own.per_second / other.per_second;
      report_.amount({.section = section.name + ": throughput",
                      .name = "saw against " + way.name,
                      .unit = "×",
                      .value = share});
      const double added = percentiles(report_.row(section.name, "saw").micros).median -
                           percentiles(report_.row(section.name, way.name).micros).median;
      if (!bulk)
        report_.amount({.section = section.name + ": throughput",
                        .name = "added at the median to " + way.name,
                        .unit = "µs",
                        .value = added});
    }
  }

  Installation& saw_;
  WebOrigin& web_;
  std::string program_;
  Report& report_;
  int blocks_;
  std::string wanted_;
};

std::string field_of(const std::string& path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) return line.substr(name.size());
  return {};
}

// The saw-egress that descends from this program; 0 where none does.
int32_t find_egress() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string status = entry.path().string() + "/status";
    if (field_of(status, "Name:\t") != "saw-egress") continue;
    for (int pid = std::atoi(entry.path().filename().c_str()), up = pid; up > 1;
         up = std::atoi(field_of(fmt::format("/proc/{}/status", up), "PPid:\t").c_str()))
      if (up == ::getpid()) return pid;
  }
  return 0;
}

struct Held {
  double rss_kib = 0, private_kib = 0;
};
Held held_by(int32_t pid) {
  const std::string rollup = fmt::format("/proc/{}/smaps_rollup", pid);
  const auto kib = [&](const char* name) { return std::atof(field_of(rollup, name).c_str()); };
  return {.rss_kib = kib("Rss:"), .private_kib = kib("Private_Dirty:") + kib("Private_Clean:")};
}

Result<> Egress::memory() {
  const std::string section = "memory of saw-egress";
  if (section.find(wanted_) == std::string::npos) return {};
  const Way saw{"saw", Way::Through::saw};
  const int32_t pid = find_egress();
  if (pid == 0) return Error::make("bench.egress", "no saw-egress runs below this program");
  const Held before = held_by(pid);  // what a round leaves to the allocator, the next one uses
  for (const auto speaks : {Load::Speaks::plain, Load::Speaks::tls}) {
    const bool tls = speaks == Load::Speaks::tls;
    if (!tls) {
      report_.amount({.section = section, .name = "idle: resident", .unit = "KiB", .value = before.rss_kib});
      report_.amount(
          {.section = section, .name = "idle: its own", .unit = "KiB", .value = before.private_kib});
    }
    const Load load{.kind = Load::Kind::idle,
                    .speaks = speaks,
                    .host = kHost,
                    .port = static_cast<uint16_t>(tls ? 443 : 80),
                    .connections = kIdleConnections};
    std::vector<Piped> clients;
    for (int i = 0; i < kIdleClients; ++i) {  // one sandbox may have no more at a time
      clients.push_back(SAW_TRY(Piped::start(command(load, saw))));
      SAW_TRY(clients.back().wait_for_word());
    }
    const Held with = held_by(pid);
    for (Piped& client : clients) SAW_TRY(client.finish());
    constexpr int kAll = kIdleClients * kIdleConnections;
    report_.amount({.section = section,
                    .name = fmt::format("an idle connection, {} (of {})", tls ? "TLS" : "plain", kAll),
                    .unit = "KiB",
                    .value = (with.private_kib - before.private_kib) / kAll});
  }
  return {};
}

Result<> run(int blocks, double seconds, const std::string& wanted) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  auto web = SAW_TRY(WebOrigin::start({kHost, kPassed}));
  auto saw = SAW_TRY(Installation::start(perimeter(*web)));
  SAW_TRY(saw->ask("POST", "/v1/workspaces", workspace_spec("dev", policy(program.parent_path().string()))));
  Report report(
      {.bench = "egress",
       .method = fmt::format("GET of 1 KiB from nginx on loopback, {} blocks of {} s in turn; saw: a "
                             "client in a sandbox, local profile with its audit log",
                             blocks, seconds)});
  Egress egress(*saw, *web, program.string(), report, blocks, wanted);
  const auto tls = Load::Speaks::tls;
  const Load plain{.host = kHost, .port = 80, .seconds = seconds};
  const Load inspected{.speaks = tls, .host = kHost, .port = 443, .seconds = seconds};
  const auto with = [](Load load, auto change) { return change(load), load; };
  SAW_TRY(egress.measure({"plain HTTP, 1 client", plain}));
  SAW_TRY(egress.measure({"plain HTTP, 16 clients", with(plain, [](Load& l) { l.connections = 16; })}));
  SAW_TRY(egress.measure({"TLS inspected, 1 client", inspected}));
  SAW_TRY(
      egress.measure({"TLS inspected, 16 clients", with(inspected, [](Load& l) { l.connections = 16; })}));
  SAW_TRY(egress.measure({"new plain connection", with(plain, [](Load& l) { l.kind = Load::Kind::fresh; })}));
  SAW_TRY(egress.measure(
      {"new inspected TLS connection", with(inspected, [](Load& l) { l.kind = Load::Kind::fresh; })}));
  const Load bulk = with(plain, [](Load& l) { l.kind = Load::Kind::bulk, l.path = "/big"; });
  SAW_TRY(egress.measure({"64 MiB through protocol: tcp", with(bulk, [](Load& l) { l.port = kRawPort; })}));
  SAW_TRY(egress.measure({"64 MiB through tls: passthrough",
                          with(bulk, [&](Load& l) { l.speaks = tls, l.port = 443, l.host = kPassed; })}));
  SAW_TRY(egress.measure({"64 MiB through judged HTTP", bulk}));
  SAW_TRY(egress.measure(
      {"64 MiB through judged TLS", with(bulk, [&](Load& l) { l.speaks = tls, l.port = 443; })}));
  SAW_TRY(egress.memory());
  report.print();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "client") return run_client({argv + 2, argv + argc});
  const int blocks = argc > 1 ? std::atoi(argv[1]) : 5;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1;
  if (blocks <= 0 || seconds <= 0)
    return std::fputs("usage: egress_bench [BLOCKS [SECONDS [SECTION]]]\n", stderr), 2;
  if (auto done = run(blocks, seconds, argc > 3 ? argv[3] : ""); !done) {
    std::fprintf(stderr, "egress_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}

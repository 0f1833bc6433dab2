// Durable audit events per second: the log by group size, against an fsync per event on a plain file, against
// SQLite (WAL, synchronous=FULL). All in one run and interleaved, so that a neighbour's load hits each alike.
//
// Then what reading costs: verification, size over the raw lines, and proofs from a log of ENTRIES short events.
//
//   audit_bench [DIRECTORY] [SECONDS] [ENTRIES]   DIRECTORY: on the disk to measure (default: the current one)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "audit/event.h"
#include "audit/log.h"
#include "audit/proof.h"
#include "base/fd.h"

namespace {

using namespace saw;
using Steady = std::chrono::steady_clock;

std::string event() {
  audit::HttpActivity e;
  e.time = SystemClock().now();
  e.layer = audit::Layer::runtime;
  e.verdict = audit::Verdict::allowed;
  e.who = {"uid:1000",     "ag-abcdefghij", "ws-abcdefghij", "dev",
           "s-abcdefghij", "c-abcdefghij",  "rc-abcdefghij", "4bf92f3577b34da6a3ce929d0e0e4736"};
  e.rule = "network.source-control.allow[0]";
  e.policy_digest = "sha256:" + std::string(64, 'a');
  e.method = "GET", e.scheme = "https", e.host = "git.acme.example",
  e.target = "/repos/acme/app/info/refs?service=git-upload-pack";
  e.port = 443, e.status = 200;
  return audit::http_activity(e);
}

// One way of recording `count` events; its latencies.
struct Contender {
  std::string name;
  size_t count;
  std::function<void(size_t)> record;
  std::vector<double> us;

  void run(Steady::duration slice) {
    for (auto end = Steady::now() + slice; Steady::now() < end;) {
      auto start = Steady::now();
      record(count);
      us.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
    }
  }
  void report() {
    std::ranges::sort(us);
    double total = 0;
    for (double u : us) total += u;
    auto at = [&](double q) { return us[static_cast<size_t>(q * static_cast<double>(us.size() - 1))]; };
    std::printf("%-28s %8.0f events/s   per commit: p50 %7.0f  p95 %7.0f  p99 %7.0f µs   n %zu\n",
                name.c_str(), static_cast<double>(us.size() * count) / total * 1e6, at(.5), at(.95), at(.99),
                us.size());
  }
};

void must(Result<> r) {
  if (!r) std::fprintf(stderr, "%s\n", r.error().message.c_str()), std::exit(1);
}
template <class T> T must(Result<T> r) {
  if (!r) std::fprintf(stderr, "%s\n", r.error().message.c_str()), std::exit(1);
  return std::move(*r);
}

class Sqlite {
 public:
  explicit Sqlite(const std::string& path) {
    sqlite3_open(path.c_str(), &db_);
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=FULL");
    execute("CREATE TABLE log(id INTEGER PRIMARY KEY, event TEXT)");
    sqlite3_prepare_v2(db_, "INSERT INTO log(event) VALUES(?)", -1, &insert_, nullptr);
  }
  ~Sqlite() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  void record(size_t count, const std::string& line) {
    execute("BEGIN");
    for (size_t i = 0; i < count; ++i) {
      sqlite3_bind_text(insert_, 1, line.data(), static_cast<int>(line.size()), SQLITE_STATIC);
      sqlite3_step(insert_);
      sqlite3_reset(insert_);
    }
    execute("COMMIT");
  }

 private:
  void execute(const char* sql) { sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); }
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

void report_size(const std::string& log, uint64_t raw) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(log))
    if (file.is_regular_file() && file.path().filename() != "journal") bytes += file.file_size();
  std::printf("on disk without the journal   %6.1f %% over the raw lines, %lu bytes; the journal %lu\n",
              100.0 * (static_cast<double>(bytes) / static_cast<double>(raw) - 1), bytes,
              std::filesystem::file_size(log + "/journal"));
}

void time_proofs(const std::string& folder, uint64_t entries) {
  auto key = [] { return must(SigningKey::from_seed(std::string(32, 'b'))); };
  {
    audit::Log log = must(audit::Log::open(folder + "/proofs", "bench/proofs", key()));
    for (uint64_t n = 0; n < entries;) {
      std::vector<std::string> lines;
      for (; n < entries && lines.size() < 65'536; ++n)
        lines.push_back(R"({"call":"c-)" + std::to_string(n) +
                        R"(","hostname":"h.example","session":"s-1"})");
      must(log.append(lines));
    }
  }
  const audit::LogSigner signer{"bench/proofs", key().public_key()};
  std::vector<double> us;
  size_t bytes = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto start = Steady::now();
    bytes = must(audit::prove_inclusion(folder + "/proofs", signer, i * 7'919'113 % entries)).size();
    us.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
  }
  std::ranges::sort(us);
  std::printf("inclusion proof of %lu       p50 %.0f  p95 %.0f µs, %zu bytes\n", entries, us[100], us[190],
              bytes);
  const auto start = Steady::now();
  bytes = must(audit::prove_absence(folder + "/proofs", signer, {"session", "s-1", "evil.example"})).size();
  std::printf("absence proof of %lu         %.2f s, %zu bytes\n", entries,
              std::chrono::duration<double>(Steady::now() - start).count(), bytes);
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder = (argc > 1 ? std::string(argv[1]) : ".") + "/audit-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return std::perror(folder.c_str()), 1;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 10;
  const std::string line = event();
  auto key = [] { return must(SigningKey::from_seed(std::string(32, 'b'))); };
  audit::Log one = must(audit::Log::open(folder + "/one", "bench/one", key())),
             group = must(audit::Log::open(folder + "/group", "bench/group", key())),
             large = must(audit::Log::open(folder + "/large", "bench/large", key())),
             wait = must(audit::Log::open(folder + "/wait", "bench/wait", key())),
             flood = must(audit::Log::open(folder + "/flood", "bench/flood", key()));
  Sqlite sqlite_one(folder + "/one.db"), sqlite_group(folder + "/group.db");
  Fd file = must(Fd::open(folder + "/plain", O_WRONLY | O_CREAT | O_APPEND));
  auto log_to = [&](audit::Log& log) {
    return [&](size_t n) { must(log.append(std::vector<std::string>(n, line))); };
  };
  // As sawd's writer does under load: readers see the events a few batches later.
  size_t batches = 0;
  auto record_to = [&](audit::Log& log) {
    return [&](size_t n) {
      must(log.record(std::vector<std::string>(n, line)));
      if (++batches % 4 == 0) must(log.publish());
    };
  };

  std::vector<Contender> contenders;
  contenders.push_back({"file, fdatasync per event",
                        1,
                        [&](size_t) { (void)write_all(file, line), ::fdatasync(file.get()); },
                        {}});
  contenders.push_back({"SQLite WAL FULL, 1", 1, [&](size_t n) { sqlite_one.record(n, line); }, {}});
  contenders.push_back(
      {"SQLite WAL FULL, groups of 32", 32, [&](size_t n) { sqlite_group.record(n, line); }, {}});
  contenders.push_back({"Merkle log, 1", 1, log_to(one), {}});
  contenders.push_back({"Merkle log, groups of 32", 32, log_to(group), {}});
  contenders.push_back({"Merkle log, groups of 256", 256, log_to(large), {}});
  contenders.push_back({"Merkle log, record only, 1", 1, [&](size_t) { must(wait.record({&line, 1})); }, {}});
  contenders.push_back({"Merkle log, record, 4096", 4096, record_to(flood), {}});
  constexpr int kRounds = 10;
  const auto slice = std::chrono::duration_cast<Steady::duration>(
      std::chrono::duration<double>(seconds / kRounds / static_cast<double>(contenders.size())));
  for (int round = 0; round < kRounds; ++round)
    for (Contender& c : contenders) c.run(slice);
  std::printf("events of %zu bytes, %d rounds, interleaved\n", line.size(), kRounds);
  for (Contender& c : contenders) c.report();

  auto start = Steady::now();
  constexpr int kEvents = 20'000;
  size_t bytes = 0;
  for (int i = 0; i < kEvents; ++i) bytes += event().size();
  std::printf("rendering an event            %6.1f µs\n",
              std::chrono::duration<double, std::micro>(Steady::now() - start).count() / kEvents);
  must(flood.publish());
  start = Steady::now();
  const std::clock_t cpu_start = std::clock();
  auto report =
      audit::verify(folder + "/flood", "bench/flood", key().public_key(), audit::JournalNeed::required);
  const double took = std::chrono::duration<double>(Steady::now() - start).count();
  // CPU time says what an idle machine would do, where neighbours take their share of the clock.
  const double cpu = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  std::printf("verifying %lu entries          %6.0f entries/s, %6.0f by CPU time, %s\n",
              static_cast<unsigned long>(report.entries), static_cast<double>(report.entries) / took,
              static_cast<double>(report.entries) / cpu, report.ok ? "ok" : report.problem.c_str());
  report_size(folder + "/flood", report.entries * (line.size() + 1));
  time_proofs(folder, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 100'000);
  std::filesystem::remove_all(folder);
  return bytes > 0 && report.ok ? 0 : 1;
}

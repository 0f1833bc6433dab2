// How long Policy::decide() takes with 10, 1,000 and 10,000 rules, against reading the rules one by one.
//
//   decide_bench            a table: median, p95, p99 in ns, n, and the ratio of the medians
//
// Two shapes of policy: all rules in one entry (path index), and one host per rule (host index). Each sample
// is the mean of kBatch decisions of a mix of hits and misses, so that the clock's own cost does not count.
// The linear matcher gets its requests already canonical and compares host, port, method and globs only: a
// lower bound for what it replaces.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "policy/glob.h"
#include "policy/policy.h"

namespace {
size_t allocations = 0;
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  void* p = std::malloc(size);
  if (p == nullptr) std::abort();
  return p;
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}

namespace {

using namespace saw::policy;
constexpr int kSamples = 2000, kBatch = 16;

enum class Shape { one_entry, one_host_each };

std::string host_of(Shape shape, int i) {
  return shape == Shape::one_entry ? "api.example.com" : fmt::format("h{}.example.com", i);
}
std::string path_of(int i) {
  return fmt::format("/org{}/repo{}/**", i % 97, i);
}

std::string policy_text(Shape shape, int rules) {
  std::string out = "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: bench}\nprofile: local\nnetwork:\n";
  if (shape == Shape::one_entry) out += "  - name: e\n    to: {hosts: [api.example.com]}\n    allow:\n";
  for (int i = 0; i < rules; ++i) {
    if (shape == Shape::one_entry)
      out += fmt::format("      - {{methods: [GET], paths: [\"{}\"]}}\n", path_of(i));
    else
      out += fmt::format(
          "  - {{name: e{}, to: {{hosts: [{}]}}, allow: [{{methods: [GET], paths: [\"{}\"]}}]}}\n", i,
          host_of(shape, i), path_of(i));
  }
  return out;
}

struct LinearRule {
  Glob host, path;
  std::string method;
};
std::vector<LinearRule> linear_rules(Shape shape, int rules) {
  std::vector<LinearRule> out;
  for (int i = 0; i < rules; ++i)
    out.push_back({*Glob::create(host_of(shape, i), Glob::Kind::host),
                   *Glob::create(path_of(i), Glob::Kind::path), "GET"});
  return out;
}
bool linear(const std::vector<LinearRule>& rules, const Request& r) {
  return std::ranges::any_of(rules, [&](const LinearRule& rule) {
    return rule.host.matches(r.host) && rule.method == r.method && rule.path.matches(r.target);
  });
}

// Half of the requests hit a rule somewhere in the policy, half hit none.
struct Mix {
  std::vector<std::string> hosts, targets;
  Mix(Shape shape, int rules) {
    for (int k = 0; k < kBatch; ++k) {
      const int i = static_cast<int>((k * 2654435761u) % static_cast<unsigned>(rules));
      hosts.push_back(host_of(shape, i));
      targets.push_back(k % 2 ? fmt::format("/org{}/repo{}/issues/{}", i % 97, i, k)
                              : fmt::format("/org{}/none/issues/{}", i % 97, k));
    }
  }
  Request at(int k) const {
    return {
        .host = hosts[static_cast<size_t>(k)], .method = "GET", .target = targets[static_cast<size_t>(k)]};
  }
};

struct Figures {
  double median, p95, p99;
};
template <class Once> Figures measure(int samples, Once once) {
  std::vector<double> ns;
  for (int s = 0; s < samples; ++s) {
    const auto begin = std::chrono::steady_clock::now();
    for (int k = 0; k < kBatch; ++k) once(k);
    ns.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() /
                 kBatch);
  }
  std::ranges::sort(ns);
  auto at = [&](double q) { return ns[static_cast<size_t>(q * static_cast<double>(ns.size() - 1))]; };
  return {at(0.5), at(0.95), at(0.99)};
}

volatile size_t sink = 0;

int run(Shape shape, std::string_view label, int rules) {
  const auto begin = std::chrono::steady_clock::now();
  auto policy = Policy::compile(policy_text(shape, rules), "bench");
  const double compile_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  if (!policy) {
    fmt::print(stderr, "{}\n", policy.error().at(0).text());
    return 1;
  }
  const Mix mix(shape, rules);
  const auto plain = linear_rules(shape, rules);
  const Figures ours =
      measure(kSamples, [&](int k) { sink = sink + (policy->decide(mix.at(k)).effect == Effect::allow); });
  // The canonical target is the one thing that deciding allocates.
  const size_t before = allocations;
  for (int k = 0; k < kBatch; ++k) sink = sink + (policy->decide(mix.at(k)).effect == Effect::allow);
  if (const size_t made = allocations - before; made > kBatch) {
    fmt::print(stderr, "{} allocations in {} decisions\n", made, kBatch);
    return 1;
  }
  const Figures theirs = measure(rules > 1000 ? kSamples / 20 : kSamples,
                                 [&](int k) { sink = sink + linear(plain, mix.at(k)); });
  fmt::print("{:<14} {:>6} {:>10.1f} {:>8.0f} {:>8.0f} {:>8.0f} {:>6} {:>12.0f} {:>8.1f}\n", label, rules,
             compile_ms, ours.median, ours.p95, ours.p99, kSamples, theirs.median,
             theirs.median / ours.median);
  return 0;
}

}  // namespace

int main() {
  fmt::print("{:<14} {:>6} {:>10} {:>8} {:>8} {:>8} {:>6} {:>12} {:>8}\n", "policy", "rules", "compile ms",
             "median", "p95", "p99", "n", "linear median", "ratio");
  int failed = 0;
  for (int rules : {10, 1000, 10'000}) {
    failed |= run(Shape::one_entry, "one entry", rules);
    failed |= run(Shape::one_host_each, "host per rule", rules);
  }
  return failed;
}

// How long Policy::decide() takes with 10, 1,000 and 10,000 rules, against reading the same rules one by one.
//
//   decide_bench            a table: median, p95, p99 in ns of single decisions, allocations per decision; exit 1 where ours and the
//                           plain matcher disagree about a request
//
// The policy's rules are of five kinds (http paths in one entry, one host each, git, MCP, WebSocket), and so is the stream of
// requests: half of them hit a rule, half hit none. Each decision is timed alone, canonicalisation and reading of bodies included,
// and the clock's own cost (its row) is not taken off. The plain matcher gets its requests already parsed and canonical and compares
// host, key and method only: a lower bound for what it replaces.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "policy/glob.h"
#include "policy/policy.h"
#include "policy/scratch.h"

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
constexpr int kOurSamples = 100'000, kTheirSamples = 2'000, kStream = 1000;

enum Kind : uint8_t { kPaths, kHosts, kGit, kMcp, kWebSocket, kKinds };
constexpr std::string_view kKindNames[] = {"http, one entry", "http, host each", "git push", "mcp call",
                                           "websocket"};

// What rule i of a kind names.
std::string host_of(Kind kind, int i) {
  if (kind == kHosts) return fmt::format("h{}.example.com", i);
  constexpr std::string_view kHost[] = {"api.example.com", "", "git.example.com", "mcp.example.com",
                                        "ws.example.com"};
  return std::string(kHost[kind]);
}
std::string key_of(Kind kind, int i) {
  if (kind == kGit) return fmt::format("team{}/app{}", i % 97, i);
  if (kind == kMcp) return fmt::format("search_{}", i);
  return fmt::format("/org{}/repo{}/**", i % 97, i);
}
Kind kind_of(int i) {
  constexpr Kind kMix[] = {kPaths, kHosts, kPaths, kGit, kPaths, kHosts, kMcp, kPaths, kHosts, kWebSocket};
  return kMix[i % 10];
}

std::string policy_text(int rules) {
  std::string entries[kKinds] = {
      "  - name: api\n    to: {hosts: [api.example.com]}\n    allow:\n", "",
      "  - name: git\n    to: {hosts: [git.example.com]}\n    protocol: git\n    allow:\n",
      "  - name: mcp\n    to: {hosts: [mcp.example.com]}\n    protocol: mcp\n    allow:\n",
      "  - name: ws\n    to: {hosts: [ws.example.com]}\n    protocol: websocket\n    allow:\n"};
  for (int i = 0; i < rules; ++i) {
    const Kind kind = kind_of(i);
    const std::string key = key_of(kind, i);
    std::string rule;
    if (kind == kPaths) rule = fmt::format("      - {{methods: [GET], paths: [\"{}\"]}}\n", key);
    if (kind == kHosts)
      rule = fmt::format(
          "  - {{name: e{}, to: {{hosts: [{}]}}, allow: [{{methods: [GET], paths: [\"{}\"]}}]}}\n", i,
          host_of(kind, i), key);
    if (kind == kGit)
      rule = fmt::format("      - {{op: push, repos: [\"{}\"], refs: [\"refs/heads/agent/**\"]}}\n", key);
    if (kind == kMcp) rule = fmt::format("      - {{methods: [tools/call], tools: [\"{}\"]}}\n", key);
    if (kind == kWebSocket) rule = fmt::format("      - {{paths: [\"{}\"]}}\n", key);
    entries[kind] += rule;
  }
  std::string out = "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: bench}\nprofile: local\nnetwork:\n";
  for (const std::string& entry : entries) out += entry;
  return out;
}

// One request, with what the plain matcher would be given of it.
struct Asked {
  Kind kind = kPaths;
  std::string host, target, body, key;
  std::vector<Header> headers;

  static Asked make(int i, bool hit) {
    Asked a{.kind = kind_of(i)};
    a.host = host_of(a.kind, i);
    if (a.kind == kGit) {
      a.key = hit ? key_of(a.kind, i) : fmt::format("team{}/none", i % 97);
      a.target = "/" + a.key + ".git/git-receive-pack";
      const std::string line = std::string(40, '0') + " " + std::string(40, 'a') + " refs/heads/agent/topic";
      a.body = fmt::format("{:04x}{}0000", line.size() + 4, line);
    } else if (a.kind == kMcp) {
      a.key = hit ? key_of(a.kind, i) : "none";
      a.target = "/mcp";
      a.body = fmt::format(
          R"({{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{}","arguments":{{"q":"x"}}}}}})",
          i, a.key);
    } else {
      a.key = hit ? fmt::format("/org{}/repo{}/issues/{}", i % 97, i, i)
                  : fmt::format("/org{}/none/issues/{}", i % 97, i);
      a.target = a.key + "?page=2";
    }
    return a;
  }
  Request request() {
    headers = {
        {"Host", host}, {"User-Agent", "agent/1.0"}, {"Accept", "*/*"}, {"Accept-Encoding", "identity"}};
    Request r{.kind = kind == kWebSocket ? Request::Kind::websocket : Request::Kind::http,
              .host = host,
              .sni = host,
              .method = body.empty() ? "GET" : "POST",
              .target = target,
              .headers = headers,
              .ip = "198.51.100.7"};
    if (!body.empty()) r.body = body;
    return r;
  }
};

struct PlainRule {
  Kind kind;
  Glob host, key;
};
std::vector<PlainRule> plain_rules(int rules) {
  constexpr Glob::Kind kKey[] = {Glob::Kind::path, Glob::Kind::path, Glob::Kind::ref, Glob::Kind::name,
                                 Glob::Kind::path};
  std::vector<PlainRule> out;
  for (int i = 0; i < rules; ++i)
    out.push_back({kind_of(i), *Glob::create(host_of(kind_of(i), i), Glob::Kind::host),
                   *Glob::create(key_of(kind_of(i), i), kKey[kind_of(i)])});
  return out;
}
bool plain(const std::vector<PlainRule>& rules, const Asked& a) {
  return std::ranges::any_of(rules, [&](const PlainRule& rule) {
    return rule.host.matches(a.host) && rule.kind == a.kind && rule.key.matches(a.key);
  });
}

double now_ns() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
struct Figures {
  double median = 0, p95 = 0, p99 = 0;
};
Figures figures(std::vector<double> ns) {
  std::ranges::sort(ns);
  auto at = [&](double q) { return ns[static_cast<size_t>(q * static_cast<double>(ns.size() - 1))]; };
  return {at(0.5), at(0.95), at(0.99)};
}
// Times each call alone.
template <class Once> std::vector<double> measure(int samples, Once once) {
  std::vector<double> ns;
  ns.reserve(static_cast<size_t>(samples));
  for (int s = 0; s < samples; ++s) {
    const double begin = now_ns();
    once(static_cast<size_t>(s % kStream));
    ns.push_back(now_ns() - begin);
  }
  return ns;
}

volatile size_t sink = 0;

void print_row(std::string_view label, int rules, const Figures& f, double per_decision, double linear) {
  fmt::print("{:<18} {:>6} {:>8.0f} {:>8.0f} {:>8.0f} {:>12.2f} {:>14.0f} {:>8.1f}\n", label, rules, f.median,
             f.p95, f.p99, per_decision, linear, linear / f.median);
}

// Prints the rows of one size; the median of the mixed stream, or nothing where the two disagree.
std::optional<double> run(int rules) {
  auto policy = Policy::compile(policy_text(rules), "bench");
  if (!policy) {
    fmt::print(stderr, "{}\n", policy.error().at(0).text());
    return {};
  }
  std::vector<Asked> stream;
  for (int k = 0; k < kStream; ++k)
    stream.push_back(
        Asked::make(static_cast<int>((static_cast<unsigned>(k) * 2654435761u) % static_cast<unsigned>(rules)),
                    k % 2 == 0));
  std::vector<Request> requests;
  for (Asked& a : stream) requests.push_back(a.request());
  const std::vector<PlainRule> matcher = plain_rules(rules);
  Policy::Scratch scratch;
  for (size_t k = 0; k < stream.size(); ++k) {
    const Decision& d = policy->decide(requests[k], scratch);
    if ((d.effect == Effect::allow) == plain(matcher, stream[k])) continue;
    fmt::print(stderr, "{} rules: {} {} is {} ({}) and the plain matcher disagrees\n", rules, stream[k].host,
               stream[k].target, name(d.effect), d.reason);
    return {};
  }
  const size_t before = allocations;
  for (const Request& r : requests) sink = sink + (policy->decide(r, scratch).effect == Effect::allow);
  const double mixed_allocations = static_cast<double>(allocations - before) / kStream;
  const std::vector<double> ours = measure(kOurSamples, [&](size_t k) {
    sink = sink + (policy->decide(requests[k], scratch).effect == Effect::allow);
  });
  const std::vector<double> theirs =
      measure(kTheirSamples, [&](size_t k) { sink = sink + plain(matcher, stream[k]); });
  const Figures all = figures(ours);
  print_row("mixed", rules, all, mixed_allocations, figures(theirs).median);
  for (uint8_t kind = 0; kind < kKinds; ++kind) {
    std::vector<double> mine, plain_ns;
    for (size_t s = 0; s < ours.size(); ++s)
      if (stream[s % kStream].kind == kind) mine.push_back(ours[s]);
    for (size_t s = 0; s < theirs.size(); ++s)
      if (stream[s % kStream].kind == kind) plain_ns.push_back(theirs[s]);
    if (mine.empty()) continue;
    const size_t start = allocations;
    size_t asked = 0;
    for (size_t k = 0; k < requests.size(); ++k)
      if (stream[k].kind == kind)
        sink = sink + (policy->decide(requests[k], scratch).effect == Effect::allow), ++asked;
    print_row(kKindNames[kind], rules, figures(mine),
              static_cast<double>(allocations - start) / static_cast<double>(asked),
              figures(plain_ns).median);
  }
  return all.median;
}

}  // namespace

int main() {
  fmt::print("{:<18} {:>6} {:>8} {:>8} {:>8} {:>12} {:>14} {:>8}\n", "stream", "rules", "median", "p95",
             "p99", "allocations", "linear median", "ratio");
  print_row("(the clock)", 0, figures(measure(kOurSamples, [](size_t) {})), 0, 0);
  double smallest = 0, largest = 0;
  for (int rules : {10, 1000, 10'000}) {
    const auto median = run(rules);
    if (!median) return 1;
    (rules == 10 ? smallest : largest) = *median;
  }
  fmt::print("growth of the median from 10 to 10,000 rules: {:.2f}x\n", largest / smallest);
}

// Small policies by chance, and every request of a small world: what the prover is compared with.
// For tests only.
#pragma once

#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "policy/prove/witness.h"

namespace saw::policy::prove {

class PolicyMaker {
 public:
  explicit PolicyMaker(unsigned seed) : engine_(seed) {}

  // Two policies that have much in common, so that either answer is likely.
  std::pair<std::string, std::string> pair() {
    const std::string shared = below(2) == 0 ? entry("shared") : "";
    std::string candidate = shared + (shared.empty() || below(2) == 0 ? entry("one") : "");
    std::string ceiling = shared + entry("two") + (below(3) == 0 ? entry("three") : "");
    if (below(4) == 0) ceiling = candidate + entry("more");
    return {document(candidate), document(ceiling)};
  }

 private:
  size_t below(size_t n) { return engine_() % n; }
  bool rarely() { return below(4) == 0; }
  std::string one_of(std::initializer_list<const char*> from) { return *(from.begin() + below(from.size())); }

  std::string document(const std::string& entries) {
    std::string users;
    for (size_t at = 0; (at = entries.find("- name: ", at)) != std::string::npos;) {
      const size_t end = entries.find("- name: ", at + 1);
      const std::string entry = entries.substr(at, end == std::string::npos ? end : end - at);
      if (entry.find("credential: key") != std::string::npos)
        users += (users.empty() ? "" : ", ") + entry.substr(8, entry.find('\n') - 8);
      at += 8;
    }
    std::string out = "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: p}\nprofile: local\n";
    if (rarely()) out += "trifecta: {privateAndUntrusted: deny}\n";
    out += "network:\n" + entries;
    if (!users.empty())
      out += "credentials:\n  key: {secret: s, inject: {header: A, format: \"{secret}\"}, only: [" + users +
             "]}\n";
    return out;
  }

  std::string http_rule() {
    std::string out;
    auto add = [&](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
    if (below(3) != 0) add("methods: [" + one_of({"GET", "POST", "HEAD", "GET, POST"}) + "]");
    if (below(4) != 0) add("paths: [\"" + path() + (rarely() ? "\", \"" + path() : "") + "\"]");
    if (rarely()) add("query: {q: \"" + one_of({"1", "2", "*", "[12]", "?1"}) + "\"}");
    if (rarely()) add("headers: {" + one_of({"x-a", "x_a"}) + ": \"" + one_of({"1", "*", "1*"}) + "\"}");
    if (out.empty()) out = "methods: [GET]";
    return "{" + out + "}";
  }
  std::string path() {
    return one_of(
        {"/a", "/b", "/*", "/**", "/a/*", "/a/**", "/a/b", "/*/b", "/**/b", "/a?", "/a;v", "/a/", "/[ab]"});
  }
  std::string git_rule() {
    const std::string repos = ", repos: [\"" + one_of({"**", "a", "*", "a/*", "a;v", "b", "a.git"}) + "\"]";
    if (below(2) == 0) return "{op: fetch" + repos + "}";
    return "{op: push" + repos +
           (below(3) == 0 ? ""
                          : ", refs: [\"" +
                                one_of({"refs/heads/*", "refs/heads/m", "refs/**", "refs/tags/*"}) + "\"]") +
           "}";
  }

  std::string entry(const std::string& name) {
    const bool git = below(3) == 0;
    auto rules = [&](const char* effect) {
      std::string out = fmt::format("    {}: [", effect);
      for (size_t n = 1 + below(2); n-- > 0;) out += (git ? git_rule() : http_rule()) + (n > 0 ? ", " : "");
      return out + "]\n";
    };
    std::string to = "hosts: [\"" + one_of({"a.x.zz", "b.x.zz", "*.x.zz", "[ac].x.zz", "10.0.0.1"}) + "\"]";
    if (rarely()) to += ", ports: [443, 80]";
    if (rarely()) to += ", paths: [\"" + path() + "\"]";
    if (rarely()) to += ", addresses: [" + one_of({"10.0.0.0/8", "10.0.0.0/31"}) + "]";
    std::string out = fmt::format("  - name: {}\n    to: {{{}}}\n", name, to);
    if (git) out += "    protocol: git\n";
    if (rarely()) out += "    reach: internal\n";
    if (rarely()) out += "    tls: none\n";
    if (rarely()) out += "    content: trusted\n";
    if (rarely()) out += "    data: internal\n";
    if (rarely()) out += "    credential: key\n";
    if (below(5) != 0) out += rarely() ? "    allow: all\n" : rules("allow");
    if (below(3) == 0) out += rules("review");
    if (below(3) == 0) out += rules("deny");
    return out;
  }

  std::mt19937 engine_;
};

// Every request of a small world that a pair of policies could treat differently: what neither mentions
// (queries, headers, addresses, git) is left out.
class SmallWorld {
 public:
  explicit SmallWorld(const std::string& policies) : text_(policies) {}

  // Calls visit(witness) until it returns false.
  template <class Visit> void each(Visit visit) const {
    const bool git = has("protocol: git");
    for (const Witness& shape : shapes(git))
      for (const char* host : {"a.x.zz", "b.x.zz", "c.x.zz", "10.0.0.1"})
        for (uint16_t port : {443, 80})
          for (const char* ip : {"", "10.0.0.1", "10.0.0.5"})
            for (Labels labels : {0, kPrivate | kUntrusted}) {
              if (*ip != '\0' && (!has("addresses") || *host == '1')) continue;
              Witness w = shape;
              w.host = host, w.port = port, w.ip = ip, w.labels = labels;
              for (bool tls : {true, false}) {
                w.tls = tls;
                if (!visit(w)) return;
              }
            }
  }

 private:
  bool has(std::string_view word) const { return text_.find(word) != std::string::npos; }

  std::vector<Witness> shapes(bool git) const {
    std::vector<Witness> out;
    std::vector<std::string> queries = {""};
    if (has("query:")) queries = {"", "?q=1", "?q=2", "?q=1&q=2", "?q=31&q=1", "?r=1"};
    using Fields = std::vector<std::pair<std::string, std::string>>;
    std::vector<Fields> headers = {{}};
    if (has("headers:"))
      headers = {{},
                 {{"x-a", "1"}},
                 {{"x-a", "2"}},
                 {{"x_a", "1"}},
                 {{"x_a", "2"}},
                 {{"X-A", "1"}, {"x_a", "2"}},
                 {{"x-a", "2"}, {"x_A", "1"}},
                 {{"x-a", "12"}, {"X-a", "2"}}};
    for (const char* path : {"/", "/a", "/a/", "/b", "/ab", "/a/b", "/a/c", "/a/b/c", "/c/b", "/a;v",
                             "/a;v/b", "/a%3Bv", "/a;v/", "/c/d"})
      for (const char* method : {"GET", "POST", "HEAD", "PUT"})
        for (const std::string& query : queries)
          for (const Fields& fields : headers)
            out.push_back({.method = method, .target = path + query, .headers = fields});
    if (git) add_git(out);
    return out;
  }

  static void add_git(std::vector<Witness>& out) {
    const std::string m = "refs/heads/m", x = "refs/heads/x/y", t = "refs/tags/t";
    for (const char* name : {"a", "a.git", "b", "a/c", "a;v", "a;v.git", ".git"}) {
      const std::string repo = "/" + std::string(name);
      out.push_back({.method = "GET", .target = repo + "/info/refs?service=git-upload-pack"});
      out.push_back({.method = "GET", .target = repo + "/info/refs?service=git-receive-pack"});
      out.push_back({.method = "POST", .target = repo + "/git-upload-pack"});
      for (const std::vector<std::string>& refs :
           std::vector<std::vector<std::string>>{{}, {m}, {x}, {t}, {m, x}, {m, t}, {x, t}, {m, x, t}})
        out.push_back({.method = "POST", .target = repo + "/git-receive-pack", .body = push_body(refs)});
    }
  }

  const std::string& text_;
};

}  // namespace saw::policy::prove

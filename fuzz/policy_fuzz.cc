// A policy, then a line of `policy decide`, separated by a NUL: compiling and deciding are total; what
// compiles has a canonical form; an answer is allow or review only with a rule, and never at an address that
// is never reachable.
#include <cstdint>

#include "base/result.h"
#include "policy/blueprint.h"
#include "policy/decide_json.h"
#include "policy/policy.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const size_t nul = raw.find('\0');
  if (const auto blueprint = Blueprint::read(raw.substr(0, nul), "fuzz"); !blueprint)
    SAW_CHECK(!blueprint.error().empty());
  auto policy = Policy::compile(raw.substr(0, nul), "fuzz");
  if (!policy) {
    SAW_CHECK(!policy.error().empty());
    for (const Diagnostic& d : policy.error())
      SAW_CHECK(d.severity == Diagnostic::Severity::error && d.line >= 1);
    return 0;
  }
  SAW_CHECK(!policy->canonical().empty());
  if (nul != std::string_view::npos)
    SAW_CHECK(decide_line(*policy, raw.substr(nul + 1)).find("\"effect\"") != std::string::npos);
  for (Request::Kind kind :
       {Request::Kind::http, Request::Kind::websocket, Request::Kind::tcp, Request::Kind::dns}) {
    const Decision d =
        policy->decide({.kind = kind, .host = "a.example.com", .method = "GET", .target = "/a/b?c=d"});
    SAW_CHECK(d.effect == Effect::deny || !d.rule.empty());
    SAW_CHECK(policy->decide({.kind = kind, .host = "127.1", .method = "GET", .target = "/"}).effect ==
              Effect::deny);
  }
  return 0;
}

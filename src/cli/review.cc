// review …: requests, and changes that would run later, which wait for a person. What is shown here is what will
// be sent, byte for byte, or what will be in the workspace; its digest is what is approved.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"

namespace saw::cli {
namespace {

using nlohmann::json;

std::string path_of(const std::string& review) {
  return fmt::format("/v1/reviews/{}", url_segment(review));
}

bool is_quarantine(const json& review) {
  return text_of(review, "kind") == "quarantine";
}

std::string destination(const json& review) {
  if (is_quarantine(review)) return fmt::format("release {}", text_of(review, "target"));
  std::string text = fmt::format("{} {}://{}", text_of(review, "method"), text_of(review, "scheme"),
                                 text_of(review, "host"));
  const std::string port = text_of(review, "port"), scheme = text_of(review, "scheme");
  const bool usual = (scheme == "https" && port == "443") || (scheme == "http" && port == "80");
  if (!port.empty() && !usual) text += ":" + port;
  return text + text_of(review, "target");
}

void show_quarantine(const Output& out, const json& review) {
  out.field("place", text_of(review, "target"));
  out.field("why", text_of(review, "reason"));
  for (const char* member : {"agent", "sponsor", "workspace", "session", "rule", "digest", "policy_digest",
                             "created", "expires", "decided_by"})
    out.field(member, text_of(review, member));
  if (const std::string said = text_of(review, "why"); !said.empty()) out.field("decision", said);
}

// Line by line: what an agent wrote must not move the cursor of whoever reads it.
void print_lines(const Output& out, std::string_view text) {
  constexpr size_t kMaxLine = 4096;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line(text.substr(at, end - at));
    std::ranges::replace(line, '\t', ' ');
    const Tone tone = line.starts_with('+') ? Tone::good : line.starts_with('-') ? Tone::bad : Tone::plain;
    out.line(out.painted(printable(line, kMaxLine), tone));
    at = end + 1;
  }
}

std::string side_of(const json& change, const char* side) {
  const auto found = change.find(side);
  if (found == change.end()) return "nothing";
  std::string out = text_of(*found, "type") + " " + text_of(*found, "mode");
  if (const std::string target = text_of(*found, "target"); !target.empty())
    return out + " to '" + target + "'";
  return text_of(*found, "type") == "file" ? out + ", " + text_of(*found, "size") + " bytes" : out;
}

// All of a change in quarantine as it is now; the digest of what it would do. What was decided is gone from
// there: then what was shown once.
std::string show_changes(Context& context, const json& review) {
  context.out.line("");
  const auto diff = call(context, "GET", path_of(text_of(review, "id")) + "/diff");
  if (!diff) {
    print_lines(context.out, text_of(review, "preview"));
    return text_of(review, "digest");
  }
  for (const json& change : list_of(*diff, "changes")) {
    print_lines(context.out, fmt::format("{} {}: {} -> {}", text_of(change, "kind"), text_of(change, "path"),
                                         side_of(change, "before"), side_of(change, "after")));
    print_lines(context.out, text_of(change, "lines"));
    if (text_of(change, "binary") == "true") context.out.line("  (binary)");
  }
  return text_of(*diff, "root");
}

void show(const Output& out, const json& review) {
  out.line(out.painted(text_of(review, "id"), Tone::bold));
  out.field("state", text_of(review, "state"));
  if (is_quarantine(review)) return show_quarantine(out, review);
  out.field("request", destination(review));
  for (const char* member : {"agent", "sponsor", "workspace", "session", "call", "rule", "reason", "digest",
                             "policy_digest", "created", "expires", "decided_by", "why"})
    out.field(member, text_of(review, member));
  out.field("body", fmt::format("{} bytes", text_of(review, "body_bytes")));
  out.field("preview", text_of(review, "preview"));
}

Outcome review_list(Context& context) {
  const json answer = CLI_TRY(call(
      context, "GET", context.args.has("--all") ? "/v1/reviews?state=all" : "/v1/reviews?state=pending"));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  for (const json& r : list_of(answer, "reviews"))
    rows.push_back({text_of(r, "id"), text_of(r, "state"), text_of(r, "workspace"), text_of(r, "agent"),
                    text_of(r, "expires"), destination(r)});
  context.out.table({"ID", "STATE", "WORKSPACE", "AGENT", "EXPIRES", "REQUEST"}, rows,
                    "nothing waits for review");
  return 0;
}

Outcome review_show(Context& context) {
  const json review = CLI_TRY(call(context, "GET", path_of(context.args.text("R"))));
  context.out.json(review);
  show(context.out, review);
  if (is_quarantine(review)) show_changes(context, review);
  return 0;
}

// Fetches first and decides on the digest that was fetched: what the person saw is what is approved, or
// nothing is.
Outcome review_approve(Context& context) {
  const std::string id = context.args.text("R");
  const json seen = CLI_TRY(call(context, "GET", path_of(id)));
  show(context.out, seen);
  if (is_quarantine(seen))
    if (const std::string root = show_changes(context, seen); root != text_of(seen, "digest"))
      return fail(Exit::failed, "review.digest_mismatch",
                  "what it would change is no longer what was asked about: {}, not {}", root,
                  text_of(seen, "digest"));
  std::string digest = text_of(seen, "digest");
  if (const auto expected = context.args.find("--digest"); expected && *expected != digest)
    return fail(Exit::failed, "review.digest_mismatch", "review {} is for {}, not for {}", id, digest,
                *expected);
  const json decided =
      CLI_TRY(call(context, "POST", path_of(id) + "/approve", json{{"digest", std::move(digest)}}));
  context.out.json(decided);
  context.out.note(fmt::format(
      "review {} is {}: exactly {}", id, text_of(decided, "state"),
      is_quarantine(decided) ? "these changes are in the workspace now" : "this request is sent"));
  return 0;
}

Outcome review_deny(Context& context) {
  const std::string id = context.args.text("R");
  json body = json::object();
  if (const auto why = context.args.find("--why")) body["why"] = *why;
  const json decided = CLI_TRY(call(context, "POST", path_of(id) + "/deny", body));
  context.out.json(decided);
  context.out.note(fmt::format("review {} is {}", id, text_of(decided, "state")));
  return 0;
}

}  // namespace

std::vector<Command> review_commands() {
  const Positional review = {"R", "the review's id"};
  return {
      {.path = "review list",
       .summary = "requests, and changes in quarantine, that wait for a decision",
       .options = {{"--all", "", "decided and expired ones, too"}},
       .examples = {"saw review list", "saw review list --json"},
       .run = review_list},
      {.path = "review show",
       .summary = "what exactly would be sent or released, for whom and why",
       .positionals = {review},
       .examples = {"saw review show rv-…"},
       .run = review_show},
      {.path = "review approve",
       .summary = "show a request or change and let exactly it through, once",
       .positionals = {review},
       .options = {{"--digest", "SHA256", "approve only if the request still has this digest"}},
       .text = "The approval holds for the very bytes that are shown. A second decision on the same request "
               "is a conflict. A change in quarantine is one that would run later, such as a git hook or a "
               "shell's start-up file; approved, it is brought into the workspace.",
       .examples = {"saw review approve rv-…"},
       .run = review_approve},
      {.path = "review deny",
       .summary = "refuse a request, or drop a change in quarantine",
       .positionals = {review},
       .options = {{"--why", "TEXT", "what the agent is told"}},
       .examples = {"saw review deny rv-… --why 'main is frozen'"},
       .run = review_deny},
  };
}

}  // namespace saw::cli

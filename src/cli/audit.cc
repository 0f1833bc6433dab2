// audit …: what happened, from the log that nobody can rewrite unseen. verify works on the files alone; the
// rest asks the daemon.
#include <charconv>

#include <nlohmann/json.hpp>

#include "audit/event.h"
#include "audit/log.h"
#include "base/bytes.h"
#include "cli/audit_evidence.h"
#include "cli/audit_filter.h"
#include "cli/commands.h"
#include "cli/context.h"

namespace saw::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kPage = 500, kTail = 20;
constexpr int64_t kFollowWaitMs = 10'000;

struct Page {
  uint64_t size = 0;
  std::vector<std::string> entries;
};

Attempt<Page> fetch(Context& context, uint64_t first, uint64_t limit, int64_t wait_ms) {
  std::string target = fmt::format("/v1/audit/entries?from={}&limit={}", first, limit);
  if (wait_ms > 0) target += fmt::format("&wait_ms={}", wait_ms);
  const json answer = CLI_TRY(call(context, "GET", target));
  Page page;
  if (const auto size = answer.find("size"); size != answer.end() && size->is_number_unsigned())
    page.size = *size;
  for (const json& entry : list_of(answer, "entries"))
    if (entry.is_string()) page.entries.push_back(entry);
  return page;
}

void print(const Output& out, const std::string& entry) {
  if (out.is_json()) return out.raw(entry + "\n");
  out.line(audit::sentence(entry, out.paint() == Paint::colour ? audit::Colour::yes : audit::Colour::no));
}

// Every entry from `first` to the end as it is when asked.
template <class Each> Outcome each_entry(Context& context, uint64_t first, Each each) {
  for (;;) {
    const Page page = CLI_TRY(fetch(context, first, kPage, 0));
    for (const std::string& entry : page.entries) each(entry);
    first += page.entries.size();
    if (page.entries.empty() || first >= page.size) return 0;
  }
}

Attempt<uint64_t> count_option(const Context& context, std::string_view name, uint64_t otherwise) {
  const auto text = context.args.find(name);
  if (!text) return otherwise;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size())
    return fail(Exit::usage, "cli.usage", "{} wants a number, not '{}'", name, *text);
  return value;
}

Attempt<AuditFilter> filter_of(Context& context) {
  const Args& args = context.args;
  AuditFilter filter{.verdict = args.find("--verdict"),
                     .agent = args.find("--agent"),
                     .workspace = args.find("--workspace"),
                     .host = args.find("--host"),
                     .session = args.find("--session"),
                     .call = args.find("--call"),
                     .trace = args.find("--trace")};
  if (filter.verdict && *filter.verdict != "allowed" && *filter.verdict != "denied" &&
      *filter.verdict != "reviewing")
    return fail(Exit::usage, "cli.usage", "--verdict is allowed, denied or reviewing, not '{}'",
                *filter.verdict);
  // Events name an agent by its id; people know it by its name.
  if (filter.agent)
    if (const auto agent = call(context, "GET", fmt::format("/v1/agents/{}", url_segment(*filter.agent))))
      filter.agent = text_of(*agent, "id");
  if (const auto since = args.find("--since")) {
    filter.since = parse_since(*since, context.clock.now());
    if (!filter.since)
      return fail(Exit::usage, "cli.usage",
                  "--since wants a duration (10m) or a time (2026-11-24T03:00:00Z), not '{}'", *since);
  }
  return filter;
}

std::vector<Option> filter_options() {
  return {{"--verdict", "V", "allowed, denied or reviewing"},
          {"--agent", "A", "of this agent"},
          {"--workspace", "W", "of this workspace"},
          {"--session", "S", "of the session with this id"},
          {"--call", "C", "of the call with this id"},
          {"--trace", "T", "of the trace with this id"},
          {"--host", "H", "about this destination"},
          {"--since", "T", "since then: 10m, 2h, or an RFC 3339 time"}};
}

Outcome audit_tail(Context& context) {
  const uint64_t count = CLI_TRY(count_option(context, "--lines", kTail));
  const AuditFilter filter = CLI_TRY(filter_of(context));
  const uint64_t size = CLI_TRY(fetch(context, 0, 1, 0)).size;
  uint64_t next = size > count ? size - count : 0;
  auto show = [&](const std::string& entry) {
    ++next;
    if (matches(filter, entry)) print(context.out, entry);
  };
  CLI_TRY(each_entry(context, next, show));
  while (context.args.has("--follow"))
    for (const std::string& entry : CLI_TRY(fetch(context, next, kPage, kFollowWaitMs)).entries) show(entry);
  return 0;
}

Outcome audit_query(Context& context) {
  const AuditFilter filter = CLI_TRY(filter_of(context));
  uint64_t found = 0;
  CLI_TRY(each_entry(context, 0, [&](const std::string& entry) {
    if (!matches(filter, entry)) return;
    ++found;
    print(context.out, entry);
  }));
  if (found == 0) context.out.note("nothing in the audit log matches");
  return 0;
}

Outcome audit_export(Context& context) {
  const uint64_t first = CLI_TRY(count_option(context, "--from", 0));
  return each_entry(context, first, [&](const std::string& entry) { context.out.raw(entry + "\n"); });
}

Outcome audit_verify(Context& context) {
  const Evidence e = CLI_TRY(evidence(context));
  const audit::VerifyReport report = audit::verify(e.directory, e.origin, e.public_key, e.journal);
  json document = {{"ok", report.ok},           {"entries", report.entries},
                   {"root", report.root},       {"directory", e.directory},
                   {"origin", e.origin},        {"public_key", to_hex(e.public_key)},
                   {"key_source", e.key_source}};
  if (report.first_bad_entry) document["first_bad_entry"] = *report.first_bad_entry;
  if (!report.problem.empty()) document["problem"] = report.problem;
  context.out.json(document);
  if (report.ok) {
    context.out.line(fmt::format("{}: {} entries are what was recorded, root {}",
                                 context.out.painted("ok", Tone::good), report.entries, report.root));
    context.out.note(fmt::format("log {}, origin '{}', key from {}", e.directory, e.origin, e.key_source));
    return 0;
  }
  const std::string where =
      report.first_bad_entry ? fmt::format(" at entry {}", *report.first_bad_entry) : "";
  context.out.line(fmt::format("{}{}: {}", context.out.painted("TAMPERED", Tone::bad), where,
                               printable(report.problem, 500)));
  context.out.note(fmt::format("log {}, origin '{}', key from {}", e.directory, e.origin, e.key_source));
  return 1;
}

}  // namespace

std::vector<Command> audit_commands() {
  std::vector<Option> tail_options = filter_options();
  tail_options.insert(tail_options.begin(), {{"-f,--follow", "", "go on as events come"},
                                             {"-n,--lines", "N", "so many of the last ones (default 20)"}});
  return {
      {.path = "audit tail",
       .summary = "the latest events, as sentences",
       .options = tail_options,
       .text = "With --json: the OCSF events themselves, one per line.",
       .examples = {"saw audit tail -f", "saw audit tail -n 100 --verdict denied"},
       .run = audit_tail},
      {.path = "audit query",
       .summary = "all events that match",
       .options = filter_options(),
       .examples = {"saw audit query --verdict denied --since 1h",
                    "saw audit query --workspace dev --host api.example.com --json"},
       .run = audit_query},
      {.path = "audit verify",
       .summary = "recompute the log and compare with what was signed",
       .options = evidence_options(),
       .text =
           "Exit status 1 and the first bad entry if anything was edited, removed, reordered or cut off, or "
           "if the journal of a log that is no copy is missing. Needs no daemon; with --dir it asks none.",
       .examples = {"saw audit verify", "saw audit verify --dir /var/lib/saw --key audit-key.hex"},
       .run = audit_verify},
      audit_prove_command(),
      {.path = "audit export",
       .summary = "the events as JSON lines, as they were recorded",
       .options = {{"--from", "N", "from this entry on (default 0)"}},
       .examples = {"saw audit export > audit.jsonl"},
       .run = audit_export},
  };
}

}  // namespace saw::cli

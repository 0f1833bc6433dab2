#include "cli/session_files.h"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/context.h"
#include "cli/session_find.h"

namespace saw::cli {
namespace {

using nlohmann::json;

// One code point at the front of valid UTF-8; anything else is one byte.
size_t length_at(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text[0]);
  const size_t length = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1;
  if (length > text.size()) return 1;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 1;
  return length;
}

uint32_t code_point(std::string_view bytes) {
  constexpr unsigned kFirstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  uint32_t code = static_cast<unsigned char>(bytes[0]) & kFirstBits[bytes.size()];
  for (size_t i = 1; i < bytes.size(); ++i) code = code << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3f);
  return code;
}

// Controls, and Unicode's format characters (category Cf) that reorder text or are not seen.
bool steers(uint32_t code) {
  const auto in = [code](uint32_t from, uint32_t to) { return code >= from && code <= to; };
  return in(0x80, 0x9f) || code == 0xad || code == 0x61c || code == 0x180e || in(0x200b, 0x200f) ||
         in(0x2028, 0x202e) || in(0x2060, 0x206f) || code == 0xfeff || in(0xfff9, 0xfffb) ||
         in(0xe0000, 0xe0fff);
}

std::string number(const json& object, const char* member) {
  auto found = object.find(member);
  return found != object.end() && found->is_number_unsigned() ? std::to_string(found->get<uint64_t>()) : "0";
}

const json& side(const json& change, const char* which) {
  static const json kNone = json::object();
  auto found = change.find(which);
  return found != change.end() && found->is_object() ? *found : kNone;
}

// "changed (content, mode)", "added", "renamed": what happened, in words.
std::string what_of(const json& change) {
  std::string kind = text_of(change, "kind");
  const std::string from = text_of(change, "renamed_from");
  if (!from.empty()) return "renamed";
  if (kind != "changed") return kind;
  const json &before = side(change, "before"), &after = side(change, "after");
  std::vector<std::string> parts;
  if (text_of(before, "type") != text_of(after, "type"))
    parts.push_back("was a " + text_of(before, "type"));
  else if (text_of(change, "content_changed") == "true")
    parts.emplace_back("content");
  if (text_of(before, "mode") != text_of(after, "mode") && text_of(after, "type") != "symlink")
    parts.push_back(fmt::format("mode {} → {}", text_of(before, "mode"), text_of(after, "mode")));
  if (text_of(change, "attributes_changed") == "true") parts.emplace_back("attributes");
  return parts.empty() ? kind : fmt::format("{} ({})", kind, fmt::join(parts, ", "));
}

std::string bytes_of(const json& change) {
  const bool had = change.contains("before"), has = change.contains("after");
  const std::string before = number(side(change, "before"), "size"),
                    after = number(side(change, "after"), "size");
  if (had && has) return before == after ? after : before + " → " + after;
  return has ? after : before;
}

std::string path_shown(const json& change) {
  std::string out = text_of(change, "path");
  if (const std::string from = text_of(change, "renamed_from"); !from.empty()) out += " ← " + from;
  if (const std::string target = text_of(side(change, "after"), "target"); !target.empty())
    out += " → " + target;
  return out;
}

std::vector<std::string> lines_of(const json& change) {
  const std::string text = text_of(change, "lines");
  std::vector<std::string> lines;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

void print_table(const Output& out, const json& diff) {
  std::vector<Output::Row> rows;
  for (const json& change : list_of(diff, "changes"))
    rows.push_back({what_of(change), text_of(change, "type"), bytes_of(change), path_shown(change)});
  // The columns may hold arrows, which table() would write out; what the agent chose was made printable by sawd.
  out.table({"CHANGE", "TYPE", "BYTES", "PATH"}, rows, "the session changed nothing");
}

void print_names(const Output& out, const json& diff) {
  for (const json& change : list_of(diff, "changes")) out.line(shown_line(text_of(change, "path")));
}

void print_stat(const Output& out, const json& diff) {
  size_t files = 0, more = 0, fewer = 0;
  for (const json& change : list_of(diff, "changes")) {
    size_t plus = 0, minus = 0;
    for (const std::string& line : lines_of(change))
      plus += line.starts_with('+'), minus += line.starts_with('-');
    ++files, more += plus, fewer += minus;
    const bool binary = text_of(change, "binary") == "true";
    const std::string counts = binary
                                   ? "binary"
                                   : fmt::format("{} {}", out.painted(fmt::format("+{}", plus), Tone::good),
                                                 out.painted(fmt::format("-{}", minus), Tone::bad));
    out.line(fmt::format("{}  {}  {}", shown_line(path_shown(change)), what_of(change), counts));
  }
  out.line(fmt::format("{} paths, {} lines added, {} removed", files, more, fewer));
}

void print_lines(const Output& out, const json& diff) {
  for (const json& change : list_of(diff, "changes")) {
    out.line(out.painted(fmt::format("{}: {}", shown_line(path_shown(change)), what_of(change)), Tone::bold));
    if (text_of(change, "binary") == "true") out.line("  binary, or too large to compare by lines");
    for (const std::string& line : lines_of(change)) {
      const Tone tone = line.starts_with('+')    ? Tone::good
                        : line.starts_with('-')  ? Tone::bad
                        : line.starts_with("@@") ? Tone::dim
                                                 : Tone::plain;
      out.line(out.painted(shown_line(line), tone));
    }
  }
}

void print_end(const Output& out, const json& diff) {
  if (text_of(diff, "complete") == "false")
    return out.note(
        fmt::format("not everything is listed ({}); it cannot be committed", text_of(diff, "limit")));
  if (!list_of(diff, "changes").empty()) out.note("root " + text_of(diff, "root"));
}

Attempt<json> ask_diff(Context& context, const FoundSession& session, bool lines) {
  std::string target = path_of(session) + "/diff";
  std::vector<std::string> paths;
  for (const std::string& path : context.args.list("PATH"))
    paths.push_back(path.starts_with('/') ? path : "/workspace/" + path);
  const char* separator = "?";
  if (lines) target += "?lines=1", separator = "&";
  if (!paths.empty())
    target += separator + std::string("paths=") +
              url_segment(json(paths).dump(-1, ' ', false, json::error_handler_t::replace));
  return call(context, "GET", target);
}

Outcome session_diff(Context& context) {
  const FoundSession session = CLI_TRY(find_session(context, context.args.text("S")));
  const bool stat = context.args.has("--stat"), names = context.args.has("--name-only"),
             lines = context.args.has("--lines");
  if (stat + names + lines > 1)
    return fail(Exit::usage, "cli.usage",
                "--lines, --stat and --name-only are three ways to show it: choose one");
  const json diff = CLI_TRY(ask_diff(context, session, stat || lines));
  context.out.json(diff);
  if (context.out.is_json()) return 0;
  if (names)
    print_names(context.out, diff);
  else if (stat)
    print_stat(context.out, diff);
  else if (lines)
    print_lines(context.out, diff);
  else
    print_table(context.out, diff);
  print_end(context.out, diff);
  return 0;
}

bool answers_yes(const Context& context) {
  char answer = 0;
  return ::read(context.input.fd, &answer, 1) == 1 && (answer == 'y' || answer == 'Y');
}

// What is to be committed, shown and agreed to. Nothing to commit: an empty root.
Attempt<std::string> agreed_root(Context& context, const FoundSession& session) {
  if (const auto root = context.args.find("--root")) return *root;
  const json diff = CLI_TRY(ask_diff(context, session, false));
  if (text_of(diff, "complete") == "false")
    return fail(Exit::failed, "commit.too_much", "not everything that the session changed can be listed ({})",
                text_of(diff, "limit"));
  if (list_of(diff, "changes").empty()) return std::string();
  if (context.args.has("--yes")) return text_of(diff, "root");
  if (context.out.is_json() || !context.input.terminal)
    return fail(Exit::usage, "cli.usage", "look at the diff first and give its --root, or give --yes");
  print_table(context.out, diff);
  context.out.note(fmt::format("commit {} changes into workspace {}? [y/N]", list_of(diff, "changes").size(),
                               session.workspace));
  if (!answers_yes(context)) return fail(Exit::failed, "commit.not_agreed", "nothing was committed");
  return text_of(diff, "root");
}

Outcome session_commit(Context& context) {
  const FoundSession session = CLI_TRY(find_session(context, context.args.text("S")));
  const std::string root = CLI_TRY(agreed_root(context, session));
  if (root.empty()) {
    context.out.json({{"applied", 0}});
    context.out.note("the session changed nothing");
    return 0;
  }
  json body = {{"root", root}};
  if (context.args.has("--stop")) body["stop"] = true;
  const json done = CLI_TRY(call(context, "POST", path_of(session) + "/commit", body));
  context.out.json(done);
  context.out.line(
      fmt::format("{} changes committed, root {}", number(done, "applied"), text_of(done, "root")));
  for (const auto& [member, why] :
       {std::pair("quarantined_paths", "waits for a review (it would run later)"),
        std::pair("left_paths", "changed in the workspace meanwhile; it stays here")})
    for (const json& path : list_of(done, member))
      if (path.is_string()) context.out.note(fmt::format("{}: {}", shown_line(path.get<std::string>()), why));
  for (const json& review : list_of(done, "reviews"))
    if (review.is_string())
      context.out.note(fmt::format("saw review show {}", shown_line(review.get<std::string>())));
  if (const std::string problem = text_of(done, "quarantine_problem"); !problem.empty())
    context.out.note(fmt::format("what would run later waits in the session only: {}", shown_line(problem)));
  return 0;
}

Outcome session_discard(Context& context) {
  const FoundSession session = CLI_TRY(find_session(context, context.args.text("S")));
  json body = json::object();
  if (context.args.has("--stop")) body["stop"] = true;
  context.out.json(CLI_TRY(call(context, "POST", path_of(session) + "/discard", body)));
  context.out.note(fmt::format("what session {} wrote is gone", session.id));
  return 0;
}

}  // namespace

std::string shown_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = length_at(text);
    const std::string_view bytes = text.substr(0, length);
    const auto first = static_cast<unsigned char>(bytes[0]);
    const uint32_t code = length == 1 ? first : code_point(bytes);
    if (length == 1 && first != '\t' && (first < 0x20 || first >= 0x7f))
      out += fmt::format("\\x{:02x}", first);
    else if (length > 1 && steers(code))
      out += fmt::format("\\u{{{:x}}}", code);
    else
      out += bytes;
    text.remove_prefix(length);
  }
  return out;
}

std::vector<Command> session_file_commands() {
  const Positional session = {"S", "the session's id or name, or WORKSPACE/NAME"};
  const Option stop = {"--stop", "", "end the commands that run in the session"};
  return {
      {.path = "session diff",
       .summary = "what a session changed",
       .positionals = {session,
                       {"PATH", "only this path and what is below (relative: to /workspace)", Need::optional,
                        Occurs::repeatedly}},
       .options = {{"--lines", "", "the lines that changed in text files"},
                   {"--stat", "", "how many lines changed in each"},
                   {"--name-only", "", "paths and nothing else"}},
       .text =
           "Contents are compared: a file that was opened and left as it was is no change. The root that is\n"
           "printed at the end names exactly these changes: what a commit or a review is bound to.",
       .examples = {"saw session diff fix", "saw session diff fix --lines src",
                    "saw session diff dev/fix --json"},
       .run = session_diff},
      {.path = "session commit",
       .summary = "keep what a session wrote: bring it into the workspace",
       .positionals = {session},
       .options = {{"--root", "R", "commit exactly the changes with this root (saw session diff)"},
                   {"-y,--yes", "", "commit what there is, without asking"},
                   stop},
       .text =
           "All of it or nothing: if a path was changed in the workspace since the session began, nothing "
           "is\n"
           "committed, and the paths are named. What runs in the session ends; the session goes on with an\n"
           "empty layer. A call that was kept (saw run --keep) ends with its commit.\n"
           "Set-user-id bits do not survive; devices, fifos and sockets are refused.",
       .examples = {"saw session commit fix", "saw session commit fix --root sha256:…",
                    "saw session commit fix -y --stop"},
       .run = session_commit},
      {.path = "session discard",
       .summary = "drop what a session wrote, keep the session",
       .positionals = {session},
       .options = {stop},
       .text = "At once, however much it wrote. What runs in the session ends; the session goes on.",
       .examples = {"saw session discard fix"},
       .run = session_discard},
  };
}

}  // namespace saw::cli

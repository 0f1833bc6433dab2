// cp: files in and out of a workspace, as an archive that a command inside the sandbox reads or writes. Neither
// the daemon nor this program opens a path of the agent's: inside, it is the agent's own rights that count, and
// what comes out is taken apart as hostile (tar.h, unpack.h).
//
// Out: in a call sandbox, where no process of the agent runs that could meddle. In: in the workspace or session
// itself, where what is written stays.
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/fd.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/pack.h"
#include "cli/run.h"
#include "cli/unpack.h"

namespace saw::cli {
namespace {

using nlohmann::json;

constexpr size_t kMaxComplaint = 4096;   // of the command inside
constexpr const char* kItem = "item";    // the top of an archive that goes in
constexpr const char* kWhole = "whole";  // and the last that is in it

// The names are arguments and never part of the script.
constexpr const char* kSend =
    R"(case $1 in */*) dir=${1%/*}; [ -n "$dir" ] || dir=/ ;; *) dir=. ;; esac
exec tar -c -f - -C "$dir" -- "./${1##*/}")";
constexpr const char* kReceive =
    R"(set -e
if [ -d "$1" ]; then dir=$1 to=$2
else case $1 in */*) dir=${1%/*}; [ -n "$dir" ] || dir=/ ;; *) dir=. ;; esac; to=${1##*/}; fi
if [ -d "$dir/$to" ] && [ ! -L "$dir/$to" ]; then echo "'$dir/$to' exists already; directories are not merged" >&2; exit 1; fi
new=$(mktemp -d "$dir/.saw-cp-XXXXXX")
trap 'rm -rf -- "$new"' EXIT
tar -x -f - -C "$new"
if [ ! -f "$new/whole" ]; then echo "the copy ended too early" >&2; exit 1; fi
mv -f -T -- "$new/item" "$dir/$to")";

struct Place {
  std::optional<std::string> workspace;  // nullopt: on this side
  std::string session, path;
};

// "W:path" and "W/S:path"; with a leading "." or "/" it is a path of this side whatever follows.
Place place_of(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string before = text.substr(0, colon);
  const bool named = colon != text.npos && !before.empty() && before[0] != '.' && before[0] != '/' &&
                     std::ranges::count(before, '/') <= 1 && before.back() != '/';
  if (!named) return {.path = text};
  const size_t slash = before.find('/');
  return {.workspace = before.substr(0, slash),
          .session = slash == before.npos ? "" : before.substr(slash + 1),
          .path = text.substr(colon + 1)};
}

std::string base_name(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

std::string target_of(const Place& place, std::string_view kind, std::vector<std::string> argv) {
  json spec = {{"kind", kind}, {"argv", std::move(argv)}, {"tty", false}, {"env", json::object()}};
  if (!place.session.empty()) spec["session"] = place.session;
  const std::string encoded = to_base64url(spec.dump(-1, ' ', false, json::error_handler_t::replace));
  return fmt::format("/v1/workspaces/{}/exec?spec={}", url_segment(*place.workspace), encoded);
}

// The command inside ended as it should, or why not.
Outcome check_end(const Result<ExecResult>& result, const Context& context, const std::string& complaint) {
  if (!result) return std::unexpected(failure_of(result.error(), context.places));
  if (result->refused) return std::unexpected(failure_of(*result->refused));
  const int status = exit_status(*result);
  if (status == 0) return 0;
  if (status == static_cast<int>(Exit::not_found))
    return fail(Exit::failed, "copy.no_tar", "the workspace's image has no 'sh' or no 'tar'");
  return fail(Exit::failed, "copy.failed", "inside the workspace: {}",
              complaint.empty() ? fmt::format("tar ended with status {}", status) : printable(complaint));
}

struct Complaint {
  std::string text;
  void add(std::string_view bytes) {
    text += bytes.substr(0, kMaxComplaint - std::min(kMaxComplaint, text.size()));
  }
  std::string line() const {
    std::string out = text;
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }
};

Outcome done(const Context& context, uint64_t files, uint64_t bytes, const std::string& to) {
  context.out.json({{"files", files}, {"bytes", bytes}, {"to", to}});
  context.out.note(
      fmt::format("{} {}, {} bytes to {}", files, files == 1 ? "file" : "files", bytes, printable(to)));
  return 0;
}

Outcome copy_out(Context& context, const Place& from, const std::string& to) {
  std::string path = from.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const std::string name = base_name(path);
  if (name.empty() || name == "." || name == "..")
    return fail(Exit::usage, "cli.usage", "name a file or a directory by its own name, not '{}'",
                printable(path));
  Unpacker unpacker = CLI_TRY(Unpacker::create(absolute(context.places, to), name));
  TarReader reader(unpacker);
  Result<> unpacked;
  Complaint complaint;
  ExecLocal local;
  local.output = [&](Stream stream, std::string_view bytes) {
    if (stream == Stream::error) return complaint.add(bytes);
    if (unpacked) unpacked = reader.push(bytes);
  };
  local.started = [](std::string_view) {};
  const std::string target = target_of(from, "call", {"sh", "-c", kSend, "saw-cp", path});
  const auto result = when_recovered(context, [&] { return context.api.exec(target, local); });
  if (auto ended = check_end(result, context, complaint.line()); !ended) return ended;
  CLI_TRY(std::move(unpacked));
  CLI_TRY(reader.finish());
  CLI_TRY(unpacker.finish());
  return done(context, unpacker.files(), unpacker.bytes(), unpacker.path());
}

Outcome copy_in(Context& context, const std::string& from, const Place& to) {
  const std::string source = absolute(context.places, from), name = base_name(source);
  if (name.empty() || name == "." || name == "..")
    return fail(Exit::usage, "cli.usage", "name a file or a directory by its own name, not '{}'",
                printable(from));
  std::string path = to.path.empty() ? "." : to.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  Pipe pipe = CLI_TRY(Pipe::create());
  Result<PackResult> packed;
  Complaint complaint;
  ExecLocal local{.input = pipe.read.get()};
  local.output = [&](Stream stream, std::string_view bytes) {
    if (stream == Stream::error) complaint.add(bytes);
  };
  local.started = [](std::string_view) {};
  // A thread, because the archive is written while exec() sends it.
  std::jthread writer([&, write = std::move(pipe.write)] {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // SIGPIPE, and what the other thread passes on
    packed = pack(source, kItem, [&](std::string_view bytes) { return write_all(write, bytes); }, kWhole);
    // Without its last entry, the archive is refused inside.
    const_cast<Fd&>(write).reset();
  });
  const char* kind = to.session.empty() ? "workspace" : "session";
  const std::string target = target_of(to, kind, {"sh", "-c", kReceive, "saw-cp", path, name});
  const auto result = when_recovered(context, [&] { return context.api.exec(target, local); });
  pipe.read.reset();
  writer.join();
  if (!packed && packed.error().os_errno != EPIPE) return std::unexpected(as_failure(packed.error()));
  if (auto ended = check_end(result, context, complaint.line()); !ended) return ended;
  const PackResult sum = CLI_TRY(std::move(packed));
  return done(context, sum.files, sum.bytes, fmt::format("{}:{}", *to.workspace, to.path));
}

Outcome copy(Context& context) {
  const std::string from_text = context.args.text("SRC"), to_text = context.args.text("DST");
  const Place from = place_of(from_text), to = place_of(to_text);
  if (from.workspace.has_value() == to.workspace.has_value())
    return fail(Exit::usage, "cli.usage",
                "one of the two is in a workspace (W:path or W/S:path) and the other on this side");
  return from.workspace ? copy_out(context, from, to_text) : copy_in(context, from_text, to);
}

}  // namespace

std::vector<Command> copy_commands() {
  return {
      {.path = "cp",
       .summary = "copy a file or a directory into or out of a workspace",
       .positionals = {{"SRC", "W:path, W/S:path for a session's, or a path of this side"},
                       {"DST", "likewise"}},
       .text =
           "An existing directory as DST is one to copy into. A file gives way to the new one, a directory "
           "does not. A relative path inside starts at /workspace; a path of this side that looks like "
           "W:path "
           "is written ./W:path.\n"
           "What comes out of a workspace is taken with care: device files, absolute paths and links that "
           "lead out of what is copied end the copy, and nothing of it is left. Both ways need 'tar' in the "
           "workspace.\n"
           "Files that other programs run by themselves (shell start-up files, git hooks, editor tasks; the "
           "list is docs/run-later.md) come out like any other, unmarked: it is 'saw session commit' that "
           "keeps them back. Look at what came out before you use it in place.",
       .examples = {"saw cp ./src dev:/workspace/src", "saw cp dev:/workspace/report.pdf .",
                    "saw cp dev/fix:/workspace/out ./out"},
       .run = copy},
  };
}

}  // namespace saw::cli

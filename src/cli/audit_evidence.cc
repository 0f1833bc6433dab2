#include "cli/audit_evidence.h"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"

namespace saw::cli {
namespace {

Attempt<std::string> parse_key(const Context& context, const std::string& given) {
  std::string text = given;
  if (const std::string file = absolute(context.places, given); std::filesystem::is_regular_file(file))
    text = CLI_TRY(read_file(file, 4096));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  constexpr size_t kKeyBytes = 32;
  for (auto decoded : {from_hex(text), from_base64(text), std::optional(text)})
    if (decoded && decoded->size() == kKeyBytes) return std::move(*decoded);
  return fail(Exit::usage, "cli.usage",
              "--key wants the public key (32 bytes, in hexadecimal or base64) or a file that holds it");
}

}  // namespace

Attempt<Evidence> evidence(Context& context) {
  const Args& args = context.args;
  Evidence e;
  if (!args.has("--dir") && (!args.has("--key") || !args.has("--origin") || !args.has("--log"))) {
    if (const auto answer = call(context, "GET", "/v1/audit/key")) {
      e.directory = text_of(*answer, "directory");
      e.origin = text_of(*answer, "origin");
      e.public_key = from_hex(text_of(*answer, "public_key")).value_or("");
      e.key_source = "the daemon";
    }
  }
  const std::string control = context.places.directory + "/control";
  if (e.directory.empty())
    e.directory = std::filesystem::exists(context.places.directory + "/checkpoint") ? context.places.directory
                                                                                    : control + "/audit";
  if (const auto log = args.find("--log")) {
    e.directory = absolute(context.places, *log);
    e.journal = audit::JournalNeed::optional;
  }
  if (const auto key = args.find("--key")) {
    e.public_key = CLI_TRY(parse_key(context, *key));
    e.key_source = "--key";
  } else if (e.public_key.empty()) {
    const std::string file = control + "/keys/audit.pub";
    if (!std::filesystem::exists(file))
      return fail(Exit::usage, "cli.usage", "there is no key at {}: give --key", file);
    e.public_key = CLI_TRY(parse_key(context, file));
    e.key_source = file;
  }
  if (const auto origin = args.find("--origin")) e.origin = *origin;
  if (e.origin.empty()) {
    const auto text = read_file(control + "/keys/audit.origin", 4096);
    // The first line of a checkpoint is the origin; a forged one does not verify under the key anyway.
    const auto note = text ? text : read_file(e.directory + "/checkpoint", 1u << 16);
    if (note) e.origin = note->substr(0, note->find('\n'));
  }
  return e;
}

std::vector<Option> evidence_options() {
  return {{"--log", "DIR", "a log or a copy of one (default: the daemon's, or DIR/control/audit)"},
          {"--key", "KEY|FILE",
           "the public key, kept elsewhere than the log: the check is worth as much as the way the key came "
           "to you"},
          {"--origin", "NAME", "the log's name (default: the daemon's, or what lies beside the log)"}};
}

}  // namespace saw::cli

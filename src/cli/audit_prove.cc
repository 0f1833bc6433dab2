// audit prove: proofs about the log as files, for somebody who has neither SAW nor the log.
#include <charconv>

#include <nlohmann/json.hpp>

#include "audit/checkpoint.h"
#include "audit/proof.h"
#include "base/bytes.h"
#include "base/file.h"
#include "cli/audit_evidence.h"
#include "cli/commands.h"

namespace saw::cli {
namespace {

constexpr unsigned kProofMode = 0644;

Attempt<uint64_t> entry_number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(Exit::usage, "cli.usage", "ENTRY is a number, counted from 0, not '{}'", text);
  return value;
}

struct Proof {
  std::string file, claim;
};

Attempt<Proof> prove_absent(const Context& context, const Evidence& e) {
  const auto session = context.args.find("--session"), call = context.args.find("--call");
  const auto destination = context.args.find("--destination");
  if (session.has_value() == call.has_value() || !destination)
    return fail(Exit::usage, "cli.usage",
                "--absent wants --session ID or --call ID, and --destination HOST: saw audit prove --absent "
                "--session ss-1 --destination evil.example");
  const audit::Absence what{session ? "session" : "call", session ? *session : *call, *destination};
  Proof proof{CLI_TRY(audit::prove_absence(e.directory, {e.origin, e.public_key}, what)),
              fmt::format("no entry joins {} {} with {}", what.scope, printable(what.id, 80),
                          printable(what.destination, 260))};
  return proof;
}

Attempt<Proof> prove(Context& context, const Evidence& e) {
  const audit::LogSigner signer{e.origin, e.public_key};
  const auto entry = context.args.find("ENTRY"), since = context.args.find("--since");
  const int wanted = int{entry.has_value()} + int{since.has_value()} + int{context.args.has("--absent")};
  if (wanted != 1)
    return fail(Exit::usage, "cli.usage", "name one thing to prove: ENTRY, --since FILE or --absent");
  if (context.args.has("--absent")) return prove_absent(context, e);
  if (entry) {
    const uint64_t number = CLI_TRY(entry_number(*entry));
    Proof proof{CLI_TRY(audit::prove_inclusion(e.directory, signer, number)),
                fmt::format("entry {} is in the log", number)};
    return proof;
  }
  const std::string note = CLI_TRY(read_file(absolute(context.places, *since), audit::kMaxCheckpoint));
  Proof proof{CLI_TRY(audit::prove_consistency(e.directory, signer, note)),
              "the log only grew since that checkpoint"};
  return proof;
}

Outcome audit_prove(Context& context) {
  const Evidence e = CLI_TRY(evidence(context));
  const Proof proof = CLI_TRY(prove(context, e));
  const auto out = context.args.find("--output");
  if (!out) {
    context.out.raw(proof.file);
    return 0;
  }
  const std::string path = absolute(context.places, *out);
  CLI_TRY(replace_file(path, proof.file, kProofMode, Durability::none));
  context.out.json(
      {{"claim", proof.claim}, {"file", path}, {"bytes", proof.file.size()}, {"origin", e.origin}});
  context.out.line(fmt::format("{}: {} ({} bytes)", path, proof.claim, proof.file.size()));
  context.out.note(
      fmt::format("check it with: tools/verify_proof.py {} --key {}", path, to_hex(e.public_key)));
  return 0;
}

}  // namespace

Command audit_prove_command() {
  std::vector<Option> options = {
      {"--since", "FILE", "that the log begins with what this earlier checkpoint signs"},
      {"--absent", "", "that a session or call never had to do with a destination"},
      {"--session", "ID", "with --absent: of this session"},
      {"--call", "ID", "with --absent: of this call"},
      {"--destination", "HOST", "with --absent: the name or address, as events have it"},
      {"-o,--output", "FILE", "where to write the proof (default: standard output)"}};
  for (const Option& option : evidence_options()) options.push_back(option);
  return {
      .path = "audit prove",
      .summary = "a proof about the log, as a file that anybody can check",
      .positionals = {{"ENTRY", "the number of an entry, counted from 0", Need::optional}},
      .options = options,
      .text =
          "The proof is JSON and holds the signed checkpoint it leads to. tools/verify_proof.py checks it "
          "with the log's public key and none of SAW's code. Nothing is issued that does not hold: a "
          "changed log, or a destination that is there after all, is exit status 1 and why.",
      .examples = {"saw audit prove 4711 -o entry.json",
                   "saw audit prove --since last-month.checkpoint -o grew.json",
                   "saw audit prove --absent --session ss-1 --destination evil.example -o never.json"},
      .run = audit_prove};
}

}  // namespace saw::cli

// policy prove: the question goes to saw-prove, a confined program of its own; what it claims to have found
// is put to the engine here, and shown only if the engine agrees.
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/spawn.h"
#include "policy/claim.h"

namespace saw::cli {
namespace {

using nlohmann::json;
using policy::Claim;
using policy::Confirmation;
using policy::Policy;

constexpr int64_t kProveWithinMs = 90'000;

struct Given {
  std::string file, text;
  Policy policy;
};

Attempt<Given> read(Context& context, const std::string& file) {
  std::string text = CLI_TRY(read_file(absolute(context.places, file)));
  auto read = Policy::compile(text, file);
  if (read) return Given{file, std::move(text), std::move(*read)};
  std::string lines;
  for (const policy::Diagnostic& d : read.error()) lines += (lines.empty() ? "" : "\n") + d.text();
  return fail(Exit::failed, "policy.invalid", "{}", lines);
}

// The JSON object in `text`, or the text: decisions are the one, words the other.
json value_of(const std::string& text) {
  json parsed = json::parse(text, nullptr, false);
  return parsed.is_object() ? parsed : json(text);
}

std::string sentence(const Claim& claim) {
  if (claim.matter == "effect") return "the candidate lets a request pass that the ceiling does not";
  if (claim.matter == "dns") return "the candidate resolves a name that the ceiling does not";
  if (claim.matter == "credential") return "the candidate sends a credential where the ceiling does not";
  if (claim.matter == "content") return "the candidate calls an answer trusted that the ceiling does not";
  if (claim.matter == "data") return "the candidate calls an answer less confidential than the ceiling";
  if (claim.matter == "file")
    return fmt::format("the candidate lets {} {}", claim.access, printable(claim.path));
  if (claim.matter == "label")
    return fmt::format("the candidate does not label {} {}", printable(claim.path), claim.access);
  return fmt::format("the candidate is weaker in {}", claim.setting);
}

Outcome show_claim(Context& context, const Claim& claim, const Confirmation& confirmation) {
  json report = {{"verdict", "counterexample"}, {"matter", claim.matter}, {"confirmed", true}};
  if (!claim.request.empty()) report["request"] = value_of(claim.request);
  if (!claim.path.empty()) report["path"] = claim.path;
  if (!claim.access.empty()) report["access"] = claim.access;
  if (!claim.setting.empty()) report["setting"] = claim.setting;
  report["candidate"] = value_of(confirmation.candidate);
  report["ceiling"] = value_of(confirmation.ceiling);
  context.out.json(report);
  context.out.line("counterexample: " + sentence(claim));
  context.out.field("request", claim.request);
  context.out.field("candidate", confirmation.candidate);
  context.out.field("ceiling", confirmation.ceiling);
  if (!claim.request.empty())
    context.out.note("confirmed: both answers are the engine's (saw policy decide)");
  return 1;
}

Outcome unknown(Context& context, const std::string& reason) {
  context.out.json({{"verdict", "unknown"}, {"reason", reason}});
  context.out.line("unknown: " + printable(reason));
  context.out.note("unknown is not proved: no request was found that gets past, and none was ruled out");
  return 1;
}

Outcome policy_prove(Context& context) {
  const auto within = context.args.find("--within");
  if (!within)
    return fail(Exit::usage, "cli.usage", "say what the policy must stay within: --within CEILING");
  const Given candidate = CLI_TRY(read(context, context.args.text("CANDIDATE")));
  const Given ceiling = CLI_TRY(read(context, *within));
  const std::string question = fmt::format("within {} {}\n{}{}", candidate.text.size(), ceiling.text.size(),
                                           candidate.text, ceiling.text);
  const auto said = answer_of(context.places.programs + "/saw-prove", question, kProveWithinMs);
  if (!said) return unknown(context, said.error().message);
  const json answer = json::parse(*said, nullptr, false);
  const std::string verdict = text_of(answer, "verdict");
  if (verdict == "proved") {
    context.out.json({{"verdict", "proved"},
                      {"candidate", digest_text(candidate.policy.digest())},
                      {"ceiling", digest_text(ceiling.policy.digest())}});
    context.out.line(fmt::format("proved: nothing gets past '{}' with '{}'", ceiling.file, candidate.file));
    return 0;
  }
  if (verdict != "counterexample") {
    const std::string reason = text_of(answer, "reason");
    return unknown(context, reason.empty() ? "saw-prove gave no answer" : reason);
  }
  const Claim claim = {.matter = text_of(answer, "matter"),
                       .request = text_of(answer, "request"),
                       .path = text_of(answer, "path"),
                       .access = text_of(answer, "access"),
                       .setting = text_of(answer, "setting")};
  const Confirmation confirmation = confirm(candidate.policy, ceiling.policy, claim);
  if (!confirmation.holds)
    return fail(Exit::saw_failed, "prove.unconfirmed",
                "a bug in the prover: it claims that {}, and the engine disagrees. Nothing is proved. Please "
                "report it with both policies. What it found: {}; the candidate: {}; the ceiling: {}",
                sentence(claim), printable(claim.request), printable(confirmation.candidate),
                printable(confirmation.ceiling));
  return show_claim(context, claim, confirmation);
}

}  // namespace

std::vector<Command> prove_commands() {
  return {
      {.path = "policy prove",
       .summary = "prove that a policy stays within a ceiling",
       .positionals = {{"CANDIDATE", "the policy that is to be trusted"}},
       .options = {{"--within", "CEILING", "the policy that it must not get past"}},
       .text =
           "Answers 'proved', 'counterexample' or 'unknown'; exit status 0 only for proved. Within means, "
           "for "
           "every request and file there is: the\ncandidate lets nothing pass that the ceiling denies, "
           "nothing "
           "unreviewed that it reviews, sends no credential where the ceiling does not,\nlabels no answer or "
           "file less, and weakens no setting. A counterexample is a request for `saw policy decide`, and "
           "both "
           "answers are shown.\n'unknown' is never 'proved'. Budgets and rate limits are not looked at. "
           "Needs "
           "no daemon.",
       .examples = {"saw policy prove team.yaml --within corporate.yaml"},
       .run = policy_prove},
  };
}

}  // namespace saw::cli

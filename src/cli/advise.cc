#include "cli/advise.h"

namespace saw::cli {
namespace {

bool yes(Answer answer) {
  return answer == Answer::yes;
}

Advice hosting_platform() {
  return {.home = Home::hosting_platform,
          .summary = "This belongs on a service-hosting platform; SAW refuses it.",
          .reasons = {"A workspace has one owner, and a port it exposes serves that owner only.",
                      "Serving others needs what a hosting platform has: tenancy, scaling, an on-call, a "
                      "release process."},
          .next = {"develop the service in a workspace, deploy it elsewhere"}};
}

Advice endpoint() {
  return {.home = Home::endpoint,
          .summary = "This belongs on your own machine; SAW is not needed.",
          .reasons = {"A person takes each step, so nothing acts out of sight of its owner.",
                      "SAW's command line and an IDE can still attach to a workspace from here."},
          .next = {}};
}

Advice split() {
  return {.home = Home::split,
          .summary =
              "This belongs in two workspaces, one public and one corporate, with a person carrying results "
              "between them.",
          .reasons = {"Private data, untrusted content and a way out in one context make an agent a weapon: "
                      "reading the open internet is also a "
                      "channel outwards.",
                      "The public profile takes away the private data; the corporate profile takes away the "
                      "wide internet. No profile gives both.",
                      "If the internet reach can be named host by host, one corporate workspace with an "
                      "allowlist is enough."},
          .next = {"saw workspace create research --profile public --policy FILE",
                   "saw workspace create work --profile corporate --policy FILE"}};
}

Advice corporate() {
  return {.home = Home::corporate_workspace,
          .summary = "This belongs in a workspace of the corporate profile.",
          .reasons = {"It acts by itself and reaches internal services, so reach is an allowlist, "
                      "credentials are injected at egress, and writes to the "
                      "outside wait for a person."},
          .next = {"saw workspace create work --profile corporate --policy FILE"}};
}

Advice public_workspace(const Needs& needs) {
  Advice advice{.home = Home::public_workspace,
                .summary = "This belongs in a workspace of the public profile.",
                .reasons = {"It acts by itself, so it runs where its reach, its credentials and its record "
                            "are outside its control."},
                .next = {"saw workspace create work --profile public --policy FILE"}};
  advice.reasons.emplace_back(yes(needs.internet)
                                  ? "Wide internet reach is safe to give only where there is no private "
                                    "data, no corporate network and no corporate credential."
                                  : "It needs neither internal services nor private data: the profile that "
                                    "has none is the smallest one that fits.");
  return advice;
}

}  // namespace

std::string_view name(Home home) {
  switch (home) {
    case Home::endpoint:
      return "endpoint";
    case Home::public_workspace:
      return "public";
    case Home::corporate_workspace:
      return "corporate";
    case Home::split:
      return "split";
    case Home::hosting_platform:
      break;
  }
  return "hosting-platform";
}

Advice advise(const Needs& needs) {
  if (yes(needs.serves_others)) return hosting_platform();
  // What runs for days with nobody attached acts by itself, whether or not it was called autonomous.
  if (!yes(needs.autonomous) && !yes(needs.long_running)) return endpoint();
  Advice advice =
      yes(needs.internal) ? (yes(needs.internet) ? split() : corporate()) : public_workspace(needs);
  if (yes(needs.long_running)) {
    advice.timescale = "workspace";
    advice.reasons.emplace_back(
        "It is long-running: it lives in the workspace itself, whose files and processes stay when nobody is "
        "attached.");
  } else {
    advice.timescale = "session or call";
    advice.reasons.emplace_back(
        "It comes in bursts: a session is discarded at its end, and a call is clean each time.");
  }
  return advice;
}

}  // namespace saw::cli

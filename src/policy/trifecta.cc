#include "policy/trifecta.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/document.h"
#include "policy/vocabulary.h"

namespace saw::policy {
namespace {

constexpr Labels kBoth = kPrivate | kUntrusted;

bool admits_anything(const Entry& entry) {
  return std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.effect != Effect::deny; });
}

std::vector<std::string> labelled_files(const Document& d, Labels label) {
  std::vector<std::string> out;
  for (const FileLabel& file : d.filesystem.labels)
    if (file.add == label) out.push_back(fmt::format("files below {} are labelled so", file.path));
  return out;
}

TrifectaLeg private_data(const Document& d) {
  TrifectaLeg leg{.letter = 'a', .what = "private data", .because = labelled_files(d, kPrivate)};
  for (const Entry& entry : d.network)
    if (entry.data == DataClass::private_data && admits_anything(entry))
      leg.because.push_back(fmt::format("answers of '{}' are (data: private)", entry.name));
  leg.present = !leg.because.empty();
  if (!leg.present)
    leg.because.emplace_back("no file label is private and no entry that admits anything has data: private");
  return leg;
}

TrifectaLeg untrusted_content(const Document& d) {
  TrifectaLeg leg{.letter = 'b', .what = "untrusted content", .because = labelled_files(d, kUntrusted)};
  for (const Entry& entry : d.network)
    if (entry.content == Trust::untrusted && admits_anything(entry))
      leg.because.push_back(fmt::format("answers of '{}' are (content: untrusted)", entry.name));
  leg.present = !leg.because.empty();
  if (!leg.present)
    leg.because.emplace_back(
        "no file label is untrusted and every entry that admits anything has content: trusted");
  return leg;
}

// How an entry to the outside treats a tree with both labels; empty: it admits nothing of it.
std::string way_out(const Document& d, const Entry& entry) {
  bool allows = false, reviews = false;
  for (const Rule& rule : entry.rules) {
    if (rule.effect == Effect::deny || !rule.when.holds(kBoth)) continue;
    (rule.effect == Effect::allow ? allows : reviews) = true;
  }
  if (!allows && !reviews) return {};
  if (d.trifecta == Effect::deny) return fmt::format("'{}' sends outside, and is denied then", entry.name);
  return fmt::format("'{}' sends outside, and waits for a person then", entry.name);
}

TrifectaLeg outward(const Document& d) {
  TrifectaLeg leg{.letter = 'c', .what = "outward communication"};
  bool external = false;
  for (const Entry& entry : d.network) {
    if (entry.reach != Reach::external || !admits_anything(entry)) continue;
    external = true;
    if (std::string way = way_out(d, entry); !way.empty()) leg.because.push_back(std::move(way));
  }
  leg.present = !leg.because.empty();
  if (!leg.present)
    leg.because.emplace_back(
        external ? "no rule of an entry with reach: external holds for a tree with both labels"
                 : "no entry that admits anything has reach: external");
  return leg;
}

std::string conclude(const Document& d, const std::array<TrifectaLeg, 3>& legs) {
  std::vector<std::string> absent;
  for (const TrifectaLeg& leg : legs)
    if (!leg.present) absent.push_back(fmt::format("leg {}", leg.letter));
  if (!absent.empty())
    return fmt::format("the three cannot meet by this policy: {} absent; what nobody labelled does not count",
                       fmt::join(absent, " and "));
  return fmt::format(
      "the three can meet; once one process tree holds a and b, its way out is held to "
      "'trifecta.privateAndUntrusted: {}'; what nobody labelled does not count",
      name_of(kTrifecta, d.trifecta));
}

}  // namespace

std::vector<std::string> Trifecta::lines() const {
  std::vector<std::string> out;
  for (const TrifectaLeg& leg : legs)
    out.push_back(fmt::format("leg {}, {}: {} because {}", leg.letter, leg.what,
                              leg.present ? "present" : "absent", fmt::join(leg.because, "; ")));
  out.push_back(conclusion);
  return out;
}

Trifecta trifecta_of(const Policy& policy) {
  const Document& d = policy.document();
  Trifecta out{.legs = {private_data(d), untrusted_content(d), outward(d)}, .conclusion = {}};
  out.conclusion = conclude(d, out.legs);
  return out;
}

}  // namespace saw::policy

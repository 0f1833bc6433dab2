// Tries what must not work in this sandbox, and what must, and says how each went (R117). saw-node judges.
//
//   std::vector<sandbox::ProbeOutcome> outcomes = run_probes(subject);
//
// saw-init itself tries nothing: a short-lived child does, confined as every command is. The child goes through the list as
// long as all is as expected; one that met a surprise, changed itself, was killed or hangs is replaced by a fresh one for the
// rest. Each attempt, and the whole run, is bounded in time.
#pragma once

#include <cerrno>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/probe_list.h"

namespace saw::init {

constexpr int kProbeMs = 1'000, kProbeRunMs = 5'000;

struct Seen {
  sandbox::Ending ending = sandbox::Ending::done;
  int32_t number = 0;
  std::string detail;
};
inline Seen done(std::string detail = {}) {
  return {sandbox::Ending::done, 0, std::move(detail)};
}
inline Seen differs(std::string detail) {
  return {sandbox::Ending::differs, 0, std::move(detail)};
}
inline Seen refused(int error, std::string detail = {}) {
  return {sandbox::Ending::refused, error, std::move(detail)};
}
// Of a call that returns a negative number and sets errno when it fails.
inline Seen result_of(long returned, std::string detail = {}) {
  return returned < 0 ? refused(errno, std::move(detail)) : done(std::move(detail));
}

struct Context {
  const sandbox::ProbeSubject& subject;
  const sandbox::Probe& probe;
  const std::string& inherited;  // descriptors that a command would get beyond its own three
  bool expects(const Seen& seen) const {
    return sandbox::is_expected(probe, {.ending = seen.ending, .number = seen.number});
  }
};

// The first surprise among several attempts, or the last outcome. None at all is a surprise too.
template <class Items, class Try> Seen each(const Context& context, const Items& items, Try attempt) {
  Seen seen = differs("there was nothing to try");
  for (const auto& item : items)
    if (seen = attempt(item); !context.expects(seen)) break;
  return seen;
}

struct Attempt {
  std::string_view probe;
  Seen (*run)(const Context&);
  enum class Leaves : uint8_t { as_before, changed } process = Leaves::as_before;
};
// probe_files.cc, probe_network.cc, probe_processes.cc, probe_kernel.cc
std::span<const Attempt> file_attempts();
std::span<const Attempt> network_attempts();
std::span<const Attempt> process_attempts();
std::span<const Attempt> kernel_attempts();
// nullptr: nobody wrote it.
const Attempt* find_attempt(std::string_view probe);

std::vector<sandbox::ProbeOutcome> run_probes(const sandbox::ProbeSubject& subject);
// Only the probes with these positions, whether they apply or not: for tests.
std::vector<sandbox::ProbeOutcome> run_probes(const sandbox::ProbeSubject& subject,
                                              const std::vector<uint16_t>& probes);

// A name that nobody can have guessed, for what a probe creates in `directory`.
std::string fresh_name(std::string_view directory);

}  // namespace saw::init

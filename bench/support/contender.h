// One way to run a command, and a fair race between several: in every round each runs once, in an order that
// is shuffled anew, so that nobody always runs in the wake of the same neighbour.
//
//   race({.rounds = 1000, .pace_ms = 0}, contenders, report, "tight loop");
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "support/figures.h"

namespace saw::bench {

// µs since an arbitrary moment.
double now_us();

struct Timing {
  double result_us = 0;  // until the caller knows how the command ended
  // Until nothing of it is left, where that is later than the result.
  std::optional<double> gone_us = {};
};

class Contender {
 public:
  virtual ~Contender() = default;
  virtual std::string name() const = 0;
  // Why it cannot run here ("not installed"), or empty.
  virtual std::string absent() const { return {}; }
  // Timing::gone_us will be there.
  virtual bool is_gone_later() const { return false; }
  // What is to be said about the runs so far; may be empty.
  virtual std::string remark() const { return {}; }
  virtual Result<Timing> run() = 0;
};

struct Race {
  int rounds = 1000;
  int pace_ms = 0;   // one call every so many milliseconds; 0: a tight loop
  int warm_up = 20;  // rounds before, not counted
};
Result<> race(const Race& race, const std::vector<std::unique_ptr<Contender>>& contenders, Report& report,
              const std::string& section);

}  // namespace saw::bench

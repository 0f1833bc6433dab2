#include "support/contender.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>
#include <thread>

namespace saw::bench {
namespace {

// Calls begin on a grid of `pace_ms`; who is late waits for the next point.
class Pacer {
 public:
  explicit Pacer(int pace_ms) : step_(pace_ms), next_(std::chrono::steady_clock::now()) {}
  void wait() {
    if (step_.count() == 0) return;
    const auto now = std::chrono::steady_clock::now();
    while (next_ <= now) next_ += step_;
    std::this_thread::sleep_until(next_);
  }

 private:
  std::chrono::milliseconds step_;
  std::chrono::steady_clock::time_point next_;
};

std::string gone_name(const Contender& contender) {
  return contender.name() + ", until gone";
}

void note(Report& report, const std::string& section, const Contender& contender, const Timing& timing) {
  report.row(section, contender.name()).micros.push_back(timing.result_us);
  if (timing.gone_us) report.row(section, gone_name(contender)).micros.push_back(*timing.gone_us);
}

}  // namespace

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Result<> race(const Race& race, const std::vector<std::unique_ptr<Contender>>& contenders, Report& report,
              const std::string& section) {
  std::vector<Contender*> present;
  for (const auto& contender : contenders) {
    Row& row = report.row(section, contender->name());
    row.note = contender->absent();
    if (contender->is_gone_later()) report.row(section, gone_name(*contender));
    if (row.note.empty()) present.push_back(contender.get());
  }
  std::minstd_rand random(1);  // the same order in every run
  Pacer pacer(race.pace_ms);
  for (int round = -race.warm_up; round < race.rounds; ++round) {
    std::ranges::shuffle(present, random);
    for (Contender* contender : present) {
      pacer.wait();
      const Timing timing = SAW_TRY(contender->run(), contender->name());
      if (round >= 0) note(report, section, *contender, timing);
    }
  }
  for (Contender* contender : present) report.row(section, contender->name()).note = contender->remark();
  return {};
}

}  // namespace saw::bench

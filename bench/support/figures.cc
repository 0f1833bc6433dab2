#include "support/figures.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>

namespace saw::bench {
namespace {

constexpr int kQuantiles = 200;  // of a distribution, for plots

double at(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::vector<double> quantiles(std::vector<double> samples) {
  std::ranges::sort(samples);
  std::vector<double> out;
  for (int i = 0; i <= kQuantiles; ++i) out.push_back(at(samples, static_cast<double>(i) / kQuantiles));
  return out;
}

std::string host() {
  utsname names{};
  ::uname(&names);
  return fmt::format("Linux {}, {} CPUs", names.release, std::thread::hardware_concurrency());
}

}  // namespace

Percentiles percentiles(std::vector<double> samples) {
  std::ranges::sort(samples);
  return {at(samples, 0.5), at(samples, 0.95), at(samples, 0.99)};
}

Row& Report::row(const std::string& section, const std::string& name) {
  const auto found =
      std::ranges::find_if(rows_, [&](const Row& row) { return row.section == section && row.name == name; });
  if (found != rows_.end()) return *found;
  return rows_.emplace_back(Row{.section = section, .name = name});
}

const Row* Report::reference(const Row& row) const {
  if (title_.compare == Compare::nothing) return nullptr;
  const auto found = std::ranges::find_if(
      rows_, [&](const Row& other) { return other.section == row.section && !other.micros.empty(); });
  return found == rows_.end() ? nullptr : &*found;
}

std::string Report::table() const {
  std::string out = fmt::format("# {}: {}\n# {}\n", title_.bench, title_.method, host());
  std::string section;
  for (const Row& row : rows_) {
    if (row.section != section) {
      section = row.section;
      out += fmt::format("\n{:<44} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7}\n", section + ", µs", "median", "p95",
                         "p99", "n", title_.compare == Compare::nothing ? "" : "× first", "p99/p50");
    }
    if (row.micros.empty()) {
      out += fmt::format("{:<43} {}\n", row.name, row.note.empty() ? "no samples" : row.note);
      continue;
    }
    const Percentiles p = percentiles(row.micros);
    const Row* first = reference(row);
    const std::string ratio =
        first ? fmt::format("{:.2f}", p.median / percentiles(first->micros).median) : "";
    out += fmt::format("{:<43} {:>9.0f} {:>9.0f} {:>9.0f} {:>8} {:>8} {:>7.2f}{}\n", row.name, p.median,
                       p.p95, p.p99, row.micros.size(), ratio, p.p99 / p.median,
                       row.note.empty() ? "" : "   " + row.note);
  }
  section.clear();
  for (const Amount& amount : amounts_) {
    if (amount.section != section) out += fmt::format("\n{}\n", section = amount.section);
    out += fmt::format("{:<43} {:>9.1f} {}\n", amount.name, amount.value, amount.unit);
  }
  return out;
}

std::string Report::json() const {
  nlohmann::json rows = nlohmann::json::array(), amounts = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json out = {{"section", row.section}, {"name", row.name}, {"n", row.micros.size()}};
    if (!row.note.empty()) out["note"] = row.note;
    if (!row.micros.empty()) {
      const Percentiles p = percentiles(row.micros);
      out["median_us"] = p.median;
      out["p95_us"] = p.p95;
      out["p99_us"] = p.p99;
      out["quantiles_us"] = quantiles(row.micros);  // from the least to the greatest, evenly
      if (const Row* first = reference(row)) {
        out["ratio"] = p.median / percentiles(first->micros).median;
        out["ratio_to"] = first->name;
      }
    }
    rows.push_back(std::move(out));
  }
  for (const Amount& amount : amounts_)
    amounts.push_back(
        {{"section", amount.section}, {"name", amount.name}, {"unit", amount.unit}, {"value", amount.value}});
  return nlohmann::json{{"bench", title_.bench},
                        {"method", title_.method},
                        {"host", host()},
                        {"rows", rows},
                        {"amounts", amounts}}
      .dump(1);
}

void Report::print() const {
  std::fflush(stdout);
  std::fputs(table().c_str(), stderr);
  std::fflush(stderr);
  std::puts(json().c_str());
}

}  // namespace saw::bench

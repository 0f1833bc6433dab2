// Figures of a benchmark: samples by name, printed as a table for people and as JSON for programs.
//
//   Report report({.bench = "call", .method = "…"});
//   Row& row = report.row("tight", "bare spawn");
//   row.micros.push_back(…);
//   report.print();                 // the table to stderr, one JSON document to stdout
//
// Rows of one section are compared at the median with the section's first row, unless Title says otherwise.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace saw::bench {

struct Row {
  std::string section, name;
  std::vector<double> micros = {};
  std::string note = {};  // instead of figures: "not installed"
};

// A figure that is not a latency: calls per second, bytes a sandbox.
struct Amount {
  std::string section, name, unit;
  double value = 0;
};

struct Percentiles {
  double median = 0, p95 = 0, p99 = 0;
};
Percentiles percentiles(std::vector<double> samples);  // of at least one

enum class Compare : uint8_t { with_first_row, nothing };

class Report {
 public:
  struct Title {
    std::string bench, method;
    Compare compare = Compare::with_first_row;
  };
  explicit Report(Title title) : title_(std::move(title)) {}

  Row& row(const std::string& section, const std::string& name);  // made when it is new; stays where it is
  void amount(Amount amount) { amounts_.push_back(std::move(amount)); }
  void print() const;
  const std::deque<Row>& rows() const { return rows_; }

 private:
  std::string table() const;
  std::string json() const;
  const Row* reference(const Row& row) const;  // null where nothing is compared

  Title title_;
  std::deque<Row> rows_;
  std::vector<Amount> amounts_;
};

}  // namespace saw::bench

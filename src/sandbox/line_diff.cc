#include "sandbox/line_diff.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace saw::sandbox {
namespace {

using Lines = std::vector<std::string_view>;  // each with its newline, if it has one

Lines split(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const size_t size = end == text.npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

struct Edit {
  char sign = ' ';
  std::string_view line;
};

// The greedy algorithm: for each number of edits d, how far along each diagonal one comes (`reach`); the trace
// of all reaches leads back. false: more than kMaxEdits.
class Myers {
 public:
  Myers(const Lines& a, const Lines& b)
      : a_(a), b_(b), n_(static_cast<long>(a.size())), m_(static_cast<long>(b.size())) {}

  bool run(std::vector<Edit>& out) {
    const long limit = std::min<long>(static_cast<long>(kMaxEdits), n_ + m_);
    std::vector<long> reach(static_cast<size_t>(2 * limit + 3), 0);
    for (long d = 0; d <= limit; ++d) {
      trace_.push_back(
          std::vector<long>(reach.begin() + (limit + 1 - d - 1), reach.begin() + (limit + 1 + d + 2)));
      for (long k = -d; k <= d; k += 2) {
        auto at = [&](long diagonal) -> long& { return reach[static_cast<size_t>(limit + 1 + diagonal)]; };
        long x = (k == -d || (k != d && at(k - 1) < at(k + 1))) ? at(k + 1) : at(k - 1) + 1;
        while (x < n_ && x - k < m_ && a_[static_cast<size_t>(x)] == b_[static_cast<size_t>(x - k)]) ++x;
        at(k) = x;
        if (x >= n_ && x - k >= m_) return back(d, out), true;
      }
    }
    return false;
  }

 private:
  void back(long d, std::vector<Edit>& out) const {
    long x = n_, y = m_;
    for (; d >= 0; --d) {
      const std::vector<long>& row = trace_[static_cast<size_t>(d)];  // diagonals -d-1 … d+1
      auto at = [&](long diagonal) { return row[static_cast<size_t>(diagonal + d + 1)]; };
      const long k = x - y;
      const long from = (k == -d || (k != d && at(k - 1) < at(k + 1))) ? k + 1 : k - 1;
      const long before_x = d == 0 ? 0 : at(from), before_y = d == 0 ? 0 : before_x - from;
      while (x > before_x && y > before_y) out.push_back({' ', a_[static_cast<size_t>(--x)]}), --y;
      if (d == 0) break;
      if (x == before_x)
        out.push_back({'+', b_[static_cast<size_t>(--y)]});
      else
        out.push_back({'-', a_[static_cast<size_t>(--x)]});
    }
    std::ranges::reverse(out);
  }

  const Lines &a_, &b_;
  long n_, m_;
  std::vector<std::vector<long>> trace_;
};

std::vector<Edit> edits_of(Lines a, Lines b) {
  std::vector<Edit> head, middle, tail;
  size_t same = 0;
  while (same < a.size() && same < b.size() && a[same] == b[same]) head.push_back({' ', a[same++]});
  a.erase(a.begin(), a.begin() + static_cast<ptrdiff_t>(same));
  b.erase(b.begin(), b.begin() + static_cast<ptrdiff_t>(same));
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    tail.push_back({' ', a.back()});
    a.pop_back(), b.pop_back();
  }
  if (!Myers(a, b).run(middle)) {
    middle.clear();
    for (std::string_view line : a) middle.push_back({'-', line});
    for (std::string_view line : b) middle.push_back({'+', line});
  }
  head.insert(head.end(), middle.begin(), middle.end());
  head.insert(head.end(), tail.rbegin(), tail.rend());
  return head;
}

std::string range(size_t start, size_t count) {
  return count == 1 ? fmt::format("{}", start) : fmt::format("{},{}", count == 0 ? start - 1 : start, count);
}

void write_hunk(const std::vector<Edit>& edits, size_t from, size_t to, size_t a, size_t b,
                std::string& out) {
  size_t before = 0, after = 0;
  for (size_t i = from; i < to; ++i) before += edits[i].sign != '+', after += edits[i].sign != '-';
  out += fmt::format("@@ -{} +{} @@\n", range(a, before), range(b, after));
  for (size_t i = from; i < to; ++i) {
    out.push_back(edits[i].sign);
    out += edits[i].line;
    if (!edits[i].line.ends_with('\n')) out += "\n\\ No newline at end of file\n";
  }
}

}  // namespace

bool is_text(std::string_view bytes) {
  return bytes.find('\0') == bytes.npos;
}

std::optional<std::string> unified_diff(std::string_view before, std::string_view after) {
  constexpr size_t kContext = 3;
  if (before.size() > kMaxText || after.size() > kMaxText || !is_text(before) || !is_text(after))
    return std::nullopt;
  const std::vector<Edit> edits = edits_of(split(before), split(after));
  std::string out;
  size_t a = 1, b = 1, done = 0;  // line numbers at `done`
  for (size_t i = 0; i < edits.size();) {
    if (edits[i].sign == ' ') {
      ++i;
      continue;
    }
    // From three lines before this edit to three after the last one that is near.
    const size_t from = std::max(done, i > kContext ? i - kContext : 0);
    size_t last = i, to = i + 1;
    for (; to < edits.size() && to - last <= 2 * kContext; ++to)
      if (edits[to].sign != ' ') last = to;
    to = std::min(edits.size(), last + 1 + kContext);
    for (; done < from; ++done) a += edits[done].sign != '+', b += edits[done].sign != '-';
    write_hunk(edits, from, to, a, b, out);
    for (; done < to; ++done) a += edits[done].sign != '+', b += edits[done].sign != '-';
    i = to;
  }
  return out;
}

}  // namespace saw::sandbox

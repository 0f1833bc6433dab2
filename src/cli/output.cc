#include "cli/output.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/bytes.h"

namespace saw::cli {
namespace {

constexpr size_t kMaxCell = 160;

std::string_view code_of(Tone tone) {
  switch (tone) {
    case Tone::good:
      return "\x1b[32m";
    case Tone::warn:
      return "\x1b[33m";
    case Tone::bad:
      return "\x1b[31m";
    case Tone::dim:
      return "\x1b[2m";
    case Tone::bold:
      return "\x1b[1m";
    case Tone::plain:
      break;
  }
  return "";
}

// Words whose meaning has a colour, wherever a table shows them.
Tone tone_of(std::string_view cell) {
  static constexpr std::string_view kGood[] = {"running", "active", "approved", "ok", "on", "ready"};
  static constexpr std::string_view kWarn[] = {"pending",  "degraded",   "starting",
                                               "stopping", "restarting", "suspended"};
  static constexpr std::string_view kBad[] = {"failed", "denied", "revoked",  "missing",
                                              "off",    "down",   "timed_out"};
  auto is_in = [&](const auto& words) { return std::ranges::find(words, cell) != std::end(words); };
  if (is_in(kGood)) return Tone::good;
  if (is_in(kWarn)) return Tone::warn;
  if (is_in(kBad)) return Tone::bad;
  return Tone::plain;
}

}  // namespace

Output::Output(Write out, Write err, Format format, Paint paint)
    : out_(std::move(out)), err_(std::move(err)), format_(format), paint_(paint) {}

void Output::line(std::string_view text) const {
  if (!is_json()) out_(fmt::format("{}\n", text));
}

void Output::json(const nlohmann::json& document) const {
  if (is_json()) out_(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void Output::note(std::string_view text) const {
  err_(fmt::format("saw: {}\n", text));
}

std::string Output::painted(std::string_view text, Tone tone) const {
  if (paint_ == Paint::plain || tone == Tone::plain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", code_of(tone), text);
}

void Output::table(const Row& heads, const std::vector<Row>& rows, std::string_view empty) const {
  if (is_json()) return;
  if (rows.empty()) return note(empty);
  std::vector<Row> cells = rows;
  std::vector<size_t> widths(heads.size());
  for (size_t i = 0; i < heads.size(); ++i) widths[i] = heads[i].size();
  for (Row& row : cells) {
    row.resize(heads.size());
    for (size_t i = 0; i < heads.size(); ++i) {
      row[i] = row[i].empty() ? "-" : printable(row[i], kMaxCell);
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  auto render = [&](const Row& row, auto tone) {
    std::string text;
    for (size_t i = 0; i < row.size(); ++i) {
      text += painted(row[i], tone(row[i]));
      if (i + 1 < row.size()) text += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    line(text);
  };
  render(heads, [](std::string_view) { return Tone::bold; });
  for (const Row& row : cells) render(row, tone_of);
}

void Output::field(std::string_view name, std::string_view value) const {
  constexpr size_t kNameWidth = 14, kMaxValue = 2000;
  if (value.empty()) return;
  const std::string label = fmt::format("{}:", name);
  line(fmt::format("  {:<{}} {}", label, kNameWidth, painted(printable(value, kMaxValue), tone_of(value))));
}

nlohmann::json to_json(const Failure& failure) {
  nlohmann::json error = {{"code", failure.code}, {"reason", failure.reason}};
  if (!failure.layer.empty()) error["layer"] = failure.layer;
  if (!failure.rule.empty()) error["rule"] = failure.rule;
  if (!failure.ask.empty()) error["ask"] = failure.ask;
  return {{"error", std::move(error)}};
}

void Output::failure(const Failure& failure) const {
  constexpr size_t kMaxReason = 4000;
  json(to_json(failure));
  const std::string what = failure.exit == Exit::refused ? "refused: " : "";
  // Several lines (diagnostics) stay several lines.
  std::string reason, rest = failure.reason;
  for (size_t end; !rest.empty(); rest.erase(0, end + 1)) {
    end = std::min(rest.find('\n'), rest.size());
    reason += (reason.empty() ? "" : "\n  ") + printable(rest.substr(0, end), kMaxReason);
    if (end == rest.size()) break;
  }
  err_(fmt::format("{} {}{}\n", painted("saw:", Tone::bad), what, reason));
  auto detail = [&](std::string_view name, const std::string& value) {
    if (!value.empty())
      err_(fmt::format("  {:<7}{}\n", fmt::format("{}:", name), printable(value, kMaxReason)));
  };
  if (failure.exit == Exit::refused) detail("code", failure.code);
  detail("layer", failure.layer);
  detail("rule", failure.rule);
  detail(failure.exit == Exit::refused ? "ask" : "next", failure.ask);
}

}  // namespace saw::cli

#include "policy/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "policy/tally.h"

namespace saw::policy {
namespace {

// Lower case, with the two letters outside ASCII that case folding turns into ASCII.
std::string folded(std::string_view key) {
  constexpr std::string_view kLongS = "\xc5\xbf", kKelvin = "\xe2\x84\xaa";
  std::string out;
  for (size_t i = 0; i < key.size(); ++i) {
    if (key.substr(i).starts_with(kLongS)) {
      out += 's';
      i += kLongS.size() - 1;
    } else if (key.substr(i).starts_with(kKelvin)) {
      out += 'k';
      i += kKelvin.size() - 1;
    } else {
      out += key[i] >= 'A' && key[i] <= 'Z' ? static_cast<char>(key[i] + 32) : key[i];
    }
  }
  return out;
}

std::string number_text(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::trunc(value) == value && std::abs(value) <= kExact)
    return fmt::format("{}", static_cast<int64_t>(value));
  return fmt::format("{}", value);
}

class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string_view reason = "malformed:json";
  Json root;

  bool null() override { return put({.kind = Json::Kind::null, .text = "null"}); }
  bool boolean(bool value) override {
    return put({.kind = Json::Kind::boolean, .text = value ? "true" : "false"});
  }
  bool number_integer(number_integer_t value) override {
    return put({.kind = Json::Kind::number, .text = fmt::format("{}", value)});
  }
  bool number_unsigned(number_unsigned_t value) override {
    return put({.kind = Json::Kind::number, .text = fmt::format("{}", value)});
  }
  bool number_float(number_float_t value, const string_t&) override {
    return put({.kind = Json::Kind::number, .text = number_text(value)});
  }
  bool string(string_t& value) override { return put({.kind = Json::Kind::text, .text = std::move(value)}); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& name) override {
    open_.back().key = std::move(name);
    return true;
  }
  bool start_object(std::size_t) override { return open(Json::Kind::object); }
  bool start_array(std::size_t) override { return open(Json::Kind::list); }
  bool end_object() override { return unique_members() && close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  struct Open {
    Json value;
    std::string key;  // of the member being read
  };

  bool fail(std::string_view why) {
    reason = why;
    return false;
  }
  bool open(Json::Kind kind) {
    if (open_.size() == Json::kMaxDepth) return fail("malformed:json-oversized");
    open_.push_back({.value = {.kind = kind}});
    return true;
  }
  bool close() {
    Json done = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(done));
  }
  bool put(Json value) {
    if (++nodes_ > Json::kMaxNodes) return fail("malformed:json-oversized");
    if (open_.empty()) {
      root = std::move(value);
      return true;
    }
    Open& parent = open_.back();
    if (parent.value.kind == Json::Kind::object)
      parent.value.members.push_back({std::move(parent.key), std::move(value)});
    else
      parent.value.items.push_back(std::move(value));
    return true;
  }
  bool unique_members() {
    std::vector<std::string_view> keys;
    for (const JsonMember& member : open_.back().value.members) keys.push_back(member.key);
    std::ranges::sort(keys);
    return std::ranges::adjacent_find(keys) == keys.end() || fail("malformed:json-duplicate");
  }

  std::vector<Open> open_;
  size_t nodes_ = 0;
};

// The next segment of a pointer, unescaped; the pointer moves past it.
std::string next_segment(std::string_view& pointer) {
  pointer.remove_prefix(1);
  const std::string_view raw = pointer.substr(0, pointer.find('/'));
  pointer.remove_prefix(raw.size());
  std::string out;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '~' && i + 1 < raw.size())
      out += raw[++i] == '0' ? '~' : '/';
    else
      out += raw[i];
  }
  return out;
}

const Json* item_at(const Json& list, std::string_view segment) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), index);
  const bool plain = error == std::errc() && end == segment.data() + segment.size() &&
                     (segment.size() == 1 || segment.front() != '0');
  return plain && index < list.items.size() ? &list.items[index] : nullptr;
}

enum class Found : uint8_t { exactly, by_ignoring_case };

class ValueMatcher {
 public:
  ValueMatcher(Effect effect, const Glob& wanted) : effect_(effect), wanted_(wanted), tally_(effect) {}

  void walk(const Json& node, std::string_view pointer, Found found) {
    if (pointer.empty()) return scalars(node, found);
    const std::string segment = next_segment(pointer);
    if (node.kind == Json::Kind::list) {
      if (const Json* item = item_at(node, segment)) walk(*item, pointer, found);
      return;
    }
    const std::string loose = folded(segment);
    for (const JsonMember& member : node.members) {
      if (member.key == segment)
        walk(member.value, pointer, found);
      else if (folded(member.key) == loose)
        walk(member.value, pointer, Found::by_ignoring_case);
    }
  }
  bool holds() const { return tally_.holds(); }

 private:
  void scalars(const Json& node, Found found) {
    for (const Json& item : node.items) scalars(item, found);
    for (const JsonMember& member : node.members) scalars(member.value, found);
    if (!node.scalar()) return;
    const bool matches = wanted_.matches(node.text);
    if (found == Found::exactly || matches != (effect_ == Effect::allow)) tally_.value(matches);
  }

  Effect effect_;
  const Glob& wanted_;
  Tally tally_;
};

}  // namespace

const Json* Json::find(std::string_view key) const {
  for (const JsonMember& member : members)
    if (member.key == key) return &member.value;
  return nullptr;
}

bool Json::has_lookalike(std::string_view key) const {
  return std::ranges::any_of(members, [&, loose = folded(key)](const JsonMember& member) {
    return member.key != key && folded(member.key) == loose;
  });
}

std::expected<Json, std::string_view> parse_json(std::string_view text) {
  // To nlohmann a NUL is the end of the text, and whatever follows it is not looked at.
  if (text.find('\0') != std::string_view::npos) return std::unexpected("malformed:json");
  // nlohmann skips it; RFC 8259 §8.1 lets other readers refuse it, or take it for what follows.
  if (text.starts_with("\xef\xbb\xbf")) return std::unexpected("malformed:json");
  Builder builder;
  bool read = false;
  try {
    read = nlohmann::json::sax_parse(text, &builder);
  } catch (const std::exception&) {  // nlohmann's own limits
    read = false;
  }
  if (!read) return std::unexpected(builder.reason);
  return std::move(builder.root);
}

bool valid_pointer(std::string_view pointer) {
  if (!pointer.starts_with('/')) return false;
  for (size_t at = pointer.find('~'); at != std::string_view::npos; at = pointer.find('~', at + 1))
    if (at + 1 == pointer.size() || (pointer[at + 1] != '0' && pointer[at + 1] != '1')) return false;
  return true;
}

bool match_values(const Json& root, std::string_view pointer, Effect effect, const Glob& wanted) {
  ValueMatcher matcher(effect, wanted);
  matcher.walk(root, pointer, Found::exactly);
  return matcher.holds();
}

}  // namespace saw::policy

#include "policy/prove/words.h"

#include <fmt/format.h>

#include "base/result.h"

namespace saw::policy::prove {
namespace {

using State = Automaton::State;
using Next = std::optional<State>;

bool digit(uint8_t c) {
  return c >= '0' && c <= '9';
}
bool lower(uint8_t c) {
  return c >= 'a' && c <= 'z';
}
bool unreserved(uint8_t c) {
  return lower(c) || digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
}
bool stands_raw(uint8_t c) {
  return unreserved(c) ||
         std::string_view("!$&'()*+,;=:@/").find(static_cast<char>(c)) != std::string_view::npos;
}
std::optional<uint8_t> upper_hex(uint8_t c) {
  if (digit(c)) return static_cast<uint8_t>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<uint8_t>(c - 'A' + 10);
  return {};
}

Automaton made(std::optional<Automaton> automaton) {
  SAW_CHECK(automaton);
  return std::move(*automaton);
}

// ---- hosts: what the present label is so far

enum Label : State { kNoLabel, kDigits, kZero, kHex, kName, kNameDash, kHexDash };

Next host_step(State at, uint8_t c) {
  const bool dash_now = at == kNameDash || at == kHexDash;
  if (c == '.') return at == kNoLabel || dash_now ? Next() : Next(kNoLabel);
  const bool hex = at == kHex || at == kHexDash || (at == kZero && c == 'x');
  if (c == '-') return at == kNoLabel ? Next() : Next(hex ? kHexDash : kNameDash);
  if (!digit(c) && !lower(c) && c != '_') return {};
  if (hex) return kHex;
  if (digit(c) && at == kNoLabel) return c == '0' ? kZero : kDigits;
  return digit(c) && (at == kDigits || at == kZero) ? kDigits : kName;
}

// ---- paths: how the present segment begins, and how much of an escape was read

enum Segment : State { kEmpty, kDot, kDots, kOther, kParameter, kNothing };
constexpr State kEscape = 8;  // state / kEscape: 0 no escape, 1 after '%', 2 + n after "%n"

Next parameter_from(State segment) {
  return segment == kDot || segment == kDots ? Next() : Next(kParameter);
}

Next escape_step(State at, uint8_t c) {
  const State segment = at % kEscape, escape = at / kEscape;
  const auto hex = upper_hex(c);
  if (!hex) return {};
  if (escape == 1) return segment + kEscape * (2 + *hex);
  const auto octet = static_cast<uint8_t>((escape - 2) << 4 | *hex);
  if (unreserved(octet) || octet < 0x20 || octet >= 0x7f || octet == '/' || octet == '\\') return {};
  if (octet == ';') return parameter_from(segment);
  return segment == kParameter ? kParameter : kOther;
}

Next path_step(State at, uint8_t c) {
  if (at == kNothing) return c == '/' ? Next(kEmpty) : Next();
  if (at >= kEscape) return escape_step(at, c);
  if (c == '%') return at + kEscape;
  if (c == '/') return at == kOther || at == kParameter ? Next(kEmpty) : Next();
  if (!stands_raw(c)) return {};
  if (c == ';') return parameter_from(at);
  if (at == kParameter) return kParameter;
  if (c == '.') return at == kEmpty ? kDot : at == kDot ? kDots : kOther;
  return kOther;
}

// ---- values: UTF-8 (RFC 3629), by what must follow

enum Utf8 : State { kWhole, kOne, kTwo, kThree, kAfterE0, kAfterEd, kAfterF0, kAfterF4 };

Next utf8_lead(uint8_t c) {
  if (c >= 0x20 && c < 0x7f) return kWhole;
  if (c >= 0xc2 && c <= 0xdf) return kOne;
  if (c == 0xe0) return kAfterE0;
  if (c == 0xed) return kAfterEd;
  if (c >= 0xe1 && c <= 0xef) return kTwo;
  if (c == 0xf0) return kAfterF0;
  if (c >= 0xf1 && c <= 0xf3) return kThree;
  return c == 0xf4 ? Next(kAfterF4) : Next();
}

Next utf8_step(State at, uint8_t c) {
  auto follows = [&](uint8_t from, uint8_t to, State next) {
    return c >= from && c <= to ? Next(next) : Next();
  };
  switch (at) {
    case kOne:
      return follows(0x80, 0xbf, kWhole);
    case kTwo:
      return follows(0x80, 0xbf, kOne);
    case kThree:
      return follows(0x80, 0xbf, kTwo);
    case kAfterE0:
      return follows(0xa0, 0xbf, kOne);
    case kAfterEd:
      return follows(0x80, 0x9f, kOne);
    case kAfterF0:
      return follows(0x90, 0xbf, kTwo);
    case kAfterF4:
      return follows(0x80, 0x8f, kTwo);
    default:
      return utf8_lead(c);
  }
}

// ---- refs: after "refs/", how the present component ends so far

constexpr std::string_view kRefs = "refs/", kLock = ".lock";
enum Ref : State {
  kComponent = 5,
  kText,
  kAt,
  kLockFrom
};  // kLockFrom + n: ends in the first n + 1 of ".lock"

Next ref_step(State at, uint8_t c) {
  if (at < kRefs.size()) return c == static_cast<uint8_t>(kRefs[at]) ? Next(at + 1) : Next();
  if (c <= 0x20 || c == 0x7f ||
      std::string_view("~^:?*[\\").find(static_cast<char>(c)) != std::string_view::npos)
    return {};
  const bool after_dot = at == kLockFrom, after_lock = at == kLockFrom + kLock.size() - 1;
  if (c == '/') return at == kComponent || after_dot || after_lock ? Next() : Next(kComponent);
  if (c == '.') return at == kComponent || after_dot ? Next() : Next(kLockFrom);
  if (c == '{' && at == kAt) return {};
  if (c == '@') return kAt;
  const size_t read = at < kLockFrom ? 0 : at - kLockFrom + 1;
  if (read > 0 && read < kLock.size() && c == static_cast<uint8_t>(kLock[read])) return at + 1;
  return kText;
}

bool ref_ends(State at) {
  return at == kText || at == kAt || (at > kLockFrom && at < kLockFrom + kLock.size() - 1);
}

// ---- readings

// 0 outside an escape, 1 after '%', 2 + n after "%n". Canonical paths have whole escapes only.
void decode_step(State& escape, uint8_t c, std::string& out) {
  const auto letter = static_cast<char>(c);
  if (escape == 0) {
    if (c == '%')
      escape = 1;
    else
      out += letter;
    return;
  }
  const uint8_t hex = upper_hex(c).value_or(0);
  if (escape == 1) {
    escape = 2u + hex;
    return;
  }
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto octet = static_cast<uint8_t>((escape - 2) << 4 | hex);
  if (octet != '/' && stands_raw(octet))
    out += static_cast<char>(octet);
  else
    (out += '%') += {kDigits[escape - 2], letter};
  escape = 0;
}

// Hexadecimal digits are special in an escape only, and an escape is read as a whole.
uint8_t path_kind(uint8_t c) {
  return static_cast<uint8_t>(1 + std::string_view("%;/").find(static_cast<char>(c)));
}

class Decoded final : public Rewriter {
 public:
  State start() const override { return 0; }
  State step(State state, uint8_t byte, std::string& out) const override {
    decode_step(state, byte, out);
    return state;
  }
  void finish(State, std::string&) const override {}
  uint8_t kind(uint8_t byte) const override { return path_kind(byte); }
};

// State: bits of what was seen, and the escape above them. A slash is due before the next letter of a
// segment that has letters.
class Plain final : public Rewriter {
 public:
  State start() const override { return 0; }
  State step(State state, uint8_t byte, std::string& out) const override {
    State escape = state >> kBits, seen = state & ((1u << kBits) - 1);
    std::string decoded;
    decode_step(escape, byte, decoded);
    for (char c : decoded) {
      if (c == '/') seen &= kAny;
      if (c == ';') seen |= kInParameter;
      if (c == '/' || (seen & kInParameter) != 0) continue;
      if ((seen & kInSegment) == 0) out += '/';
      seen |= kInSegment | kAny;
      out += c;
    }
    return escape << kBits | seen;
  }
  void finish(State state, std::string& out) const override {
    if ((state & kAny) == 0) out += '/';
  }
  uint8_t kind(uint8_t byte) const override { return path_kind(byte); }

 private:
  static constexpr State kInParameter = 1, kInSegment = 2, kAny = 4, kBits = 3;
};

}  // namespace

Automaton host_names() {
  return made(Automaton::walk(kNoLabel, host_step, [](State s) { return s == kName; }));
}
Automaton canonical_paths() {
  return made(Automaton::walk(kNothing, path_step,
                              [](State s) { return s == kEmpty || s == kOther || s == kParameter; }));
}
Automaton query_values() {
  return made(Automaton::walk(kWhole, utf8_step, [](State s) { return s == kWhole; }));
}
Automaton header_values() {
  auto step = [](State, uint8_t c) { return c == '\t' || (c >= 0x20 && c < 0x7f) ? Next(0) : Next(); };
  return made(Automaton::walk(0, step, [](State) { return true; }));
}
Automaton refs() {
  return made(Automaton::walk(0, ref_step, ref_ends));
}
std::vector<std::string> path_escapes() {
  std::vector<std::string> out;
  for (unsigned octet = 0x20; octet < 0x7f; ++octet) {
    const auto c = static_cast<uint8_t>(octet);
    if (!unreserved(c) && c != '/' && c != '\\') out.push_back(fmt::format("%{:02X}", octet));
  }
  return out;
}
const Rewriter& decoded_path() {
  static const Decoded decoded;
  return decoded;
}
const Rewriter& plain_path() {
  static const Plain plain;
  return plain;
}

}  // namespace saw::policy::prove

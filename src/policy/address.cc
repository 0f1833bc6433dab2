#include "policy/address.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace saw::policy {
namespace {

using V4 = uint32_t;

// One number of inet_aton(3): decimal, 0octal, 0xhex.
std::optional<uint64_t> parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
    if (text.empty()) return 0;  // inet_aton(3) takes "0x" for zero
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// a.b.c.d, a.b.c (c: 16 bits), a.b (b: 24 bits), a (32 bits).
std::optional<V4> parse_v4(std::string_view text) {
  std::array<uint64_t, 4> parts{};
  size_t count = 0;
  for (size_t begin = 0; begin <= text.size(); ++count) {
    if (count == parts.size()) return {};
    const size_t end = std::min(text.find('.', begin), text.size());
    auto number = parse_number(text.substr(begin, end - begin));
    if (!number) return {};
    parts[count] = *number;
    begin = end + 1;
  }
  uint64_t value = 0;
  for (size_t i = 0; i + 1 < count; ++i) {
    if (parts[i] > 255) return {};
    value |= parts[i] << (24 - 8 * i);
  }
  const uint64_t last_limit = uint64_t{1} << (8 * (5 - count));
  if (parts[count - 1] >= last_limit) return {};
  return static_cast<V4>(value | parts[count - 1]);
}

// The dotted tail of an IPv6 address: four decimal numbers without leading zeros (RFC 4291 §2.2.3).
std::optional<V4> parse_strict_v4(std::string_view text) {
  size_t dots = std::ranges::count(text, '.');
  if (dots != 3) return {};
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return {};
    if (!std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; })) return {};
    begin = end + 1;
  }
  return parse_v4(text);
}

struct Groups {
  std::array<uint16_t, 8> value{};
  size_t count = 0;
};

// "1:2:3" or "1:2:1.2.3.4"; the empty text is no groups.
std::optional<Groups> parse_groups(std::string_view text) {
  Groups out;
  if (text.empty()) return out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    if (end == text.size() && part.find('.') != std::string_view::npos) {
      auto tail = parse_strict_v4(part);
      if (!tail || out.count > 6) return {};
      out.value[out.count++] = static_cast<uint16_t>(*tail >> 16);
      out.value[out.count++] = static_cast<uint16_t>(*tail);
      return out;
    }
    uint16_t group = 0;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), group, 16);
    if (part.empty() || part.size() > 4 || error != std::errc() || stop != part.data() + part.size() ||
        out.count == 8)
      return {};
    out.value[out.count++] = group;
    begin = end + 1;
  }
  return out;
}

std::optional<Address> parse_v6(std::string_view text) {
  std::array<uint16_t, 8> groups{};
  const size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    auto all = parse_groups(text);
    if (!all || all->count != 8) return {};
    groups = all->value;
  } else {
    auto head = parse_groups(text.substr(0, gap));
    auto tail = parse_groups(text.substr(gap + 2));
    // A dotted tail is only a tail: "1.2.3.4::" is nothing.
    if (!head || !tail || head->count + tail->count > 7 ||
        text.substr(0, gap).find('.') != std::string_view::npos)
      return {};
    std::copy_n(head->value.begin(), head->count, groups.begin());
    std::copy_n(tail->value.begin(), tail->count, groups.end() - static_cast<std::ptrdiff_t>(tail->count));
  }
  Address out{};
  for (size_t i = 0; i < 8; ++i) {
    out[2 * i] = static_cast<uint8_t>(groups[i] >> 8);
    out[2 * i + 1] = static_cast<uint8_t>(groups[i]);
  }
  return out;
}

Address map_v4(V4 v4) {
  Address out{};
  out[10] = out[11] = 0xff;
  for (size_t i = 0; i < 4; ++i) out[12 + i] = static_cast<uint8_t>(v4 >> (24 - 8 * i));
  return out;
}

V4 v4_at(const Address& a, size_t at) {
  return V4{a[at]} << 24 | V4{a[at + 1]} << 16 | V4{a[at + 2]} << 8 | V4{a[at + 3]};
}

bool begins(const Address& a, std::initializer_list<uint8_t> bytes) {
  return std::ranges::equal(bytes, std::span(a).first(bytes.size()));
}

bool is_mapped(const Address& a) {
  return begins(a, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
}

struct V4Block {
  V4 base;
  int prefix;
  AddressClass is;
};
// IANA IPv4 special-purpose address registry.
constexpr auto kNever = AddressClass::never, kPrivateUse = AddressClass::private_use;
constexpr V4Block kV4Blocks[] = {
    {0x00000000, 8, kNever},        // 0/8 this network
    {0x0A000000, 8, kPrivateUse},   // 10/8
    {0x64400000, 10, kPrivateUse},  // 100.64/10 carrier-grade (a metadata service of one cloud lives at
                                    // 100.100.100.200: next line)
    {0x646464C8, 32, kNever},       // 100.100.100.200
    {0x7F000000, 8, kNever},        // 127/8 loopback
    {0xA9FE0000, 16, kNever},       // 169.254/16 link-local, with the metadata services
    {0xAC100000, 12, kPrivateUse},  // 172.16/12
    {0xC0000000, 24, kNever},  // 192.0.0/24 IETF protocol assignments (192.0.0.192 is a metadata service)
    {0xC01FC400, 24, kNever},  // 192.31.196/24 AS112
    {0xC034C100, 24, kNever},  // 192.52.193/24 AMT
    {0xC0586300, 24, kNever},  // 192.88.99/24 6to4 relay anycast, deprecated
    {0xC0A80000, 16, kPrivateUse},  // 192.168/16
    {0xC0AF3000, 24, kNever},       // 192.175.48/24 AS112
    {0xC6120000, 15, kNever},       // 198.18/15 benchmarking
    {0xA83F8110, 32, kNever},       // 168.63.129.16, a cloud's host agent
    {0xE0000000, 4, kNever},        // 224/4 multicast
    {0xF0000000, 4, kNever},        // 240/4 reserved, broadcast
};

AddressClass classify_v4(V4 a) {
  auto worst = AddressClass::global;
  for (const V4Block& block : kV4Blocks)
    if ((a ^ block.base) >> (32 - block.prefix) == 0) worst = std::max(worst, block.is);
  return worst;
}

AddressClass classify_v6_outer(const Address& a) {
  if (begins(a, {0x00, 0x64, 0xff, 0x9b})) return AddressClass::global;  // NAT64: the inner address decides
  if ((a[0] & 0xfe) == 0xfc) {
    const bool metadata = begins(a, {0xfd, 0x00, 0x0e, 0xc2}) ||
                          begins(a, {0xfd, 0x20, 0x00, 0xce});          // fd00:ec2::/32, fd20:ce::/32
    return metadata ? AddressClass::never : AddressClass::private_use;  // fc00::/7
  }
  if ((a[0] & 0xe0) != 0x20)
    return AddressClass::never;  // outside 2000::/3: loopback, link-local, multicast, reserved
  if (begins(a, {0x20, 0x01, 0x00, 0x00})) return AddressClass::global;  // Teredo: the inner addresses decide
  if (begins(a, {0x20, 0x01}) && (a[2] & 0xfe) == 0)
    return AddressClass::never;                             // 2001::/23 IETF protocol assignments
  if (begins(a, {0x3f, 0xfe})) return AddressClass::never;  // 6bone, returned
  return AddressClass::global;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) {
    text = text.substr(1, text.size() - 2);
    return text.find(':') == std::string_view::npos ? std::nullopt : parse_v6(text);
  }
  if (text.find(':') != std::string_view::npos) return parse_v6(text);
  if (text.ends_with('.')) text.remove_suffix(1);
  if (auto v4 = parse_v4(text)) return map_v4(*v4);
  return {};
}

std::string to_text(const Address& a) {
  if (is_mapped(a)) return fmt::format("{}.{}.{}.{}", a[12], a[13], a[14], a[15]);
  std::array<uint16_t, 8> groups;
  for (size_t i = 0; i < 8; ++i) groups[i] = static_cast<uint16_t>(a[2 * i] << 8 | a[2 * i + 1]);
  size_t best = 8, best_length = 1;  // RFC 5952: the first longest run of at least two zero groups
  for (size_t i = 0; i < 8; ++i) {
    size_t n = i;
    while (n < 8 && groups[n] == 0) ++n;
    if (n - i > best_length) best = i, best_length = n - i;
    if (n > i) i = n - 1;
  }
  std::string out;
  for (size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_length - 1;
      continue;
    }
    if (!out.empty() && !out.ends_with(':')) out += ':';
    fmt::format_to(std::back_inserter(out), "{:x}", groups[i]);
  }
  return out;
}

AddressClass classify(const Address& a) {
  if (is_mapped(a)) return classify_v4(v4_at(a, 12));
  auto outer = classify_v6_outer(a);
  if (begins(a, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
    outer = std::max(outer, classify_v4(v4_at(a, 12)));  // v4-compatible
  if (begins(a, {0x00, 0x64, 0xff, 0x9b})) {
    // 64:ff9b::/96, and the operator-chosen prefixes within 64:ff9b:1::/48 (RFC 8215) taken at /96; all else
    // in 64:ff9b::/32 is unassigned.
    const bool well_known = std::ranges::all_of(std::span(a).subspan(4, 8), [](uint8_t b) { return b == 0; });
    const bool local = a[4] == 0 && a[5] == 1;
    if (!well_known && !local) return AddressClass::never;
    outer = std::max(outer, classify_v4(v4_at(a, 12)));
    // RFC 6052 also allows /48, /56 and /64 prefixes there, with the address straddling octet 8.
    if (local) {
      const std::array<V4, 3> other = {V4{a[6]} << 24 | V4{a[7]} << 16 | V4{a[9]} << 8 | a[10],
                                       V4{a[7]} << 24 | V4{a[9]} << 16 | V4{a[10]} << 8 | a[11], v4_at(a, 9)};
      const bool simple = std::ranges::all_of(std::span(a).subspan(6, 6), [](uint8_t b) { return b == 0; });
      for (V4 v4 : other)
        if (!simple) outer = std::max(outer, classify_v4(v4));
    }
  }
  if (begins(a, {0x20, 0x02})) outer = std::max(outer, classify_v4(v4_at(a, 2)));  // 6to4
  if (begins(a, {0x20, 0x01, 0x00, 0x00})) {  // Teredo: server, and the client's address inverted
    outer = std::max({outer, classify_v4(v4_at(a, 4)), classify_v4(~v4_at(a, 12))});
  }
  return outer;
}

bool contains(const AddressRange& range, const Address& address) {
  const size_t whole = range.prefix / 8, rest = range.prefix % 8;
  if (!std::equal(range.base.begin(), range.base.begin() + static_cast<std::ptrdiff_t>(whole),
                  address.begin()))
    return false;
  return rest == 0 || (range.base[whole] ^ address[whole]) >> (8 - rest) == 0;
}

std::optional<AddressRange> parse_range(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view address = text.substr(0, slash), bits = text.substr(slash + 1);
  const bool v6 = address.find(':') != std::string_view::npos;
  if (address.starts_with('[')) return {};
  std::optional<Address> base;
  if (v6)
    base = parse_v6(address);
  else if (auto v4 = parse_strict_v4(address))
    base = map_v4(*v4);
  unsigned prefix = 0;
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), prefix);
  if (!base || bits.empty() || (bits.size() > 1 && bits[0] == '0') || error != std::errc() ||
      end != bits.data() + bits.size())
    return {};
  if (prefix > (v6 ? 128u : 32u)) return {};
  AddressRange out{*base, static_cast<uint8_t>(v6 ? prefix : prefix + 96)};
  for (size_t bit = out.prefix; bit < 128; ++bit)
    if (out.base[bit / 8] >> (7 - bit % 8) & 1) return {};
  return out;
}

}  // namespace saw::policy

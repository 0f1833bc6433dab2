#include "egress/names.h"

namespace saw::egress {
namespace {
// The first address handed out; below it lie the network's own and what people take for a gateway.
constexpr uint32_t kBase = 198u << 24 | 18u << 16, kFirst = 256;

uint32_t number(Ipv4 a) {
  return uint32_t{a[0]} << 24 | uint32_t{a[1]} << 16 | uint32_t{a[2]} << 8 | a[3];
}
}  // namespace

bool SyntheticNames::is_synthetic(Ipv4 address) {
  return address[0] == 198 && (address[1] & 0xfe) == 18;
}

std::optional<Ipv4> SyntheticNames::address_of(std::string_view name) {
  std::string key(name);
  auto found = numbers_.find(key);
  if (found == numbers_.end()) {
    if (names_.size() >= kMaxNames) return std::nullopt;
    found = numbers_.emplace(std::move(key), static_cast<uint32_t>(names_.size())).first;
    names_.push_back(&found->first);
  }
  const uint32_t a = kBase + kFirst + found->second;
  return Ipv4{static_cast<uint8_t>(a >> 24), static_cast<uint8_t>(a >> 16), static_cast<uint8_t>(a >> 8),
              static_cast<uint8_t>(a)};
}

std::string_view SyntheticNames::name_of(Ipv4 address) const {
  if (!is_synthetic(address)) return {};
  const uint32_t offset = number(address) - kBase;
  if (offset < kFirst || offset - kFirst >= names_.size()) return {};
  return *names_[offset - kFirst];
}

}  // namespace saw::egress

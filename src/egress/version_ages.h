// When versions of packages were published, as their registry said: what `minAgeDays` is judged by.
//
//   VersionAges ages;
//   ages.learn("registry.example:443/left-pad/-/left-pad-1.3.0.tgz", published);
//   ages.find(where)                                       // nullopt: nobody said
//
// Kept by the place where the version is had. At most kMaxVersions; the oldest knowledge goes first, and what is not known is too young.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace saw::egress {

class VersionAges {
 public:
  static constexpr size_t kMaxVersions = 50'000, kMaxPlace = 1024;
  void learn(const std::string& place, Nanos published) {
    if (place.size() > kMaxPlace) return;
    if (!known_.insert_or_assign(place, published).second) return;
    order_.push_back(place);
    if (order_.size() <= kMaxVersions) return;
    known_.erase(order_.front());
    order_.pop_front();
  }
  std::optional<Nanos> find(const std::string& place) const {
    auto found = known_.find(place);
    return found == known_.end() ? std::nullopt : std::optional(found->second);
  }
  size_t size() const { return known_.size(); }

 private:
  std::unordered_map<std::string, Nanos> known_;
  std::deque<std::string> order_;
};

}  // namespace saw::egress

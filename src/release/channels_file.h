// Which channels a host follows, and whom it believes: the operator's $SAW_DIR/channels.yaml (docs/releases.md).
//
//   apiVersion: saw/v1
//   kind: Channels
//   trust: /etc/saw/trust.yaml
//   channels:
//     stable: {tree: /srv/policy}
//
// Paths are absolute. Pure: reading the files is sawd's.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::release {

struct ChannelsFile {
  static constexpr size_t kMaxBytes = 64u << 10, kMaxChannels = 16;

  std::string trust;                         // path of the trust file
  std::map<std::string, std::string> trees;  // channel → path of its tree

  static Result<ChannelsFile> parse(std::string_view yaml, std::string_view file);  // "channels.invalid"
};

}  // namespace saw::release

// nginx as an origin on loopback, and nginx as a proxy in front of it: what saw-egress is compared with.
//
//   auto web = SAW_TRY(WebOrigin::start({"api.bench.example"}));
//   const uint16_t port = web->port(WebOrigin::Door::origin_plain);     // "/" answers 1 KiB, "/big" kBigBytes
//
// One worker each, no logs, connections kept on both sides of the proxy. The certificate is its own trust anchor.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace saw::bench {

class WebOrigin {
 public:
  static constexpr size_t kBigBytes = 64u << 20;
  enum class Door : uint8_t {
    origin_plain,
    origin_tls,
    proxy_plain,
    proxy_tls
  };  // the proxy's lead to the same
  static constexpr size_t kDoors = 4;

  static Result<std::unique_ptr<WebOrigin>> start(const std::vector<std::string>& hosts);
  ~WebOrigin();
  uint16_t port(Door door) const { return ports_[static_cast<size_t>(door)]; }
  std::string certificate() const { return directory_ + "/certificate.pem"; }

 private:
  explicit WebOrigin(std::string directory) : directory_(std::move(directory)) {}
  Result<> make_files(const std::vector<std::string>& hosts);
  Result<> start_nginx(const std::string& name, const std::string& http, size_t slot);
  std::string origin_settings() const;
  std::string proxy_settings(const std::string& host) const;

  std::string directory_;
  std::array<uint16_t, kDoors> ports_{};
  std::array<int32_t, 2> pids_{};
};

}  // namespace saw::bench

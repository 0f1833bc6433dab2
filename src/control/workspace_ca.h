// A certificate authority per workspace: trusted inside that workspace only, its key known to that
// workspace's saw-egress only.
//
//   CertificateAuthority ca = SAW_TRY(make_certificate_authority("dev", clock.now()));
//
// P-256, self-signed, CA:TRUE pathlen 0, keyCertSign only, valid from one hour before `now` for kValidity.
// RFC 5280 §4.2.1.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace saw::control {

constexpr Nanos kCaValidity = 3650LL * 24 * 60 * kMinute;

struct CertificateAuthority {
  std::string certificate_pem, key_pem;
};
Result<CertificateAuthority> make_certificate_authority(std::string_view workspace, Nanos now);

}  // namespace saw::control

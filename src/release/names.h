// The names that a release tree is made of. Each is one path segment, so that none can lead elsewhere.
#pragma once

#include <string_view>

namespace saw::release {

constexpr std::string_view kManifestFile = "manifest.json", kSignatureFile = "signature.sig",
                           kPolicyFile = "policy.yaml";

bool is_channel_name(std::string_view text);  // "stable": a-z, 0-9, '-', at most 40, begins with a letter
bool is_version(std::string_view text);       // "2026-11-24.1": a day and a number from 1 to 9999
bool is_member_name(std::string_view text);   // "policy.yaml": a-z, 0-9, ".-_", no leading dot, at most 64
bool is_digest(std::string_view text);        // "sha256:<64 lower-case hex digits>"

}  // namespace saw::release

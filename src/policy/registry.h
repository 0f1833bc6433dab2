// What a request to a package registry does: the operation, the package, and whether one version is named.
//
//   auto r = registry_request(Ecosystem::npm, "GET", "/@acme/ui/-/ui-1.2.0.tgz", "");
//   // op read, package "@acme/ui", of RegistryRequest::What::version
//
// The path is canonical and relative to the registry's root (an entry's `to.paths: ["/npm/**"]` makes "/npm" the root). Sources: the npm registry
// API, PEP 503/691, the cargo registry and sparse index, GOPROXY protocol, Maven 2 layout, the RubyGems API, OCI distribution 1.1, Debian
// repository format. What is none of their documented requests is refused with "registry-unknown-operation": an allow must know what it allows.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "policy/document.h"

namespace saw::policy {

struct RegistryRequest {
  enum class What : uint8_t {
    index,    // about no package in particular: a catalogue, a configuration
    listing,  // about a package: its metadata, its versions
    version,  // one version: an artifact, a manifest
  } what = What::index;
  RegistryOp op = RegistryOp::read;
  std::string package;  // canonical for its ecosystem; empty: none, or not to be told from the path
};

std::expected<RegistryRequest, std::string_view> registry_request(Ecosystem ecosystem,
                                                                  std::string_view method,
                                                                  std::string_view path,
                                                                  std::string_view query);

}  // namespace saw::policy

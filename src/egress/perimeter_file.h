// The operator's perimeter file: what may be reached from this host at all, whatever a policy says. Format:
// docs/perimeter.md.
//
//   auto file = PerimeterFile::parse(text, "perimeter.yaml");    // strict: every error with file:line:column
//   Route route = file->route("api.github.com", 443);            // connector | resolve | refused
//
// Pure: nothing here opens a file or a socket. A default-constructed PerimeterFile lists nothing, so it
// denies everything.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/address.h"
#include "policy/glob.h"
#include "policy/policy.h"

namespace saw::egress {

// Who answers the perimeter's questions: the name servers of /etc/resolv.conf, or one address (port 53 unless
// given).
struct SystemResolver {};
struct SocketTarget {
  policy::Address address{};
  uint16_t port = 0;
  bool operator==(const SocketTarget&) const = default;
  std::string text() const;  // "127.0.0.1:38443", "[::1]:443"
};
using ResolverChoice = std::variant<SystemResolver, SocketTarget>;

struct UnixTarget {
  std::string path;
  bool operator==(const UnixTarget&) const = default;
  std::string text() const { return "unix:" + path; }
};
using ConnectorTarget = std::variant<SocketTarget, UnixTarget>;

// A name that is not resolved but routed by the operator; the only way to loopback.
struct Connector {
  std::string host;
  uint16_t port = 0;
  ConnectorTarget to;
  std::string rule;  // "connectors[0]"
};

struct AllowEntry {
  std::vector<policy::Glob> hosts;        // names and patterns of names, lower case
  std::vector<policy::Address> literals;  // addresses; a pattern never matches one
  std::vector<uint16_t> ports;
  std::string rule;  // "allow[0]"
};

// What the file says of a destination, before any name is resolved. Pointers point into the file.
struct ViaConnector {
  const Connector* connector;
};
struct ViaAddress {
  const AllowEntry* entry;
  policy::Address address;
};  // the host was a literal
struct ViaName {
  const AllowEntry* entry;
};  // resolve, then judge each answer
struct NotListed {};
using Route = std::variant<NotListed, ViaConnector, ViaAddress, ViaName>;

class PerimeterFile {
 public:
  static constexpr size_t kMaxBytes = 1u << 20;

  static std::expected<PerimeterFile, policy::Diagnostics> parse(std::string_view yaml,
                                                                 std::string_view file);

  Route route(std::string_view host, uint16_t port) const;
  // Whether the operator lists the private range that `address` lies in. The policy must list it as well.
  bool allows_private(const policy::Address& address) const;

  const ResolverChoice& resolver() const { return resolver_; }
  const std::vector<AllowEntry>& allow() const { return allow_; }
  const std::vector<policy::AddressRange>& private_ranges() const { return private_; }
  const std::vector<Connector>& connectors() const { return connectors_; }
  // PEM files of additional CAs for upstream TLS; absolute paths. sawd reads them.
  const std::vector<std::string>& trust() const { return trust_; }

 private:
  friend class PerimeterFileReader;
  ResolverChoice resolver_ = SystemResolver{};
  std::vector<AllowEntry> allow_;
  std::vector<policy::AddressRange> private_;
  std::vector<Connector> connectors_;
  std::vector<std::string> trust_;
};

// "1.2.3.4:53", "[::1]:53"; with `default_port` set, the port may be absent.
std::optional<SocketTarget> parse_socket_target(std::string_view text,
                                                std::optional<uint16_t> default_port = std::nullopt);

}  // namespace saw::egress

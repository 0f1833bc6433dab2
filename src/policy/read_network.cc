#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "policy/address.h"
#include "policy/host.h"
#include "policy/read.h"
#include "policy/target.h"

namespace saw::policy {
namespace {

using yaml::Node;

constexpr uint64_t kMaxRequestBytes = uint64_t{1} << 30;

std::optional<HostPattern> read_host(const Node& node, Reader& r) {
  auto text = r.text(node, "a host");
  if (!text) return {};
  const bool bracketed_address = text->starts_with('[') && text->find(':') != std::string::npos;
  const bool wild = !bracketed_address && text->find_first_of("*?[") != std::string::npos;
  std::string canonical = *text;
  bool address = false;
  if (wild) {
    std::ranges::transform(canonical, canonical.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (canonical.ends_with('.')) canonical.pop_back();
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-_.*?[]";
    if (canonical.find_first_not_of(kAllowed) != std::string::npos) canonical.clear();
  } else if (auto host = HostName::parse(*text)) {
    canonical = host->text();
    address = host->address().has_value();
    if (address && classify(*host->address()) == AddressClass::never)
      r.warning(place_of(node), "policy.unreachable",
                fmt::format("'{}' is an address that is never reachable, listed or not", *text));
  } else {
    canonical.clear();
  }
  if (canonical.empty()) {
    r.error(
        place_of(node), "policy.bad_host",
        fmt::format(
            "'{}' is not a host: a name of A-labels without port or scheme, a glob of such, or an address",
            printable(*text)));
    return {};
  }
  auto glob = Glob::create(canonical, Glob::Kind::host);
  if (glob) return HostPattern{std::move(*glob), address, place_of(node)};
  r.error(place_of(node), "policy.bad_glob", fmt::format("host '{}': {}", printable(*text), glob.error()));
  return {};
}

// Ranges are for private networks: what is public needs none, and what is never reachable stays so.
bool within_private_space(const AddressRange& range) {
  for (std::string_view text :
       {"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}) {
    const AddressRange space = *parse_range(text);
    if (range.prefix >= space.prefix && contains(space, range.base)) return true;
  }
  return false;
}

void read_addresses(const Node& node, Reader& r, Entry& out) {
  const auto* items = r.list(node, "addresses");
  if (!items) return;
  for (const Node& item : *items) {
    auto text = r.text(item, "an address range");
    if (!text) continue;
    auto range = parse_range(*text);
    if (!range) {
      r.error(place_of(item), "policy.bad_address",
              fmt::format("'{}' is not a range such as 10.20.0.0/16 with zero host bits", printable(*text)));
    } else if (!within_private_space(*range)) {
      r.error(place_of(item), "policy.bad_address",
              fmt::format("'{}' is not within the private ranges (10/8, 172.16/12, 192.168/16, 100.64/10, "
                          "fc00::/7); no other needs listing",
                          *text));
    } else {
      out.addresses.push_back(*range);
    }
  }
}

void read_ports(const Node& node, Reader& r, Entry& out) {
  const auto* items = r.list(node, "ports");
  if (!items) return;
  for (const Node& item : *items)
    if (auto port = r.number(item, "a port", bounds_of(kTo, "ports")))
      out.ports.push_back(static_cast<uint16_t>(*port));
  std::ranges::sort(out.ports);
  if (std::ranges::adjacent_find(out.ports) != out.ports.end())
    r.error(place_of(node), "policy.duplicate", "a port is listed twice");
}

void read_to_paths(const Node& node, Reader& r, Entry& out) {
  const auto* items = r.list(node, "to.paths");
  if (!items) return;
  for (const Node& item : *items) {
    auto text = r.text(item, "a path");
    if (!text) continue;
    auto canonical = canonical_path_glob(*text);
    auto glob = canonical ? Glob::create(*canonical, Glob::Kind::path) : std::unexpected(canonical.error());
    if (glob)
      out.paths.push_back(std::move(*glob));
    else
      r.error(place_of(item), "policy.bad_glob",
              fmt::format("path '{}': {}", printable(*text), glob.error()));
  }
}

void read_to(const Node& node, Reader& r, Entry& out) {
  if (!r.fields(node, kTo)) return;
  const Node* hosts = node.find("hosts");
  const auto* items = hosts ? r.list(*hosts, "hosts") : nullptr;
  if (items)
    for (const Node& item : *items)
      if (auto host = read_host(item, r)) out.hosts.push_back(std::move(*host));
  if (const Node* n = node.find("ports")) read_ports(*n, r, out);
  if (const Node* n = node.find("paths")) read_to_paths(*n, r, out);
  if (const Node* n = node.find("addresses")) read_addresses(*n, r, out);
}

void read_entry_limits(const Node& node, Reader& r, Entry& out) {
  if (!r.fields(node, kEntryLimits)) return;
  out.limits_place = place_of(node);
  auto count = [&](std::string_view key) {
    const Node* n = node.find(key);
    return static_cast<uint32_t>(n ? r.number(*n, key, bounds_of(kEntryLimits, key)).value_or(0) : 0);
  };
  out.limits.requests_per_minute = count("requestsPerMinute");
  out.limits.concurrent = count("concurrent");
  if (const Node* n = node.find("uploadBytesPerHour"))
    out.limits.upload_bytes_per_hour = r.size(*n, "uploadBytesPerHour").value_or(0);
  const Node* n = node.find("requestBytes");
  if (!n) return;
  out.limits.request_bytes = r.size(*n, "requestBytes").value_or(out.limits.request_bytes);
  if (out.limits.request_bytes > kMaxRequestBytes)
    r.error(place_of(*n), "policy.bad_value",
            fmt::format("requestBytes must be at most 1GiB, not '{}'", printable(n->scalar, 60)));
}

void read_protocol(const Node& node, Reader& r, Entry& out) {
  if (const Node* n = node.find("protocol")) {
    out.protocol_place = place_of(*n);
    out.protocol = r.one_of(*n, "protocol", kProtocols).value_or(Protocol::http);
  }
  // Raw TCP is passed on as it comes, TLS or not: there is nothing to inspect.
  out.tls = out.protocol == Protocol::tcp ? TlsMode::none : TlsMode::inspect;
  const Node* n = node.find("tls");
  if (!n) return;
  out.tls_place = place_of(*n);
  out.tls = r.one_of(*n, "tls", kTlsModes).value_or(TlsMode::inspect);
  if (out.tls == TlsMode::inspect && out.protocol == Protocol::tcp)
    r.error(place_of(*n), "policy.bad_value",
            "protocol: tcp is not inspected; write tls: none or leave it out");
}

void read_data_flow(const Node& node, Reader& r, Entry& out) {
  if (const Node* n = node.find("content"))
    out.content = r.one_of(*n, "content", kTrust).value_or(Trust::untrusted);
  if (const Node* n = node.find("data")) {
    out.data_place = place_of(*n);
    out.data = r.one_of(*n, "data", kDataClasses).value_or(DataClass::public_data);
  }
  out.reach = out.addresses.empty() ? Reach::external : Reach::internal;
  if (const Node* n = node.find("reach"))
    out.reach = r.one_of(*n, "reach", kReaches).value_or(Reach::external);
}

void read_entry(const Node& node, Reader& r, Document& document) {
  if (!r.fields(node, kEntry)) return;
  Entry out{.place = place_of(node)};
  if (const Node* n = node.find("name")) {
    out.name = read_name(*n, r, "the name of an entry").value_or("");
    out.place = place_of(*n);
  }
  if (const Node* n = node.find("to")) read_to(*n, r, out);
  read_protocol(node, r, out);
  read_data_flow(node, r, out);
  if (out.protocol == Protocol::tcp && out.ports.empty())
    r.error(out.place, "policy.missing_field", "protocol: tcp needs to.ports");
  if (out.protocol == Protocol::tcp && !out.paths.empty())
    r.error(out.place, "policy.bad_value", "protocol: tcp has no paths");
  if (out.ports.empty()) out.ports.push_back(out.tls == TlsMode::none ? 80 : 443);
  if (const Node* n = node.find("credential")) {
    out.credential = r.text(*n, "credential").value_or("");
    out.credential_place = place_of(*n);
  }
  if (const Node* n = node.find("limits")) read_entry_limits(*n, r, out);
  read_rules(node, r, out);
  document.network.push_back(std::move(out));
}

}  // namespace

void read_network(const Node& node, Reader& r, Document& out) {
  const auto* items = r.list(node, "network");
  if (!items) return;
  for (const Node& item : *items) read_entry(item, r, out);
}

}  // namespace saw::policy

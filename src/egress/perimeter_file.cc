#include "egress/perimeter_file.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "policy/yaml.h"

namespace saw::egress {

using policy::Diagnostic;
using policy::Diagnostics;
using policy::yaml::Node;

namespace {

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0 || text.front() == '0')
    return std::nullopt;
  return port;
}

template <class T> bool contains(const std::vector<T>& list, const T& item) {
  return std::ranges::find(list, item) != list.end();
}

bool has_glob(std::string_view host) {
  return host.find_first_of("*?[") != std::string_view::npos;
}

// Lower-case A-labels (RFC 5890), or a glob over them.
bool is_host(std::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.back() == '.' || host.contains(".."))
    return false;
  return std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("-_.*?[]").contains(c);
  });
}

}  // namespace

std::string SocketTarget::text() const {
  std::string host = policy::to_text(address);
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::optional<SocketTarget> parse_socket_target(std::string_view text, std::optional<uint16_t> default_port) {
  std::string_view host = text;
  std::optional<uint16_t> port = default_port;
  size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  const bool has_port =
      colon != std::string_view::npos && (bracketed ? text[colon - 1] == ']' : text.find(':') == colon);
  if (has_port) {
    host = text.substr(0, colon);
    port = parse_port(text.substr(colon + 1));
  }
  auto address = policy::parse_address(host);
  if (!address || !port) return std::nullopt;
  return SocketTarget{*address, *port};
}

// Walks the tree once and collects every error; a file with any error gives nothing.
class PerimeterFileReader {
 public:
  explicit PerimeterFileReader(std::string_view name) : name_(name) {}

  std::expected<PerimeterFile, Diagnostics> read(const Node& root) {
    members(
        root, "the perimeter file",
        {{"apiVersion", [&](const Node& n) { constant(n, "saw/v1"); }},
         {"kind", [&](const Node& n) { constant(n, "Perimeter"); }},
         {"resolver", [&](const Node& n) { resolver(n); }},
         {"allow", [&](const Node& n) { each(n, [&](const Node& item, size_t i) { allow(item, i); }); }},
         {"private", [&](const Node& n) { each(n, [&](const Node& item, size_t) { private_range(item); }); }},
         {"connectors",
          [&](const Node& n) { each(n, [&](const Node& item, size_t i) { connector(item, i); }); }},
         {"trust", [&](const Node& n) { each(n, [&](const Node& item, size_t) { trust(item); }); }}});
    require(root, {"apiVersion", "kind"});
    if (!errors_.empty()) return std::unexpected(std::move(errors_));
    return std::move(file_);
  }

 private:
  struct Field {
    std::string_view name;
    std::function<void(const Node&)> read;
  };

  void error(const Node& at, std::string_view code, std::string message) {
    errors_.push_back({.file = name_,
                       .line = at.line,
                       .column = at.column,
                       .code = std::string(code),
                       .message = std::move(message)});
  }

  void members(const Node& node, std::string_view what, const std::vector<Field>& fields) {
    if (node.kind != Node::Kind::mapping)
      return error(node, "perimeter.type", fmt::format("{} must be a mapping", what));
    for (const auto& [key, value] : node.members) {
      auto field = std::ranges::find(fields, key.scalar, &Field::name);
      if (field != fields.end()) {
        field->read(value);
        continue;
      }
      std::string known;
      for (const Field& f : fields) known += fmt::format("{}{}", known.empty() ? "" : ", ", f.name);
      error(key, "perimeter.unknown_field",
            fmt::format("unknown field '{}' in {}; known are: {}", key.scalar, what, known));
    }
  }

  void require(const Node& node, std::initializer_list<std::string_view> names) {
    if (node.kind != Node::Kind::mapping) return;
    for (std::string_view name : names)
      if (!node.find(name)) error(node, "perimeter.missing_field", fmt::format("'{}' is required", name));
  }

  void each(const Node& node, const std::function<void(const Node&, size_t)>& read_item) {
    if (node.kind != Node::Kind::sequence) return error(node, "perimeter.type", "must be a list");
    for (size_t i = 0; i < node.items.size(); ++i) read_item(node.items[i], i);
  }

  // The text of a scalar, or empty after an error.
  std::string_view text(const Node& node) {
    if (node.kind == Node::Kind::scalar && !node.scalar.empty()) return node.scalar;
    error(node, "perimeter.type", "must be a non-empty string");
    return {};
  }

  void constant(const Node& node, std::string_view value) {
    if (auto got = text(node); !got.empty() && got != value)
      error(node, "perimeter.value", fmt::format("must be '{}', is '{}'", value, got));
  }

  void resolver(const Node& node) {
    std::string_view value = text(node);
    if (value.empty() || value == "system") return;
    constexpr uint16_t kDnsPort = 53;
    if (auto target = parse_socket_target(value, kDnsPort))
      file_.resolver_ = *target;
    else
      error(node, "perimeter.value",
            fmt::format("'{}' is neither 'system' nor an address with an optional port", value));
  }

  std::optional<uint16_t> port(const Node& node) {
    std::string_view value = text(node);
    if (value.empty()) return std::nullopt;
    auto parsed = parse_port(value);
    if (!parsed) error(node, "perimeter.value", fmt::format("'{}' is not a port from 1 to 65535", value));
    return parsed;
  }

  // A host name, checked; empty after an error.
  std::string_view host(const Node& node) {
    std::string_view value = text(node);
    if (value.empty() || is_host(value)) return value;
    error(node, "perimeter.host", fmt::format("'{}' is not a host name in lower-case A-labels", value));
    return {};
  }

  void allow(const Node& node, size_t index) {
    AllowEntry entry{.rule = fmt::format("allow[{}]", index)};
    members(node, "an allow entry",
            {{"hosts",
              [&](const Node& n) { each(n, [&](const Node& item, size_t) { allowed_host(item, entry); }); }},
             {"ports", [&](const Node& n) {
                each(n, [&](const Node& item, size_t) {
                  if (auto p = port(item)) entry.ports.push_back(*p);
                });
                if (n.items.empty())
                  error(n, "perimeter.empty",
                        "an empty list of ports allows nothing; leave 'ports' out for [443]");
              }}});
    require(node, {"hosts"});
    if (const Node* hosts = node.find("hosts"); hosts && hosts->items.empty())
      error(*hosts, "perimeter.empty", "an empty list of hosts");
    constexpr uint16_t kHttpsPort = 443;
    if (entry.ports.empty()) entry.ports = {kHttpsPort};
    file_.allow_.push_back(std::move(entry));
  }

  void allowed_host(const Node& node, AllowEntry& entry) {
    if (node.kind == Node::Kind::scalar) {
      if (auto literal = policy::parse_address(node.scalar)) {
        if (policy::classify(*literal) == policy::AddressClass::never)
          return error(
              node, "perimeter.address_class",
              fmt::format("'{}' is never reachable by listing; loopback takes a connector", node.scalar));
        return entry.literals.push_back(*literal);
      }
    }
    std::string_view value = host(node);
    if (value.empty()) return;
    auto pattern = policy::Glob::create(value, policy::Glob::Kind::host);
    if (!pattern) return error(node, "perimeter.host", fmt::format("'{}': {}", value, pattern.error()));
    entry.hosts.push_back(std::move(*pattern));
  }

  void private_range(const Node& node) {
    std::string_view value = text(node);
    if (value.empty()) return;
    auto range = policy::parse_range(value);
    if (!range)
      return error(node, "perimeter.range",
                   fmt::format("'{}' is not a range such as 10.20.0.0/16 with zero host bits", value));
    if (policy::classify(range->base) != policy::AddressClass::private_use)
      return error(node, "perimeter.range",
                   fmt::format("'{}' is not a private range (RFC 1918, 6598, 4193)", value));
    file_.private_.push_back(*range);
  }

  void connector(const Node& node, size_t index) {
    Connector made{.rule = fmt::format("connectors[{}]", index)};
    members(node, "a connector",
            {{"host", [&](const Node& n) { made.host = connector_host(n); }},
             {"port", [&](const Node& n) { made.port = port(n).value_or(0); }},
             {"to", [&](const Node& n) { target(n, made.to); }}});
    require(node, {"host", "port", "to"});
    for (const Connector& other : file_.connectors_)
      if (other.host == made.host && other.port == made.port)
        error(node, "perimeter.duplicate",
              fmt::format("'{}' port {} has a connector already", made.host, made.port));
    file_.connectors_.push_back(std::move(made));
  }

  std::string connector_host(const Node& node) {
    std::string_view value = host(node);
    if (has_glob(value))
      error(node, "perimeter.host", "a connector names one host, not a pattern");
    else if (!value.empty() && policy::parse_address(value))
      error(node, "perimeter.host", "a connector names a host, not an address");
    return std::string(value);
  }

  void target(const Node& node, ConnectorTarget& out) {
    std::string_view value = text(node);
    if (value.empty()) return;
    constexpr size_t kMaxSocketPath = 107;  // sun_path without its terminator
    if (value.starts_with("unix:")) {
      std::string_view path = value.substr(5);
      if (!path.starts_with('/') || path.size() > kMaxSocketPath)
        return error(node, "perimeter.value",
                     fmt::format("'{}' is not an absolute path of at most {} bytes", path, kMaxSocketPath));
      out = UnixTarget{std::string(path)};
    } else if (auto socket = parse_socket_target(value)) {
      out = *socket;
    } else {
      error(node, "perimeter.value", fmt::format("'{}' is neither ADDRESS:PORT nor unix:/PATH", value));
    }
  }

  void trust(const Node& node) {
    std::string_view value = text(node);
    if (value.empty()) return;
    if (!value.starts_with('/'))
      return error(node, "perimeter.value", fmt::format("'{}' is not an absolute path", value));
    file_.trust_.emplace_back(value);
  }

  std::string name_;
  PerimeterFile file_;
  Diagnostics errors_;
};

std::expected<PerimeterFile, Diagnostics> PerimeterFile::parse(std::string_view yaml, std::string_view file) {
  if (yaml.size() > kMaxBytes)
    return std::unexpected(Diagnostics{{.file = std::string(file),
                                        .line = 1,
                                        .column = 1,
                                        .code = "perimeter.too_large",
                                        .message = fmt::format("larger than {} bytes", kMaxBytes)}});
  auto root = policy::yaml::parse(yaml, file);
  if (!root) return std::unexpected(std::move(root).error());
  return PerimeterFileReader(file).read(*root);
}

Route PerimeterFile::route(std::string_view host, uint16_t port) const {
  for (const Connector& connector : connectors_)
    if (connector.host == host && connector.port == port) return ViaConnector{&connector};
  const auto literal = policy::parse_address(host);
  for (const AllowEntry& entry : allow_) {
    if (!contains(entry.ports, port)) continue;
    if (literal && contains(entry.literals, *literal)) return ViaAddress{&entry, *literal};
    if (literal) continue;
    for (const policy::Glob& pattern : entry.hosts)
      if (pattern.matches(host)) return ViaName{&entry};
  }
  return NotListed{};
}

bool PerimeterFile::allows_private(const policy::Address& address) const {
  return std::ranges::any_of(
      private_, [&](const policy::AddressRange& range) { return policy::contains(range, address); });
}

}  // namespace saw::egress

#include "policy/registry.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace saw::policy {
namespace {

using What = RegistryRequest::What;
using Answer = std::optional<RegistryRequest>;  // nullopt: not a request of that ecosystem
using Segments = std::vector<std::string_view>;

// What is asked, cut up. Segments are those between slashes; one final slash does not count.
struct Asked {
  std::string_view method, path, query;
  Segments s;
  bool reads = false;  // GET or HEAD

  bool is(size_t size) const { return s.size() == size; }
  bool at(size_t i, std::string_view text) const { return i < s.size() && s[i] == text; }
};

Answer read(What what, std::string package = {}) {
  return RegistryRequest{what, RegistryOp::read, std::move(package)};
}
Answer publish(std::string package = {}) {
  return RegistryRequest{What::listing, RegistryOp::publish, std::move(package)};
}

std::string join(const Segments& segments, size_t begin, size_t end, char with) {
  std::string out;
  for (size_t i = begin; i < end; ++i) {
    if (i > begin) out += with;
    out += segments[i];
  }
  return out;
}

// "left-pad-1.3.0.gem": the name ends before the '-' that a digit follows. Nothing where there are two of them: "a-2b-1.gem" is
// "a" to one reader and "a-2b" to another.
std::string name_before_version(std::string_view file) {
  size_t found = std::string_view::npos;
  for (size_t at = file.find('-'); at != std::string_view::npos; at = file.find('-', at + 1)) {
    if (at + 1 == file.size() || file[at + 1] < '0' || file[at + 1] > '9') continue;
    if (found != std::string_view::npos) return {};
    found = at;
  }
  return found == std::string_view::npos ? std::string() : std::string(file.substr(0, found));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

Answer npm(const Asked& a) {
  if (a.s.empty()) return a.reads ? read(What::index) : std::nullopt;
  if (a.at(0, "-")) {
    if (a.at(1, "package") && a.s.size() >= 4) {  // /-/package/NAME/dist-tags[/TAG]
      const size_t name = a.s[2].starts_with('@') ? 2 : 1;
      if (!a.at(2 + name, "dist-tags")) return {};
      const std::string package = join(a.s, 2, 2 + name, '/');
      return a.reads ? read(What::listing, package) : publish(package);
    }
    const bool index = a.reads && (a.at(1, "ping") || a.at(1, "v1") || a.at(1, "all"));
    return index ? read(What::index) : std::nullopt;
  }
  const size_t name = a.s[0].starts_with('@') ? 2 : 1;
  if (a.s.size() < name) return {};
  const std::string package = join(a.s, 0, name, '/');
  if (!a.reads) return publish(package);
  if (a.is(name)) return read(What::listing, package);
  if (a.is(name + 1)) return read(What::version, package);  // /NAME/1.2.3, /NAME/latest
  return a.is(name + 2) && a.at(name, "-") ? read(What::version, package) : std::nullopt;
}

// PEP 503: case and the choice of separator do not tell projects apart.
std::string pypi_name(std::string_view text) {
  std::string out;
  for (const char c : lower(text)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  return out;
}

Answer pypi(const Asked& a) {
  if (!a.reads) return a.method == "POST" && (a.s.empty() || a.at(0, "legacy")) ? publish() : std::nullopt;
  if (a.at(0, "simple")) {
    if (a.is(1)) return read(What::index);
    return a.is(2) ? read(What::listing, pypi_name(a.s[1])) : std::nullopt;
  }
  if (a.at(0, "pypi") && a.at(a.s.size() - 1, "json")) {
    if (a.is(3)) return read(What::listing, pypi_name(a.s[1]));
    return a.is(4) ? read(What::version, pypi_name(a.s[1])) : std::nullopt;
  }
  if (!a.at(0, "packages") || a.s.size() < 2) return {};
  // Wheels: NAME-VERSION-…; source: NAME-VERSION.tar.gz. A wheel's name has no '-'.
  const std::string_view file = a.s.back();
  const bool wheel = file.ends_with(".whl") || file.ends_with(".whl.metadata");
  return read(What::version, pypi_name(wheel ? file.substr(0, file.find('-')) : name_before_version(file)));
}

// "/ab/cd/abcdef", "/1/a", "/2/ab", "/3/a/abc": the sparse index.
Answer cargo_index(const Asked& a) {
  const std::string_view name = a.s.back();
  const bool one = a.is(2) && a.at(0, "1") && name.size() == 1,
             two = a.is(2) && a.at(0, "2") && name.size() == 2;
  const bool three = a.is(3) && a.at(0, "3") && name.size() == 3 && a.s[1] == name.substr(0, 1);
  const bool more = a.is(3) && name.size() > 3 && a.s[0] == name.substr(0, 2) && a.s[1] == name.substr(2, 2);
  return one || two || three || more ? read(What::listing, lower(name)) : std::nullopt;
}

Answer cargo(const Asked& a) {
  if (a.at(0, "api") && a.at(1, "v1") && a.at(2, "crates")) {
    if (!a.reads) return publish(a.s.size() > 3 && !a.at(3, "new") ? lower(a.s[3]) : std::string());
    if (a.is(3)) return read(What::index);
    const bool version = a.s.size() > 4 && a.s[4].find_first_of("0123456789") == 0;
    return read(version ? What::version : What::listing, lower(a.s[3]));
  }
  if (!a.reads) return {};
  if (a.is(1) && a.at(0, "config.json")) return read(What::index);
  if (a.at(0, "crates") && (a.is(3) || (a.is(4) && a.at(3, "download"))))
    return read(What::version, lower(a.s[1]));
  return a.s.empty() ? std::nullopt : cargo_index(a);
}

// "!a" stands for "A" in a module's path (golang.org/ref/mod#goproxy-protocol).
std::string go_module(std::string_view escaped) {
  std::string out;
  for (size_t i = 0; i < escaped.size(); ++i) {
    const bool upper =
        escaped[i] == '!' && i + 1 < escaped.size() && escaped[i + 1] >= 'a' && escaped[i + 1] <= 'z';
    out += upper ? static_cast<char>(escaped[++i] - 32) : escaped[i];
  }
  return out;
}

Answer go(const Asked& a) {
  if (!a.reads) return {};
  if (a.at(0, "sumdb")) return read(What::index);
  const size_t size = a.s.size();
  if (size >= 2 && a.at(size - 1, "@latest"))
    return read(What::listing, go_module(join(a.s, 0, size - 1, '/')));
  if (size < 3 || !a.at(size - 2, "@v")) return {};
  const std::string module = go_module(join(a.s, 0, size - 2, '/'));
  return read(a.at(size - 1, "list") ? What::listing : What::version, module);
}

// /org/acme/app/1.2/app-1.2.jar → "org.acme:app"; /org/acme/app/maven-metadata.xml.
Answer maven(const Asked& a) {
  const size_t size = a.s.size();
  if (size < 3) return {};
  const std::string_view file = a.s.back();
  const bool metadata = file.starts_with("maven-metadata.xml");
  const bool of_version = size >= 4 && file.starts_with(std::string(a.s[size - 3]) + "-");
  if (!metadata && !of_version) return {};
  // The metadata of a snapshot stands beside its artifacts, that of all versions one level up.
  const bool snapshot = metadata && size >= 4 && a.s[size - 2].ends_with("-SNAPSHOT");
  const size_t artifact = size - (of_version || snapshot ? 3 : 2);
  const std::string package = join(a.s, 0, artifact, '.') + ":" + std::string(a.s[artifact]);
  if (!a.reads) return a.method == "PUT" || a.method == "DELETE" ? publish(package) : std::nullopt;
  return read(metadata ? What::listing : What::version, package);
}

Answer rubygems_api(const Asked& a) {
  if (!a.reads) return a.at(2, "gems") ? publish() : std::nullopt;
  if (a.at(2, "gems") && a.is(4)) {
    const std::string_view file = a.s[3];
    return read(What::listing, std::string(file.substr(0, file.rfind('.'))));
  }
  return a.at(2, "dependencies") && a.query.empty() ? read(What::index) : std::nullopt;
}

Answer rubygems(const Asked& a) {
  if (a.at(0, "api") && a.at(1, "v1")) return rubygems_api(a);
  if (!a.reads) return {};
  if (a.is(2) && a.at(0, "info")) return read(What::listing, std::string(a.s[1]));
  const bool gem = (a.is(2) && a.at(0, "gems")) || (a.is(3) && a.at(0, "quick"));
  if (gem) return read(What::version, name_before_version(a.s.back()));
  constexpr std::string_view kIndexes[] = {"versions", "names", "specs.4.8.gz", "latest_specs.4.8.gz",
                                           "prerelease_specs.4.8.gz"};
  const bool index = a.is(1) && std::ranges::find(kIndexes, a.s[0]) != std::end(kIndexes);
  return index ? read(What::index) : std::nullopt;
}

Answer oci(const Asked& a) {
  if (!a.at(0, "v2")) return {};
  if (a.is(1)) return a.reads ? read(What::index) : std::nullopt;
  if (a.is(2) && a.at(1, "_catalog")) return a.reads ? read(What::index) : std::nullopt;
  // The name is everything before the part's own word, which stands second or third from the end.
  const size_t size = a.s.size();
  constexpr std::string_view kParts[] = {"manifests", "blobs", "tags", "referrers"};
  for (const size_t back : {size_t{2}, size_t{3}}) {
    if (size < back + 2) continue;
    const size_t part = size - back;
    const bool upload = a.s[part] == "blobs" && a.s[part + 1] == "uploads";
    const bool plain = back == 2 && std::ranges::find(kParts, a.s[part]) != std::end(kParts);
    if (!upload && !plain) continue;
    std::string name = join(a.s, 1, part, '/');
    if (!a.reads || upload) return publish(std::move(name));  // also asking how far an upload has come
    return read(a.s[part] == "tags" || a.s[part] == "referrers" ? What::listing : What::version,
                std::move(name));
  }
  return {};
}

Answer debian(const Asked& a) {
  if (!a.reads) return {};
  // Names of files must not decide which tree they are in: the first of the two words does.
  const auto tree = std::ranges::find_if(a.s, [](std::string_view s) { return s == "dists" || s == "pool"; });
  if (tree == a.s.end()) return {};
  if (*tree == "dists") return read(What::index);
  const std::string_view file = a.s.back();
  const size_t end = file.find('_');
  return end == 0 || end == std::string_view::npos ? std::nullopt
                                                   : read(What::version, std::string(file.substr(0, end)));
}

Segments split(std::string_view path) {
  Segments out;
  for (size_t begin = 1; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    out.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

using Reader = Answer (*)(const Asked&);
constexpr Reader kReaders[] = {npm,   pypi,     cargo, go,
                               maven, rubygems, oci,   debian};  // in the order of Ecosystem

}  // namespace

std::expected<RegistryRequest, std::string_view> registry_request(Ecosystem ecosystem,
                                                                  std::string_view method,
                                                                  std::string_view path,
                                                                  std::string_view query) {
  constexpr std::string_view kWrites[] = {"POST", "PUT", "PATCH", "DELETE"};
  const Asked asked{.method = method,
                    .path = path,
                    .query = query,
                    .s = split(path),
                    .reads = method == "GET" || method == "HEAD"};
  const bool writes = std::ranges::find(kWrites, method) != std::end(kWrites);
  const bool empty_segment = std::ranges::any_of(asked.s, [](std::string_view s) { return s.empty(); });
  Answer out;
  if ((asked.reads || writes) && !empty_segment) out = kReaders[static_cast<size_t>(ecosystem)](asked);
  if (!out) return std::unexpected("registry-unknown-operation");
  return std::move(*out);
}

}  // namespace saw::policy

#include "policy/registry.h"

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

// "read listing left-pad", "publish listing x", "read index", or the reason.
std::string ask(Ecosystem ecosystem, std::string_view method, std::string_view path,
                std::string_view query = {}) {
  auto r = registry_request(ecosystem, method, path, query);
  if (!r) return r.error() == "registry-unknown-operation" ? "unknown" : std::string(r.error());
  const std::string_view whats[] = {"index", "listing", "version"};
  std::string out = r->op == RegistryOp::read ? "read " : "publish ";
  out += whats[static_cast<int>(r->what)];
  return r->package.empty() ? out : out + " " + r->package;
}

struct Case {
  Ecosystem ecosystem;
  std::string_view method, path, answer;
};

TEST(Registry, tells_operation_and_package_of_what_clients_ask) {
  using enum Ecosystem;
  const Case cases[] = {
      {npm, "GET", "/left-pad", "read listing left-pad"},
      {npm, "GET", "/@acme/ui", "read listing @acme/ui"},
      {npm, "GET", "/left-pad/1.3.0", "read version left-pad"},
      {npm, "GET", "/left-pad/-/left-pad-1.3.0.tgz", "read version left-pad"},
      {npm, "HEAD", "/@acme/ui/-/ui-1.2.0.tgz", "read version @acme/ui"},
      {npm, "GET", "/-/ping", "read index"},
      {npm, "GET", "/-/v1/search", "read index"},
      {npm, "GET", "/-/package/@acme/ui/dist-tags", "read listing @acme/ui"},
      {npm, "PUT", "/-/package/left-pad/dist-tags/latest", "publish listing left-pad"},
      {npm, "PUT", "/@acme/ui", "publish listing @acme/ui"},
      {npm, "DELETE", "/left-pad/-rev/3", "publish listing left-pad"},
      {pypi, "GET", "/simple/", "read index"},
      {pypi, "GET", "/simple/Zope.Interface/", "read listing zope-interface"},
      {pypi, "GET", "/pypi/requests/json", "read listing requests"},
      {pypi, "GET", "/pypi/requests/2.0/json", "read version requests"},
      {pypi, "GET", "/packages/ab/cd/python_dateutil-2.8.2-py3-none-any.whl", "read version python-dateutil"},
      {pypi, "GET", "/packages/ab/cd/python-dateutil-2.8.2.tar.gz", "read version python-dateutil"},
      {pypi, "GET", "/packages/ab/cd/a-2b-1.0.tar.gz", "read version"},
      {pypi, "POST", "/legacy/", "publish listing"},
      {cargo, "GET", "/config.json", "read index"},
      {cargo, "GET", "/se/rd/serde", "read listing serde"},
      {cargo, "GET", "/3/a/abc", "read listing abc"},
      {cargo, "GET", "/xx/rd/serde", "unknown"},
      {cargo, "GET", "/api/v1/crates/serde/1.0.0/download", "read version serde"},
      {cargo, "GET", "/crates/serde/serde-1.0.0.crate", "read version serde"},
      {cargo, "PUT", "/api/v1/crates/new", "publish listing"},
      {cargo, "DELETE", "/api/v1/crates/serde/1.0.0/yank", "publish listing serde"},
      {go, "GET", "/github.com/!azure/sdk/@v/list", "read listing github.com/Azure/sdk"},
      {go, "GET", "/github.com/a/b/@v/v1.2.3.zip", "read version github.com/a/b"},
      {go, "GET", "/github.com/a/b/@latest", "read listing github.com/a/b"},
      {go, "GET", "/sumdb/sum.golang.org/latest", "read index"},
      {go, "POST", "/github.com/a/b/@v/list", "unknown"},
      {maven, "GET", "/org/acme/app/1.2/app-1.2.jar", "read version org.acme:app"},
      {maven, "GET", "/org/acme/app/maven-metadata.xml", "read listing org.acme:app"},
      {maven, "GET", "/org/acme/app/1.2-SNAPSHOT/maven-metadata.xml", "read listing org.acme:app"},
      {maven, "PUT", "/org/acme/app/1.2/app-1.2.pom", "publish listing org.acme:app"},
      {maven, "GET", "/org/acme/app/1.2/other-1.2.jar", "unknown"},
      {rubygems, "GET", "/info/rails", "read listing rails"},
      {rubygems, "GET", "/gems/nokogiri-1.15.0-x86_64-linux.gem", "read version nokogiri"},
      {rubygems, "GET", "/versions", "read index"},
      {rubygems, "POST", "/api/v1/gems", "publish listing"},
      {oci, "GET", "/v2/", "read index"},
      {oci, "GET", "/v2/library/nginx/manifests/1.25", "read version library/nginx"},
      {oci, "HEAD", "/v2/a/blobs/sha256:00", "read version a"},
      {oci, "GET", "/v2/team/app/tags/list", "read listing team/app"},
      {oci, "POST", "/v2/team/app/blobs/uploads/", "publish listing team/app"},
      {oci, "PATCH", "/v2/team/app/blobs/uploads/uuid", "publish listing team/app"},
      {oci, "PUT", "/v2/team/app/manifests/latest", "publish listing team/app"},
      {debian, "GET", "/debian/dists/bookworm/InRelease", "read index"},
      {debian, "GET", "/debian/pool/main/h/hello/hello_2.10-3_amd64.deb", "read version hello"},
      {debian, "PUT", "/debian/pool/main/h/hello/hello_2.10-3_amd64.deb", "unknown"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(ask(c.ecosystem, c.method, c.path), c.answer) << c.method << " " << c.path;
}

TEST(Registry, what_no_client_asks_is_unknown) {
  for (Ecosystem e : {Ecosystem::pypi, Ecosystem::cargo, Ecosystem::go, Ecosystem::maven, Ecosystem::rubygems,
                      Ecosystem::oci, Ecosystem::debian}) {
    EXPECT_EQ(ask(e, "GET", "/admin"), "unknown");
    EXPECT_EQ(ask(e, "GET", "/"), "unknown");
    EXPECT_EQ(ask(e, "POST", "/"), e == Ecosystem::pypi ? "publish listing" : "unknown");
    EXPECT_EQ(ask(e, "OPTIONS", "/v2/a/manifests/b"), "unknown");
  }
  EXPECT_EQ(ask(Ecosystem::npm, "PUT", "/-/user/org.couchdb.user:me"), "unknown");
  EXPECT_EQ(ask(Ecosystem::npm, "POST", "/-/npm/v1/security/advisories/bulk"), "unknown");
  EXPECT_EQ(ask(Ecosystem::npm, "GET", "/a/-/b/c/d.tgz"), "unknown");
}

}  // namespace
}  // namespace saw::policy

#include "egress/perimeter_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saw::egress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string with(std::string_view body) {
  return "apiVersion: saw/v1\nkind: Perimeter\n" + std::string(body);
}

// The first error's text, or "ok".
std::string problem(std::string_view yaml) {
  auto file = PerimeterFile::parse(yaml, "p.yaml");
  return file ? "ok" : file.error().front().text();
}

TEST(PerimeterFile, every_field_is_read) {
  auto file = PerimeterFile::parse(with(R"(
resolver: 10.0.0.2
allow:
  - hosts: ["*.github.com", "api.x.y"]
    ports: [443, 8443]
  - {hosts: [mirror.example]}
private: ["10.20.0.0/16", "fd12::/16"]
connectors:
  - {host: git.demo.example, port: 443, to: "127.0.0.1:38443"}
  - {host: model.demo.example, port: 80, to: "unix:/run/model.sock"}
trust: [/etc/saw/corp-ca.pem]
)"),
                                   "p.yaml");
  ASSERT_TRUE(file) << file.error().front().text();
  EXPECT_EQ(std::get<SocketTarget>(file->resolver()).text(), "10.0.0.2:53");
  ASSERT_EQ(file->allow()[0].hosts.size(), 2u);
  EXPECT_EQ(file->allow()[0].hosts[0].text(), "*.github.com");
  EXPECT_THAT(file->allow()[0].ports, ElementsAre(443, 8443));
  EXPECT_THAT(file->allow()[1].ports, ElementsAre(443));
  EXPECT_EQ(file->private_ranges().size(), 2u);
  EXPECT_EQ(std::get<SocketTarget>(file->connectors()[0].to).text(), "127.0.0.1:38443");
  EXPECT_EQ(std::get<UnixTarget>(file->connectors()[1].to).path, "/run/model.sock");
  EXPECT_THAT(file->trust(), ElementsAre("/etc/saw/corp-ca.pem"));
}

TEST(PerimeterFile, the_smallest_file_lists_nothing) {
  auto file = PerimeterFile::parse(with(""), "p.yaml");
  ASSERT_TRUE(file);
  EXPECT_TRUE(std::holds_alternative<SystemResolver>(file->resolver()));
  EXPECT_TRUE(std::holds_alternative<NotListed>(file->route("example.com", 443)));
}

TEST(PerimeterFile, every_error_names_its_place_and_reason) {
  EXPECT_THAT(problem(with("alow: []\n")), testing::AllOf(HasSubstr("p.yaml:3:1"), HasSubstr("'alow'"),
                                                          HasSubstr("perimeter.unknown_field")));
  EXPECT_THAT(problem("kind: Perimeter\n"), HasSubstr("'apiVersion' is required"));
  EXPECT_THAT(problem("apiVersion: saw/v2\nkind: Perimeter\n"), HasSubstr("saw/v1"));
  EXPECT_THAT(problem("apiVersion: saw/v1\nkind: Policy\n"), HasSubstr("Perimeter"));
  EXPECT_THAT(problem("[]"), HasSubstr("perimeter.type"));
  EXPECT_THAT(problem(""), HasSubstr("p.yaml"));
  for (const char* bad :
       {"resolver: dns.example\n",
        "resolver: ''\n",
        "allow: [{hosts: []}]\n",
        "allow: [{ports: [443]}]\n",
        "allow: [{hosts: [a.b], ports: []}]\n",
        "allow: [{hosts: [a.b], ports: [0]}]\n",
        "allow: [{hosts: [a.b], ports: [65536]}]\n",
        "allow: [{hosts: [a.b], ports: [0443]}]\n",
        "allow: [{hosts: [A.b]}]\n",
        "allow: [{hosts: [a..b]}]\n",
        "allow: [{hosts: [a.b.]}]\n",
        "allow: [{hosts: ['a/b']}]\n",
        "allow: [{hosts: ['[a.b']}]\n",
        "allow: {hosts: [a.b]}\n",
        "allow: [{hosts: [127.0.0.1]}]\n",
        "allow: [{hosts: [0x7f.1]}]\n",
        "allow: [{hosts: [169.254.169.254]}]\n",
        "private: [10.20.0.1/16]\n",
        "private: [127.0.0.0/8]\n",
        "private: [0.0.0.0/0]\n",
        "private: [93.184.0.0/16]\n",
        "private: [169.254.0.0/16]\n",
        "connectors: [{host: a.b, port: 443}]\n",
        "connectors: [{host: '*.b', port: 443, to: '127.0.0.1:1'}]\n",
        "connectors: [{host: a.b, port: 443, to: 'localhost:1'}]\n",
        "connectors: [{host: a.b, port: 443, to: 'unix:run/x'}]\n",
        "connectors: [{host: 10.0.0.1, port: 443, to: '127.0.0.1:1'}]\n",
        "connectors: [{host: a.b, port: 1, to: '127.0.0.1:1'}, {host: a.b, port: 1, to: '127.0.0.1:2'}]\n",
        "trust: [ca.pem]\n",
        "trust: /ca.pem\n",
        "private: []\nprivate: []\n"})
    EXPECT_THAT(problem(with(bad)), HasSubstr("p.yaml:")) << bad;
  EXPECT_EQ(problem(with("allow: [{hosts: [a.b]}]\n")), "ok");
}

TEST(PerimeterFile, a_glob_never_matches_an_address) {
  auto file = PerimeterFile::parse(with("allow: [{hosts: ['**', '*.*.*.*'], ports: [443]}]\n"), "p.yaml");
  ASSERT_TRUE(file) << file.error().front().text();
  EXPECT_TRUE(std::holds_alternative<NotListed>(file->route("93.184.216.34", 443)));
  EXPECT_TRUE(std::holds_alternative<NotListed>(file->route("0x7f.1", 443)));
  EXPECT_TRUE(std::holds_alternative<ViaName>(file->route("a.b.c.d", 443)));
}

TEST(PerimeterFile, a_literal_is_the_same_in_every_spelling) {
  auto file = PerimeterFile::parse(with("allow: [{hosts: [93.184.216.34], ports: [443]}]\n"), "p.yaml");
  ASSERT_TRUE(file);
  EXPECT_TRUE(std::holds_alternative<ViaAddress>(file->route("93.184.216.34", 443)));
  EXPECT_TRUE(std::holds_alternative<ViaAddress>(file->route("0x5db8d822", 443)));
  EXPECT_TRUE(std::holds_alternative<NotListed>(file->route("93.184.216.34", 80)));
}

TEST(PerimeterFile, a_file_beyond_the_bound_is_refused) {
  EXPECT_THAT(problem(with("# " + std::string(PerimeterFile::kMaxBytes, 'x'))),
              HasSubstr("perimeter.too_large"));
}

}  // namespace
}  // namespace saw::egress

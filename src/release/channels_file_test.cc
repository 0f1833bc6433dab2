#include "release/channels_file.h"

#include <gtest/gtest.h>

namespace saw::release {
namespace {

std::string file(std::string_view channels, std::string_view trust = "/etc/saw/trust.yaml") {
  return fmt::format("apiVersion: saw/v1\nkind: Channels\ntrust: {}\nchannels: {}\n", trust, channels);
}

TEST(ChannelsFile, names_trees_and_the_trust_file) {
  const auto read =
      ChannelsFile::parse(file("{stable: {tree: /srv/policy}, beta: {tree: /srv/policy}}"), "c");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->trust, "/etc/saw/trust.yaml");
  EXPECT_EQ(read->trees.at("beta"), "/srv/policy");
}

TEST(ChannelsFile, is_strict) {
  for (const std::string& bad :
       {file("{}"), file("[stable]"), file("{stable: {tree: policy}}"), file("{stable: {}}"),
        file("{../stable: {tree: /srv}}"), file("{stable: {tree: /srv, trust: /x}}"),
        file("{stable: {tree: /srv}}", "trust.yaml"), std::string(), std::string("kind: Channels\n"),
        file("{stable: {tree: /srv}}") + "more: 1\n"}) {
    const auto read = ChannelsFile::parse(bad, "c");
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().code, "channels.invalid");
  }
}

}  // namespace
}  // namespace saw::release

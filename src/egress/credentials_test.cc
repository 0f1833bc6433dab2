#include "egress/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace saw::egress {
namespace {

TEST(Credential, its_formats_put_the_secret_where_they_say) {
  EXPECT_EQ(render_credential("Bearer {secret}", "s3cret")->value, "Bearer s3cret");
  EXPECT_EQ(render_credential("{secret}", "s3cret")->value, "s3cret");
  auto basic = render_credential("Basic {basic:x-access-token}", "s3cret");
  EXPECT_EQ(basic->value, "Basic " + to_base64("x-access-token:s3cret"));
  EXPECT_THAT(basic->sensitive,
              testing::IsSupersetOf({std::string("s3cret"), std::string("x-access-token:s3cret"),
                                     to_base64("x-access-token:s3cret")}));
}

TEST(Credential, its_sensitive_forms_are_those_that_servers_write) {
  EXPECT_THAT(render_credential("Bearer {secret}", "a/b+c")->sensitive,
              testing::UnorderedElementsAre("a/b+c", "a%2Fb%2Bc", "a\\/b+c"));
  EXPECT_THAT(render_credential("Basic {secret}", to_base64("user:p4ss"))->sensitive,
              testing::IsSupersetOf({std::string("user:p4ss"), std::string("p4ss")}));
  EXPECT_THAT(render_credential("Bearer {secret}", "plain")->sensitive, testing::ElementsAre("plain"));
}

TEST(Credential, an_unknown_format_and_a_secret_that_breaks_the_header_are_refused) {
  EXPECT_EQ(render_credential("Bearer {token}", "x").error().code, "credential.format");
  EXPECT_EQ(render_credential("Bearer {secret", "x").error().code, "credential.format");
  EXPECT_EQ(render_credential("Bearer {secret}", "x\r\nEvil: 1").error().code, "credential.value");
}

TEST(PlaceholderScanner, finds_a_placeholder_wherever_the_stream_is_cut) {
  const std::string text = "padding SAW-PLACEHOLDER-1 more";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    PlaceholderScanner scanner({{"token", "SAW-PLACEHOLDER-1"}});
    auto first = scanner.feed(text.substr(0, cut));
    auto second = first ? first : scanner.feed(text.substr(cut));
    EXPECT_EQ(second, "token") << cut;
  }
}

TEST(PlaceholderScanner, text_without_one_passes) {
  PlaceholderScanner scanner({{"token", "SAW-PLACEHOLDER-1"}});
  EXPECT_EQ(scanner.feed("SAW-PLACEHOLDER-"), std::nullopt);
  EXPECT_EQ(scanner.feed("2"), std::nullopt);
  EXPECT_EQ(scanner.find("SAW-PLACEHOLDER"), std::nullopt);
}

TEST(PlaceholderScanner, looks_into_basic_authorization) {
  PlaceholderScanner scanner({{"token", "SAW-PLACEHOLDER-1"}});
  EXPECT_EQ(scanner.find("Basic " + to_base64("user:SAW-PLACEHOLDER-1")), "token");
  EXPECT_EQ(scanner.find("Basic " + to_base64("user:other")), std::nullopt);
}

TEST(Redactor, a_secret_never_passes_wherever_the_stream_is_cut_and_the_length_stays) {
  const std::string text = "before hunter22 after hunterhunter22 hunter2";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Redactor redactor({{"hunter22", "PLACE"}});
    std::string out =
        redactor.feed(text.substr(0, cut)) + redactor.feed(text.substr(cut)) + redactor.finish();
    EXPECT_EQ(out, "before PLACE*** after hunterPLACE*** hunter2") << cut;
  }
}

TEST(Redactor, holds_back_only_what_could_be_the_start_of_a_secret) {
  Redactor redactor({{"hunter22", "P"}});
  EXPECT_EQ(redactor.feed("data: x\n\n"), "data: x\n\n");
  EXPECT_EQ(redactor.feed("and hun"), "and ");
  EXPECT_EQ(redactor.feed("gry"), "hungry");
}

TEST(Redactor, of_two_forms_the_longer_goes_whole) {
  Redactor redactor({{"abcd", "1"}, {"xxabcdxx", "2"}});
  EXPECT_EQ(redactor.feed("xxabcdxx abcd!"), "2******* 1***!");
  EXPECT_EQ(redactor.text("v=abcd"), "v=1");
}

}  // namespace
}  // namespace saw::egress

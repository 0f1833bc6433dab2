#include "control/event_check.h"

#include <gtest/gtest.h>

#include "egress/egress_protocol.h"

namespace saw::control {
namespace {

const EventSource kEgress{.layer = "runtime", .workspace = "ws-1"};

TEST(EventCheck, an_event_of_the_senders_own_layer_and_workspace_passes) {
  EXPECT_FALSE(event_problem(R"({"unmapped":{"saw":{"layer":"runtime","workspace":"ws-1"}}})", kEgress));
  EXPECT_FALSE(event_problem(R"({"unmapped":{"saw":{"layer":"runtime"}}})", kEgress));
  EXPECT_FALSE(event_problem(R"({"unmapped":{"saw":{"layer":"perimeter","workspace":"ws-2"}}})",
                             {.layer = "perimeter"}));
}

TEST(EventCheck, forged_malformed_and_oversized_events_do_not) {
  const std::string head = R"({"unmapped":{"saw":{"layer":"runtime"}},"x":")";
  for (const std::string& bad :
       {std::string(R"({"unmapped":{"saw":{"layer":"governance"}}})"),
        std::string(R"({"unmapped":{"saw":{"layer":"runtime","workspace":"ws-2"}}})"),
        std::string(R"({"unmapped":{"saw":{"layer":"runtime","layer":"governance"}}})"), std::string("{}"),
        std::string("[]"), std::string(""), std::string("{\"a\":1}\n{\"b\":2}"),
        std::string(R"({"unmapped":[1]})"), head + std::string(egress::kMaxEventBytes, 'x') + "\"}",
        "{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}"})
    EXPECT_TRUE(event_problem(bad, kEgress)) << bad.substr(0, 80);
}

// Absence is proved by an event's bytes: no name may be written in a way that the index does not see.
TEST(EventCheck, an_event_that_could_hide_its_destination_from_the_index_does_not_pass) {
  const std::string head = R"({"unmapped":{"saw":{"layer":"runtime","session":"ss-1"}},)";
  EXPECT_FALSE(event_problem(head + R"("dst_endpoint":{"hostname":"evil.example"}})", kEgress));
  for (const char* rest : {R"("dst_endpoint":{"hostname": "evil.example"}})",
                           R"("dst_endpoint":{"hostname":"evil\u002eexample"}})",
                           R"("dst_endpoint":{"host\u006eame":"evil.example"}})",
                           "\"dst_endpoint\":{\"hostname\":\"\xc3\xa9\"}}"})
    EXPECT_TRUE(event_problem(head + rest, kEgress)) << rest;
  std::string many = head + "\"a\":[";
  for (int i = 0; i < 100; ++i) many += (i ? ",{\"ip\":\"" : "{\"ip\":\"") + std::to_string(i) + "\"}";
  EXPECT_TRUE(event_problem(many + "]}", kEgress)) << "more destinations than are indexed";
}

}  // namespace
}  // namespace saw::control

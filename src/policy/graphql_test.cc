#include "policy/graphql.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

// "query Q: a b" — the root fields sorted; or the reason.
std::string read(std::string_view document, std::optional<std::string_view> name = {}) {
  auto op = graphql_operation(document, name);
  if (!op) return std::string(op.error());
  const std::string_view types[] = {"query", "mutation", "subscription"};
  std::string out = std::string(types[static_cast<int>(op->type)]) + " " + std::string(op->name) + ":";
  std::ranges::sort(op->fields);
  for (std::string_view field : op->fields) out += " " + std::string(field);
  return out;
}

TEST(Graphql, reads_type_name_and_root_fields) {
  EXPECT_EQ(read("{ viewer { login } }"), "query : viewer");
  EXPECT_EQ(
      read("query Q($id: ID! = \"x\", $l: [Int!]!) @a(b: $c) { user(id: $id, o: {a: [1, -2.5e3]}) { id } }"),
      "query Q: user");
  EXPECT_EQ(read("mutation { create(input: {t: \"\"\"a \"b\" \\\"\"\" c\"\"\"}) { id } close }"),
            "mutation : close create");
  EXPECT_EQ(read("subscription S { tick }"), "subscription S: tick");
  EXPECT_EQ(read("# c {\n{ a, b # }\n}"), "query : a b");
  EXPECT_EQ(read("{ __typename __schema { types { name } } }"), "query : __schema __typename");
}

TEST(Graphql, an_alias_or_a_fragment_hides_nothing) {
  EXPECT_EQ(read("{ harmless: deleteAll }"), "query : deleteAll");
  EXPECT_EQ(read("mutation { ok: a ... on Mutation { x: b } ... { c } ... @include(if: false) { d } ...F }"
                 "fragment F on Mutation { e ...G } fragment G on Mutation { ... { f ...F } }"),
            "mutation : a b c d e f");
  EXPECT_EQ(read("{ user { ...Missing } }"), "query : user");
  EXPECT_EQ(read("{ ...Missing }"), "malformed:graphql");
  EXPECT_EQ(read("{ ...F } fragment F on Query { ...F }"), "malformed:graphql");
}

TEST(Graphql, the_operation_that_runs_is_the_one_judged) {
  constexpr std::string_view kTwo = "query A { a } mutation B { b }";
  EXPECT_EQ(read(kTwo, "A"), "query A: a");
  EXPECT_EQ(read(kTwo, "B"), "mutation B: b");
  EXPECT_EQ(read(kTwo), "graphql-operation-ambiguous");
  EXPECT_EQ(read(kTwo, "C"), "graphql-operation-unknown");
  EXPECT_EQ(read(kTwo, ""), "graphql-operation-unknown");
  EXPECT_EQ(read("{ a }", ""), "query : a");
  EXPECT_EQ(read("query A { a } query A { b }", "A"), "malformed:graphql");
  EXPECT_EQ(read("{ a } { b }"), "malformed:graphql");
  EXPECT_EQ(read("{ ...F } fragment F on Q { a } fragment F on Q { b }"), "malformed:graphql");
  EXPECT_EQ(read("fragment F on Q { a }"), "graphql-operation-unknown");
}

TEST(Graphql, what_is_no_executable_document_is_malformed) {
  for (std::string_view text : {"",
                                " ",
                                "{",
                                "{}",
                                "{ a",
                                "{ a }}",
                                "query",
                                "query { }",
                                "{ a: }",
                                "{ a(b) }",
                                "{ a(b:) }",
                                "{ a() }",
                                "{ a(s: \"x }",
                                "{ a(s: \"\"\"x }",
                                "{ a(s: \"\\q\") }",
                                "{ a(n: 1x) }",
                                "{ a(n: 1...) }",
                                "{ a(v: $) }",
                                "{ a @ }",
                                "type T { a: Int }",
                                "schema { query: Q }",
                                "extend type T { a: Int }",
                                "fragment on on Q { a }",
                                "{ a } trailing",
                                "{ \xc3\xa4 }",
                                "{ a \x01 }",
                                "query ($a) { b }",
                                "query ($a: ) { b }",
                                "{ ... }",
                                "{ ...on }",
                                "{ . }",
                                "{ .. }",
                                "{ a(l: [1) }",
                                "{ a(o: {b}) }",
                                "querymutation { a }"})
    EXPECT_EQ(read(text), "malformed:graphql") << text;
}

TEST(Graphql, is_bounded) {
  const auto nested = [](size_t depth) {
    std::string text;
    for (size_t i = 0; i < depth; ++i) text += "{ a ";
    return text + std::string(depth, '}');
  };
  EXPECT_EQ(read(nested(GraphqlOperation::kMaxDepth)), "query : a");
  EXPECT_EQ(read(nested(100'000)), "malformed:graphql-oversized");
  EXPECT_EQ(read("{ a(l: " + std::string(100'000, '[')), "malformed:graphql-oversized");
  EXPECT_EQ(read("query ($a: " + std::string(100'000, '[')), "malformed:graphql-oversized");
  std::string wide = "{";
  for (size_t i = 0; i <= GraphqlOperation::kMaxRootFields; ++i) wide += " a";
  EXPECT_EQ(read(wide + "}"), "malformed:graphql-oversized");
  std::string doubling = "{ ...F0 }";
  for (int i = 0; i < 60; ++i)
    doubling += " fragment F" + std::to_string(i) + " on Q { ...F" + std::to_string(i + 1) + " ...F" +
                std::to_string(i + 1) + " }";
  EXPECT_EQ(read(doubling + " fragment F60 on Q { a }"), "query : a");
}

}  // namespace
}  // namespace saw::policy

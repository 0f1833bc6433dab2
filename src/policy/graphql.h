// What a GraphQL request would do: the type and name of the operation that runs, and its root fields.
//
//   auto op = graphql_operation("query Q { a: user(id: 1) { id } ...F } fragment F on Query { viewer { login } }", {});
//   // op->type == OperationType::query, op->name == "Q", op->fields == {"user", "viewer"}
//
// Aliases give way to the fields' own names; fragments, inline and named, are resolved; @skip and @include count as included.
// Source: GraphQL specification, October 2021, §2 and §6.1. Executable documents only. Total; bounds below.
// Refused: "malformed:graphql" (syntax, unknown or duplicate fragment, duplicate operation), "malformed:graphql-oversized",
// "graphql-operation-unknown", "graphql-operation-ambiguous" (several operations and no name).
#pragma once

#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/document.h"

namespace saw::policy {

struct GraphqlOperation {
  static constexpr size_t kMaxDepth = 64, kMaxTokens = 100'000, kMaxRootFields = 1000;
  OperationType type = OperationType::query;
  std::string_view name;                 // empty: anonymous
  std::vector<std::string_view> fields;  // at least one, in no particular order; views into the document
};

std::expected<GraphqlOperation, std::string_view> graphql_operation(
    std::string_view document, std::optional<std::string_view> operation_name);

}  // namespace saw::policy

#include "egress/operation.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.h"
#include "policy/graphql.h"
#include "policy/rpc.h"
#include "policy/target.h"

namespace saw::egress {
namespace {

using policy::Json;
using policy::Protocol;

constexpr size_t kMaxShownCalls = 20, kMaxShownValue = 300;
constexpr std::string_view kNotShown = "(the rest is not shown)\n";

// Lines up to a bound, after which it says that there would be more.
class Lines {
 public:
  void add(std::string_view line) {
    if (full_) return;
    full_ = text_.size() + line.size() + 1 + kNotShown.size() > Operation::kMaxDetail;
    text_ += full_ ? kNotShown : line;
    if (!full_) text_ += '\n';
  }
  bool full() const { return full_; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  bool full_ = false;
};

// Every scalar with its JSON pointer.
void show_values(Lines& out, const std::string& pointer, const Json& value) {
  if (out.full()) return;
  const bool empty = value.items.empty() && value.members.empty();
  if (value.scalar() || empty) {
    const std::string text = value.kind == Json::Kind::text
                                 ? "\"" + printable(value.text, kMaxShownValue) + "\""
                             : value.kind == Json::Kind::list   ? "[]"
                             : value.kind == Json::Kind::object ? "{}"
                                                                : value.text;
    out.add(fmt::format("  {}: {}", pointer.empty() ? "/" : pointer, text));
  }
  for (size_t i = 0; i < value.items.size(); ++i)
    show_values(out, fmt::format("{}/{}", pointer, i), value.items[i]);
  for (const policy::JsonMember& member : value.members)
    show_values(out, pointer + "/" + printable(member.key, kMaxShownValue), member.value);
}

std::string in_words(const policy::RpcCall& call) {
  if (call.method.empty()) return "an answer to the server";
  std::string out = printable(call.method);
  return call.tool.empty() ? out : out + " " + printable(call.tool);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    if (out.size() + part.size() > Operation::kMaxSummary) return out + ", …";
    out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

Operation describe_calls(Protocol protocol, std::string_view body) {
  auto json = policy::parse_json(body);
  if (!json) return {};
  auto calls = policy::rpc_calls(
      *json, protocol == Protocol::mcp ? policy::RpcDialect::mcp : policy::RpcDialect::jsonrpc);
  if (!calls) return {};
  std::vector<std::string> words;
  Lines detail;
  const size_t shown = std::min(calls->size(), kMaxShownCalls);
  for (size_t i = 0; i < shown; ++i) {
    const policy::RpcCall& call = (*calls)[i];
    words.push_back(in_words(call));
    detail.add(calls->size() == 1 ? "call: " + words.back()
                                  : fmt::format("call {} of {}: {}", i + 1, calls->size(), words.back()));
    const Json* values = call.tool.empty() ? call.params : call.arguments;
    if (values != nullptr) show_values(detail, "", *values);
  }
  if (shown < calls->size()) detail.add(kNotShown.substr(0, kNotShown.size() - 1));
  std::string summary = joined(words);
  if (calls->size() > 1) summary = fmt::format("{} calls: {}", calls->size(), summary);
  return {.summary = std::move(summary), .detail = detail.take()};
}

// ---- GraphQL

std::string_view type_name(policy::OperationType type) {
  constexpr std::string_view kNames[] = {"query", "mutation", "subscription"};
  return kNames[static_cast<size_t>(type)];
}

struct GraphqlSource {
  std::string_view document;
  std::optional<std::string_view> name;
  const Json* variables = nullptr;
};

// The operation in words; its document and variables as lines. Empty when it cannot be read.
std::string describe_document(const GraphqlSource& source, Lines& detail) {
  auto operation = policy::graphql_operation(source.document, source.name);
  if (!operation) return {};
  std::vector<std::string> fields;
  std::ranges::sort(operation->fields);
  for (std::string_view field : operation->fields) fields.push_back(printable(field));
  const std::string name = operation->name.empty() ? "" : " " + printable(operation->name);
  std::string summary = fmt::format("{}{}: {}", type_name(operation->type), name, joined(fields));
  detail.add(summary);
  for (std::string_view rest = source.document; !rest.empty() && !detail.full();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    detail.add("  " + printable(rest.substr(0, end), kMaxShownValue));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (source.variables != nullptr && !source.variables->members.empty()) {
    detail.add("variables:");
    show_values(detail, "", *source.variables);
  }
  return summary;
}

std::optional<std::string_view> text_of(const Json& object, std::string_view key) {
  const Json* member = object.find(key);
  if (member == nullptr || member->kind != Json::Kind::text) return {};
  return member->text;
}

Operation describe_graphql_post(std::string_view body) {
  auto json = policy::parse_json(body);
  if (!json) return {};
  const bool batch = json->kind == Json::Kind::list;
  Lines detail;
  std::vector<std::string> words;
  auto add = [&](const Json& member) {
    words.push_back(describe_document({.document = text_of(member, "query").value_or(""),
                                       .name = text_of(member, "operationName"),
                                       .variables = member.find("variables")},
                                      detail));
  };
  if (!batch) add(*json);
  for (const Json& member : json->items)
    if (words.size() < kMaxShownCalls) add(member);
  std::string summary = joined(words);
  if (batch) summary = fmt::format("{} operations: {}", json->items.size(), summary);
  return {.summary = std::move(summary), .detail = detail.take()};
}

Operation describe_graphql_get(std::string_view target) {
  policy::Target canonical;  // as the reader of parameters needs it
  if (!policy::canonicalise(target, canonical).empty()) return {};
  std::string document, name;
  policy::ParameterReader reader(canonical.query());
  while (auto parameter = reader.next()) {
    if (parameter->key == "query") document = parameter->value;
    if (parameter->key == "operationName") name = parameter->value;
  }
  Lines detail;
  std::string summary = describe_document(
      {.document = document, .name = name.empty() ? std::nullopt : std::optional<std::string_view>(name)},
      detail);
  return {.summary = std::move(summary), .detail = detail.take()};
}

}  // namespace

namespace {

Operation describe_question(std::string_view body) {
  auto json = policy::parse_json(body);
  const auto model = json ? text_of(*json, "model") : std::nullopt;
  if (!model) return {};
  Lines detail;
  show_values(detail, "", *json);
  return {.summary = "ask model " + printable(*model), .detail = detail.take()};
}

}  // namespace

Operation describe_operation(const OperationSource& source) {
  switch (source.protocol) {
    case Protocol::jsonrpc:
    case Protocol::mcp:
      if (source.method == "POST") return describe_calls(source.protocol, source.body);
      if (source.protocol == Protocol::jsonrpc) return {};
      if (source.method == "GET") return {.summary = "listen to the server", .detail = {}};
      return {.summary = source.method == "DELETE" ? "end the session" : "", .detail = {}};
    case Protocol::graphql:
      return source.method == "GET" ? describe_graphql_get(source.target)
                                    : describe_graphql_post(source.body);
    case Protocol::websocket:
      return {.summary = "open a WebSocket", .detail = {}};
    case Protocol::http:
      return source.body_need == policy::BodyNeed::whole ? describe_question(source.body) : Operation{};
    case Protocol::git:
    case Protocol::registry:
    case Protocol::tcp:
      break;
  }
  return {};
}

std::string_view remedy(std::string_view reason) {
  constexpr std::pair<std::string_view, std::string_view> kRemedies[] = {
      {"malformed:body-encoded", "send the body as it is, without Content-Encoding"},
      {"malformed:body-missing", "send the call in the request's body"},
      {"malformed:content-type", "send JSON in UTF-8, with one Content-Type: application/json"},
      {"malformed:json",
       "send one JSON document in UTF-8, with no byte order mark before and nothing after it"},
      {"malformed:json-duplicate", "name each member of a JSON object once"},
      {"malformed:json-oversized", "send a smaller document: fewer values, less depth"},
      {"malformed:rpc",
       "send JSON-RPC 2.0: \"jsonrpc\": \"2.0\", and of id, method and params only what is needed"},
      {"malformed:rpc-oversized", "send fewer calls in one batch"},
      {"malformed:graphql", "send an executable GraphQL document: its syntax could not be read"},
      {"malformed:graphql-oversized", "send a smaller GraphQL document"},
      {"malformed:graphql-member",
       "send query, operationName and variables only: stored documents and persisted queries cannot be "
       "judged"},
      {"malformed:graphql-parameters",
       "send the query once: in the body of a POST, or in the target of a GET"},
      {"graphql-query-missing",
       "send the whole query: stored documents and persisted queries cannot be judged"},
      {"graphql-operation-ambiguous", "name the operation that is to run in operationName"},
      {"graphql-operation-unknown", "operationName must be one of the document's operations"},
      {"websocket-binary", "send text: the rules for this destination do not admit binary messages"},
      {"registry-too-young",
       "ask for an older version: the policy admits none that was published so recently"},
      {"registry-age-unknown",
       "ask the registry for the package's list of versions first: it tells SAW when this one was published"},
      {"inference-model-missing", "name the model in the member \"model\" of the JSON body"},
      {"inference-model-unlisted",
       "ask another model, or ask the workspace's owner to list this one under inference"},
      {"graphql-mutation-by-get", "send mutations by POST"},
  };
  for (const auto& [code, text] : kRemedies)
    if (code == reason) return text;
  return reason.starts_with("websocket:") ? "send the handshake of RFC 6455 §4.1, and frames as in §5" : "";
}

}  // namespace saw::egress

#include "egress/mcp_answer.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "egress/sse.h"
#include "policy/json.h"

namespace saw::egress {
namespace {

using policy::Json;
using Tree = nlohmann::ordered_json;

constexpr std::string_view kMalformed = "malformed:rpc", kNoRoom = "audit.unavailable";

// One text for what means the same: members by name, numbers as the strict reader gives them.
void canonical(const Json& value, std::string& out) {
  if (value.scalar()) {
    out += fmt::format("{}:{}:{}", static_cast<int>(value.kind), value.text.size(), value.text);
    return;
  }
  std::vector<const policy::JsonMember*> members;
  members.reserve(value.members.size());
  for (const policy::JsonMember& member : value.members) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* m) -> std::string_view { return m->key; });
  out += value.kind == Json::Kind::list ? '[' : '{';
  for (const Json& item : value.items) canonical(item, out);
  for (const policy::JsonMember* member : members) {
    out += fmt::format("{}:{}", member->key.size(), member->key);
    canonical(member->value, out);
  }
  out += value.kind == Json::Kind::list ? ']' : '}';
}

Digest digest_of(const Json& value) {
  std::string text;
  canonical(value, text);
  return sha256(text);
}

const std::string* text_member(const Json& object, std::string_view key) {
  const Json* member = object.find(key);
  return member != nullptr && member->kind == Json::Kind::text ? &member->text : nullptr;
}

// An ordered_json looks for each member among those before it: a hostile answer could make that take minutes.
uint64_t work_of(const Json& value) {
  uint64_t out = uint64_t{value.members.size()} * value.members.size() / 2;
  for (const Json& item : value.items) out += work_of(item);
  for (const policy::JsonMember& member : value.members) out += work_of(member.value);
  return out;
}

// What passes of one message: all, none, or all but some tools.
struct Passage {
  enum class What : uint8_t { unchanged, without_tools, nothing } what = What::unchanged;
  std::vector<size_t> dropped;  // places in result.tools
};
using Outcome = std::expected<Passage, std::string_view>;

Outcome pass_result(const Json& result, McpView& view) {
  if (result.has_lookalike("tools")) return std::unexpected(kMalformed);
  const Json* tools = result.find("tools");
  Passage out;
  if (tools == nullptr || tools->kind != Json::Kind::list) return out;
  for (size_t i = 0; i < tools->items.size(); ++i) {
    const Json& tool = tools->items[i];
    const std::string* name = text_member(tool, "name");
    if (name == nullptr || tool.has_lookalike("name") || !view.offers(*name))
      out.dropped.push_back(i);
    else if (view.saw_tool(*name, digest_of(tool)) == McpView::Told::no_room)
      return std::unexpected(kNoRoom);
  }
  if (!out.dropped.empty()) out.what = Passage::What::without_tools;
  return out;
}

bool valid_head(const Json& message) {
  constexpr std::array<std::string_view, 6> kMembers = {"jsonrpc", "id",     "method",
                                                        "params",  "result", "error"};
  const std::string* version = message.kind == Json::Kind::object ? text_member(message, "jsonrpc") : nullptr;
  return version != nullptr && *version == "2.0" &&
         std::ranges::all_of(message.members, [&](const policy::JsonMember& member) {
           return std::ranges::find(kMembers, member.key) != kMembers.end();
         });
}

// `tree` is the same message, to write it again.
Outcome pass_message(const Json& message, const Tree& tree, McpView& view) {
  if (!valid_head(message)) return std::unexpected(kMalformed);
  const Json *method = message.find("method"), *id = message.find("id"), *result = message.find("result");
  const bool answer = result != nullptr || message.find("error") != nullptr;
  if (answer == (method != nullptr)) return std::unexpected(kMalformed);
  if (answer) return result == nullptr ? Passage() : pass_result(*result, view);
  if (method->kind != Json::Kind::text) return std::unexpected(kMalformed);
  if (id == nullptr) return Passage();  // a notification: nobody answers it
  const Tree reply = {{"jsonrpc", "2.0"},
                      {"id", tree["id"]},
                      {"result", method->text == "ping" ? Tree::object() : Tree{{"answer", ""}}}};
  if (view.may_answer(tree.dump(), reply.dump())) return Passage();
  if (view.withheld(method->text) == McpView::Told::no_room) return std::unexpected(kNoRoom);
  return Passage{.what = Passage::What::nothing, .dropped = {}};
}

void drop_tools(Tree& message, const std::vector<size_t>& places) {
  Tree& tools = message["result"]["tools"];
  for (auto place = places.rbegin(); place != places.rend(); ++place)
    tools.erase(tools.begin() + static_cast<std::ptrdiff_t>(*place));
}

std::expected<std::optional<std::string>, std::string_view> pass_batch(const Json& batch, Tree& tree,
                                                                       std::string_view text, McpView& view) {
  constexpr size_t kMaxBatch = 1000;
  if (batch.items.empty() || batch.items.size() > kMaxBatch) return std::unexpected(kMalformed);
  bool changed = false;
  Tree out = Tree::array();
  for (size_t i = 0; i < batch.items.size(); ++i) {
    auto passage = pass_message(batch.items[i], tree[i], view);
    if (!passage) return std::unexpected(passage.error());
    changed = changed || passage->what != Passage::What::unchanged;
    if (passage->what == Passage::What::nothing) continue;
    if (passage->what == Passage::What::without_tools) drop_tools(tree[i], passage->dropped);
    out.push_back(std::move(tree[i]));
  }
  if (out.empty()) return std::nullopt;
  return changed ? out.dump() : std::string(text);
}

class WholeFilter final : public WholeAnswerFilter {
 public:
  explicit WholeFilter(McpView& view) : WholeAnswerFilter(kMaxMcpMessage, "the server's"), view_(view) {}
  Result<std::string> finish() override {
    auto passes = filter_mcp_message(text(), view_);
    if (!passes)
      return Error::make("upstream.unreadable_answer", "the server's answer cannot be read: {}",
                         passes.error());
    if (!*passes)
      return Error::make("upstream.unasked",
                         "the server answered with requests of its own that the policy does "
                         "not let the agent answer");
    return std::move(**passes);
  }

 private:
  McpView& view_;
};

class EventFilter final : public AnswerFilter {
 public:
  explicit EventFilter(McpView& view) : view_(view) {}
  Pace pace() const override { return Pace::stream; }
  Result<std::string> feed(std::string_view part) override {
    auto events = reader_.feed(part);
    if (!events) return std::unexpected(std::move(events).error());
    std::string out;
    for (SseEvent& event : *events) {
      if (event.data && !event.data->empty()) {
        auto passes = filter_mcp_message(*event.data, view_);
        if (!passes)
          return Error::make("upstream.unreadable_answer", "an event of the server cannot be read: {}",
                             passes.error());
        const bool nothing = !*passes && !event.id && !event.retry;
        event.data = std::move(*passes);
        if (nothing) continue;
      }
      if (event.data || event.id || event.retry || event == SseEvent()) out += encode_sse(event);
    }
    return out;
  }
  Result<std::string> finish() override { return std::string(); }

 private:
  McpView& view_;
  SseReader reader_;
};

}  // namespace

std::expected<std::optional<std::string>, std::string_view> filter_mcp_message(std::string_view text,
                                                                               McpView& view) {
  auto json = policy::parse_json(text);
  if (!json) return std::unexpected(json.error());
  constexpr uint64_t kMaxWork = 200'000'000;  // 20,000 members of one object
  if (work_of(*json) > kMaxWork) return std::unexpected("malformed:json-oversized");
  Tree tree = Tree::parse(text, nullptr, false);
  if (tree.is_discarded()) return std::unexpected("malformed:json");
  if (json->kind == Json::Kind::list) return pass_batch(*json, tree, text, view);
  auto passage = pass_message(*json, tree, view);
  if (!passage) return std::unexpected(passage.error());
  if (passage->what == Passage::What::nothing) return std::nullopt;
  if (passage->what == Passage::What::unchanged) return std::string(text);
  drop_tools(tree, passage->dropped);
  return tree.dump();
}

std::unique_ptr<AnswerFilter> mcp_filter(McpForm form, McpView& view) {
  if (form == McpForm::json) return std::make_unique<WholeFilter>(view);
  return std::make_unique<EventFilter>(view);
}

}  // namespace saw::egress

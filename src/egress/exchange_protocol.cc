#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.h"
#include "egress/exchange.h"
#include "egress/token_usage.h"

namespace saw::egress {

void Exchange::read_operation() {
  judged_.operation = describe_operation({.protocol = judged_.protocol,
                                          .method = head_.method,
                                          .target = judged_.target,
                                          .body = whole_body_ ? *whole_body_ : std::string_view(),
                                          .body_need = judged_.body});
}

// What the agent can do about a refusal: put the request right where it was unreadable, ask for more otherwise.
std::string Exchange::ask_for(std::string_view reason) const {
  if (std::string_view known = remedy(reason); !known.empty()) return std::string(known);
  if (reason.starts_with("malformed:")) return "send an unambiguous HTTP/1.1 request";
  const std::string entry = judged_.entry.empty() ? std::string("in a network entry of its own")
                                                  : fmt::format("network entry '{}'", judged_.entry);
  if (!judged_.operation.summary.empty())
    return fmt::format("ask the workspace's owner to allow '{}' at host {} port {} path {} in the policy, {}",
                       judged_.operation.summary, to_.host, to_.port, path(), entry);
  return fmt::format("ask the workspace's owner to add host {} port {} method {} path {} to the policy, {}",
                     to_.host, to_.port, head_.method, path(), entry);
}

std::string_view Exchange::path() const {
  const std::string_view target = judged_.target.empty() ? target_ : judged_.target;
  return target.substr(0, target.find('?'));
}

// Whether the answer must come in a form that can be read.
bool Exchange::reads_answer() const {
  return judged_.protocol == policy::Protocol::mcp || judged_.min_age_days != 0 || asks_model();
}

bool Exchange::asks_model() const {
  return judged_.protocol == policy::Protocol::http && judged_.body == policy::BodyNeed::whole &&
         !judged_.operation.summary.empty();
}

Denial Exchange::unreadable_answer(std::string code, std::string reason) const {
  Denial denial = denied(std::move(code), std::move(reason));
  denial.status = 502;
  denial.ask = "tell the destination's operator: what cannot be read cannot be passed on";
  return denial;
}

// Whether the policy in force would still let this request out. For an answer that lasts.
bool Exchange::still_admitted() const {
  if (services_.config == config_) return true;
  if (!services_.config) return false;
  std::vector<policy::Header> headers;
  const policy::Decision now_decided = services_.config->policy.decide(request(headers));
  if (now_decided.effect > judged_.effect) return false;
  // Limits are the entry's: under another name it would have none.
  if (!now_decided.entry.empty() && now_decided.entry != judged_.entry) return false;
  if (!judged_.inject) return true;
  // What lasts does not outlive the secret it was opened with.
  const policy::Credential* now = services_.config->credential(judged_.inject->name, judged_.entry);
  if (now == nullptr || now->secret != judged_.inject->secret) return false;
  auto before = config_->secrets.find(now->secret), after = services_.config->secrets.find(now->secret);
  return after != services_.config->secrets.end() && before->second == after->second;
}

namespace {

// "application/json; charset=utf-8" → "application/json"; nothing if there is not exactly one, in UTF-8.
std::string media_type(const Fields& fields) {
  std::string out;
  for (const Field& f : fields) {
    if (!same_token(f.name, "content-type")) continue;
    if (!out.empty()) return {};
    for (const char c : f.value)
      if (c != ' ' && c != '\t') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  const size_t end = std::min(out.find(';'), out.size());
  const std::string_view parameters = std::string_view(out).substr(end);
  constexpr std::array<std::string_view, 4> kFine = {"", ";", ";charset=utf-8", ";charset=\"utf-8\""};
  return std::ranges::find(kFine, parameters) == kFine.end() ? std::string() : out.substr(0, end);
}

// Of a body that is not the one that was sent.
bool is_checksum(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"content-md5", "digest", "content-digest",
                                                      "repr-digest"};
  return std::ranges::any_of(kNames, [&](std::string_view known) { return same_token(name, known); });
}

}  // namespace

std::optional<Denial> Exchange::prepare_filter() {
  filter_.reset();
  if (!reads_answer() || answer_.framing == Framing::none) return std::nullopt;
  std::optional<Denial> denial;
  const std::string type = media_type(answer_.fields);
  if (asks_model())
    filter_question();
  else
    denial = judged_.protocol == policy::Protocol::mcp ? filter_mcp(type) : filter_registry(type);
  if (filter_ && filter_->pace() != AnswerFilter::Pace::watch)
    std::erase_if(answer_.fields, [](const Field& f) { return is_checksum(f.name); });
  return denial;
}

// ---- MCP

// The policy that is in force when a message comes decides about it, not the one when the stream began.
class Exchange::McpAnswers final : public McpView {
 public:
  explicit McpAnswers(Exchange& exchange)
      : exchange_(exchange), server_(exchange.to_.authority() + std::string(exchange.path())) {}

  bool offers(std::string_view tool) override {
    std::vector<policy::Header> headers;
    policy::Request asked = exchange_.request(headers);
    asked.method = "POST";
    asked.body.reset();
    return exchange_.services_.config->policy.offers_tool(asked, tool);
  }
  bool may_answer(std::string_view asked, std::string_view answer) override {
    return allowed(asked) && allowed(answer);
  }
  Told saw_tool(std::string_view tool, const Digest& description) override {
    if (!exchange_.services_.audit.has_room()) return Told::no_room;  // before it is remembered
    const ToolMemory::Seen seen = exchange_.services_.tools.see(server_, tool, description);
    if (seen == ToolMemory::Seen::changed)
      exchange_.record_finding(
          "An MCP server changed the description of a tool", "mcp-tool-changed",
          fmt::format("tool '{}' of {} is now {}", printable(tool), server_, digest_text(description)),
          audit::Verdict::allowed);
    return Told::recorded;
  }
  Told withheld(std::string_view method) override {
    if (!exchange_.services_.audit.has_room()) return Told::no_room;
    exchange_.record_finding(
        "A request of an MCP server was withheld", "mcp-server-request",
        fmt::format("the policy does not let the agent answer '{}' of {}", printable(method), server_));
    return Told::recorded;
  }

 private:
  bool allowed(std::string_view message) const {
    std::vector<policy::Header> headers;
    policy::Request asked = exchange_.request(headers);
    const policy::Header json{"content-type", "application/json"};
    asked.method = "POST";
    asked.headers = {&json, 1};
    asked.body = message;
    return exchange_.services_.config->policy.decide(asked).effect == policy::Effect::allow;
  }

  Exchange& exchange_;
  std::string server_;
};

std::optional<Denial> Exchange::filter_mcp(std::string_view type) {
  mcp_view_ = std::make_unique<McpAnswers>(*this);
  if (answer_.status >= 300) return std::nullopt;  // no client takes it for a message
  if (type == "application/json")
    filter_ = mcp_filter(McpForm::json, *mcp_view_);
  else if (type == "text/event-stream")
    filter_ = mcp_filter(McpForm::events, *mcp_view_);
  else
    return unreadable_answer("upstream.unreadable_answer",
                             "an MCP server answers with application/json or text/event-stream, in UTF-8");
  return std::nullopt;
}

// ---- models

void Exchange::filter_question() {
  if (answer_.status >= 300) return;
  filter_ = token_filter(whole_body_ ? whole_body_->size() : 0, [this](TokenUse used) {
    services_.allowance.spend_tokens(used.total());
    if (!services_.audit.has_room()) return;
    audit::HttpActivity told = event(audit::Verdict::allowed, judged_.rule, judged_.reason);
    told.status = answer_.status;
    const std::string_view exact = used.source == TokenUse::Source::told ? "" : "about ";
    told.operation += fmt::format(", {}{} tokens asked and {} answered", exact, used.asked, used.answered);
    services_.audit.record(audit::http_activity(told));
  });
}

// Reads an answer that may still turn into a refusal.
Task<std::optional<Denial>> Exchange::filter_whole_answer() {
  whole_answer_.reset();
  if (!filter_ || filter_->pace() != AnswerFilter::Pace::whole) co_return std::nullopt;
  BodyReader body(upstream_->in, answer_.framing, answer_.content_length);
  std::string passes;
  while (true) {
    BodyReader::Part part = co_await body.next();
    const bool end = part.state == BodyReader::State::end;
    if (!end && part.state != BodyReader::State::data)
      co_return unreadable_answer("upstream.closed", "the destination's answer was cut off");
    Result<std::string> more = end ? filter_->finish() : filter_->feed(part.data);
    if (!more) co_return unreadable_answer(more.error().code, more.error().message);
    passes += *more;
    if (end) break;
    upstream_->stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
    agent_.stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  }
  whole_answer_ = std::move(passes);
  co_return std::nullopt;
}

}  // namespace saw::egress

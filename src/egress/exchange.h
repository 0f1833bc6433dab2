// One request of an agent: read, judged, perhaps held for a person, sent on with the right credential,
// answered.
//
//   Exchange exchange(services, identity, destination, agent, upstream);
//   if (co_await exchange.run() == Persistence::close) break;
//
// Everything the agent may have got wrong, and every refusal, ends as one answer with a JSON body and one
// event. The decision's event is recorded before anything goes upstream.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "audit/event.h"
#include "egress/answer_filter.h"
#include "egress/credentials.h"
#include "egress/destination.h"
#include "egress/egress_protocol.h"
#include "egress/http1_body.h"
#include "egress/http1_message.h"
#include "egress/mcp_answer.h"
#include "egress/operation.h"
#include "egress/services.h"
#include "egress/websocket.h"

namespace saw::egress {

// What a registry is asked for where the ages of versions matter: the forms that tell them.
constexpr std::string_view kVersionLists = "application/vnd.pypi.simple.v1+json, application/json;q=0.9";

// npm's clients write "/@scope%2fname" for "/@scope/name", which every registry reads alike: put plainly, so that it is judged, and sent, as
// what it is. Any other encoded slash stays, and is refused (docs/decisions/0042).
std::string plain_scope(std::string target);

// The agent's side of a connection.
struct AgentSide {
  AgentSide(Net& net, std::unique_ptr<Stream> s) : stream(std::move(s)), in(net, *stream) {}
  std::unique_ptr<Stream> stream;
  Inbound in;
  // Set while an answer lasts that a later policy may end: whether the one in force still admits it.
  std::move_only_function<bool()> still_admitted;
};

// The head of the next request, which stays where it is; incomplete when no more comes.
Task<ParsedRequest> next_head(AgentSide& agent);

// The connection upstream that belongs to an agent's connection: dialled by the first request, kept for the
// next.
struct UpstreamSide {
  UpstreamSide(Net& net, std::unique_ptr<Stream> s, uint64_t e, std::vector<std::string> r)
      : stream(std::move(s)), in(net, *stream), epoch(e), ranges(std::move(r)) {}
  std::unique_ptr<Stream> stream;
  Inbound in;
  uint64_t epoch;                   // of the configuration it was verified by
  std::vector<std::string> ranges;  // private ranges it was allowed to be in
  bool is_quiet() const;            // open, and nothing unasked has come
};

struct ExchangeLimits {
  static constexpr int64_t kIdleMs = 60'000;             // between requests, and for each step of a body
  static constexpr int64_t kSlowHeadMs = 15'000;         // from the first byte of a head to its end
  static constexpr int64_t kAnswerPatienceMs = 600'000;  // for the upstream's answer to begin
  static constexpr int64_t kAnswerIdleMs =
      300'000;                                      // between two parts of an answer (event streams are slow)
  static constexpr int64_t kReviewGraceMs = 5'000;  // beyond the hold, for sawd's own time-out to arrive
  static constexpr uint64_t kScannedBodyBytes = 1u << 20;
  static constexpr int kMaxInterimAnswers = 8;
};

class Exchange {
 public:
  Exchange(Services& services, const ChannelIdentity& who, std::string_view channel, const Destination& to,
           AgentSide& agent, std::unique_ptr<UpstreamSide>& upstream)
      : services_(services), who_(who), channel_(channel), to_(to), agent_(agent), upstream_(upstream) {}
  Exchange(const Exchange&) = delete;

  Task<Persistence> run();
  // Whether a request came at all (an idle connection just ends).
  bool began() const { return began_; }

 private:
  struct Judged {  // by config_, whose text `credential` borrows
    policy::Effect effect = policy::Effect::deny;
    std::string rule, reason, entry, target;  // target: canonical
    policy::Limits limits;
    policy::Protocol protocol = policy::Protocol::http;
    policy::BodyNeed body = policy::BodyNeed::none;  // of the entries that the path leads to
    Operation operation;
    uint16_t min_age_days = 0;    // the answer is a list of versions: younger ones are left out
    std::string_view credential;  // the endpoint's, or empty
    const policy::Credential* inject = nullptr;
  };

  // judging (exchange.cc)
  Task<bool> read_head(std::optional<Denial>& problem);
  Task<std::optional<Denial>> admit();
  std::optional<Denial> check_form();
  std::optional<Denial> check_endpoint();
  policy::Request request(std::vector<policy::Header>& headers) const;
  std::optional<Denial> judge();
  void allow_ranges(const policy::Endpoint& endpoint);
  PlaceholderScanner foreign_placeholders() const;
  std::optional<Denial> check_placeholders();
  std::optional<Denial> prepare_credential();
  Task<std::optional<Denial>> buffer_body();
  Task<bool> ask_to_continue();
  Task<Persistence> refuse(Denial denial);
  Denial malformed(std::string_view problem) const;
  Denial denied(std::string code, std::string reason) const;
  Denial policy_changed() const;
  Denial from_decision(const policy::Decision& decision) const;
  Denial misuse(const std::string& secret);

  // how much (exchange_limits.cc)
  Allowance::Subject subject() const;
  Denial too_much(Excess excess) const;
  std::optional<Denial> take_place();
  std::optional<Denial> charge(uint64_t bytes);

  // what the protocol adds (exchange_protocol.cc)
  void read_operation();
  std::string ask_for(std::string_view reason) const;
  class McpAnswers;
  std::string_view path() const;  // as it will be sent, once that is known
  bool reads_answer() const;
  std::optional<Denial> prepare_filter();
  std::optional<Denial> filter_mcp(std::string_view type);
  std::optional<Denial> filter_registry(std::string_view type);
  void filter_question();
  bool asks_model() const;
  void learn_age(std::string_view url, Nanos published);
  policy::Decision decide();
  void spell_scope_plainly();
  Task<std::optional<Denial>> filter_whole_answer();
  bool still_admitted() const;
  Denial unreadable_answer(std::string code, std::string reason) const;

  // review (exchange_review.cc)
  Task<std::optional<Denial>> hold_for_review();
  Task<std::optional<Denial>> ask_person(ReviewAsk ask);
  ReviewAsk review_ask(std::string_view payload) const;
  std::string preview() const;
  Denial not_approved(const std::optional<ReviewVerdict>& verdict);
  std::optional<Denial> after_approval();

  // forwarding (exchange_forward.cc)
  struct Upload;
  Task<std::optional<Denial>> connect();
  Task<Persistence> forward();
  bool is_repeatable() const;
  std::string request_head(std::string_view credential_value) const;
  bool is_stale() const { return services_.config != config_; }
  Task<> upload(Upload& state);
  Task<> upload_parts(Upload& state, std::string out);
  Task<> settle(Upload& state);
  Task<std::optional<Denial>> finish_sending(Upload& sending);
  Task<std::optional<Denial>> read_answer_head();
  std::optional<Denial> check_answer() const;
  Task<Persistence> relay_answer(Upload& state);
  Task<bool> relay_body(std::string out, BodyPlan plan);
  Task<bool> relay_whole(std::string out);
  std::optional<std::string> for_agent(BodyReader::Part part);

  // an upgraded connection (exchange_websocket.cc)
  struct Dialogue;
  Task<Persistence> run_websocket(Upload& sending);
  std::string upgrade_answer() const;
  Task<> relay_from_agent(Dialogue& dialogue);
  Task<> relay_from_server(Dialogue& dialogue);
  Task<bool> pass_from_agent(Dialogue& dialogue, WsMessage message);
  Task<bool> pass_from_server(Dialogue& dialogue, WsMessage message);
  Task<std::optional<Denial>> admit_message(Dialogue& dialogue, const WsMessage& message);
  Task<std::optional<Denial>> admit_recorded(uint64_t number);
  Task<std::optional<Denial>> review_message(const WsMessage& message);
  policy::Decision decide_message(const WsMessage& message) const;

  // events (exchange_events.cc)
  uint64_t record(audit::Verdict verdict, std::string_view rule, std::string_view reason, uint16_t status);
  audit::HttpActivity event(audit::Verdict verdict, std::string_view rule, std::string_view reason) const;
  void record_finding(std::string title, std::string kind, std::string_view reason,
                      audit::Verdict verdict = audit::Verdict::denied);

  Services& services_;
  const ChannelIdentity& who_;
  std::string_view channel_;
  const Destination& to_;
  AgentSide& agent_;
  std::unique_ptr<UpstreamSide>& upstream_;

  std::shared_ptr<Config> config_;
  std::string head_bytes_, answer_bytes_;  // what the heads' views point into
  RequestHead head_;
  ResponseHead answer_;
  std::string target_;                                        // origin-form
  policy::Request::Kind kind_ = policy::Request::Kind::http;  // or an upgrade to websocket
  std::optional<BodyReader> body_;
  std::optional<std::string> whole_body_;
  Judged judged_;
  std::optional<Allowance::Place> place_;  // among those under way at its entry
  std::vector<std::string> ranges_;        // private ranges the entry may reach
  policy::BodyNeed body_need_ = policy::BodyNeed::none;
  std::string review_;  // id
  RenderedCredential credential_;
  std::optional<Redactor> redactor_;
  std::unique_ptr<McpView> mcp_view_;  // before the filter that borrows it
  std::unique_ptr<AnswerFilter> filter_;
  std::optional<std::string> whole_answer_;
  std::string answer_reason_;
  bool began_ = false, answer_started_ = false, continued_ = false;
};

}  // namespace saw::egress

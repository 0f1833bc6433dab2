// One request of an agent: read, judged, perhaps held for a person, sent on with the right credential,
// answered.
//
//   Exchange exchange(services, identity, destination, agent, upstream);
//   if (co_await exchange.run() == Persistence::close) break;
//
// Everything the agent may have got wrong, and every refusal, ends as one answer with a JSON body and one
// event. The decision's event is recorded before anything goes upstream.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "audit/event.h"
#include "egress/credentials.h"
#include "egress/destination.h"
#include "egress/egress_protocol.h"
#include "egress/http1_body.h"
#include "egress/http1_message.h"
#include "egress/services.h"

namespace saw::egress {

// The agent's side of a connection.
struct AgentSide {
  AgentSide(Net& net, std::unique_ptr<Stream> s) : stream(std::move(s)), in(net, *stream) {}
  std::unique_ptr<Stream> stream;
  Inbound in;
};

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
    std::string_view credential;  // the endpoint's, or empty
    const policy::Credential* inject = nullptr;
  };

  // judging (exchange.cc)
  Task<bool> read_head(std::optional<Denial>& problem);
  Task<std::optional<Denial>> admit();
  std::optional<Denial> check_form();
  std::optional<Denial> check_endpoint();
  std::optional<Denial> judge();
  void allow_ranges(const policy::Endpoint& endpoint);
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

  // review (exchange_review.cc)
  Task<std::optional<Denial>> hold_for_review();
  ReviewAsk review_ask() const;
  std::string preview() const;
  std::optional<Denial> after_verdict(const std::optional<ReviewVerdict>& verdict);

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
  Task<std::optional<Denial>> read_answer_head();
  std::optional<Denial> check_answer() const;
  Task<Persistence> relay_answer(Upload& state);
  Task<bool> relay_body(std::string out, BodyPlan plan);

  // events (exchange_events.cc)
  uint64_t record(audit::Verdict verdict, std::string_view rule, std::string_view reason, uint16_t status);
  void record_finding(std::string title, std::string kind, std::string_view reason);

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
  std::string target_;  // origin-form
  std::optional<BodyReader> body_;
  std::optional<std::string> whole_body_;
  Judged judged_;
  std::optional<Allowance::Place> place_;  // among those under way at its entry
  std::vector<std::string> ranges_;        // private ranges the entry may reach
  policy::BodyNeed body_need_ = policy::BodyNeed::none;
  std::string review_;  // id
  RenderedCredential credential_;
  std::optional<Redactor> redactor_;
  std::string answer_reason_;
  bool began_ = false, answer_started_ = false, continued_ = false;
};

}  // namespace saw::egress

#include "egress/perimeter.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/select.h>

namespace saw::egress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class StoppedClock final : public Clock {
 public:
  Nanos now() const override { return 1'700'000'000 * kSecond; }
  Nanos monotonic() const override { return 0; }
};

policy::Address address(std::string_view text) {
  return policy::parse_address(text).value();
}

// A world of our own: names with successive answers, addresses that accept, and a memory of what was dialled.
class FakeNetwork final : public Network {
 public:
  explicit FakeNetwork(os::Loop& loop) : loop_(loop) {}

  std::map<std::string, std::vector<std::vector<policy::Address>>>
      answers;                     // one list per question, the last one repeats
  std::set<std::string> refusing;  // targets that answer with ECONNREFUSED
  std::set<policy::Address> own;
  bool hang = false;  // nothing ever finishes
  std::vector<std::string> asked, dialled;

  std::unique_ptr<Operation> resolve(const std::string& name, OnResolved done) override {
    asked.push_back(name);
    if (hang) return std::make_unique<Later>();
    auto found = answers.find(name);
    if (found == answers.end())
      return later(
          [done = std::move(done)]() mutable { done(Error::make("perimeter.resolve", "no such name")); });
    std::vector<policy::Address> answer = found->second.front();
    if (found->second.size() > 1) found->second.erase(found->second.begin());
    return later([done = std::move(done), answer]() mutable { done(answer); });
  }

  std::unique_ptr<Operation> connect(const ConnectorTarget& target, OnConnected done) override {
    std::string text = std::visit([](const auto& t) { return t.text(); }, target);
    dialled.push_back(text);
    if (hang) return std::make_unique<Later>();
    if (refusing.contains(text))
      return later([done = std::move(done)]() mutable {
        done(std::unexpected(Error::from_errno("perimeter.connect", ECONNREFUSED, "connecting")));
      });
    return later([done = std::move(done)]() mutable { done(std::move(Pipe::create()->write)); });
  }

  bool is_own(const policy::Address& a) override { return own.contains(a); }

 private:
  struct Later final : Operation {
    os::Loop::Timer timer;
  };
  std::unique_ptr<Operation> later(std::move_only_function<void()> callback) {
    auto operation = std::make_unique<Later>();
    operation->timer = loop_.after(0, std::move(callback));
    return operation;
  }
  os::Loop& loop_;
};

constexpr std::string_view kFile = R"(
apiVersion: saw/v1
kind: Perimeter
allow:
  - {hosts: ["*.github.com", api.example.com, "93.184.216.34", "10.20.0.9"], ports: [443]}
private: ["10.20.0.0/16"]
connectors:
  - {host: git.demo.example, port: 443, to: "127.0.0.1:38443"}
  - {host: model.demo.example, port: 80, to: "unix:/run/model.sock"}
)";

struct Peer {
  std::unique_ptr<os::Link> link;
  std::vector<DialAnswer> answers;
  size_t sockets = 0;
  bool closed = false;
};

class PerimeterTest : public testing::Test {
 protected:
  PerimeterTest() {
    auto [ours, theirs] = std::move(*os::Channel::pair());
    sawd_ =
        os::Link::open(loop_, std::move(ours),
                       {.on_message = [this](std::string payload, std::vector<Fd>) { keep_record(payload); },
                        .on_close = [](std::string) {}});
    audit_ = std::make_unique<PerimeterAudit>(loop_, std::move(theirs),
                                              [this](std::string) { audit_closed_ = true; });
    perimeter_ = std::make_unique<Perimeter>(loop_, clock_, network_, *audit_);
    use(kFile);
    peer_ = connect("ws-1");
  }

  void use(std::string_view yaml) {
    auto file = PerimeterFile::parse(yaml, "perimeter.yaml");
    ASSERT_TRUE(file) << file.error().front().text();
    perimeter_->use(std::move(*file));
  }

  std::unique_ptr<Peer> connect(std::string workspace) {
    auto [ours, theirs] = std::move(*os::Channel::pair());
    EXPECT_TRUE(perimeter_->add_client(std::move(workspace), std::move(theirs)));
    auto peer = std::make_unique<Peer>();
    peer->link = os::Link::open(loop_, std::move(ours),
                                {.on_message =
                                     [p = peer.get()](std::string payload, std::vector<Fd> fds) {
                                       p->answers.push_back(*wire::decode<DialAnswer>(payload));
                                       p->sockets += fds.size();
                                     },
                                 .on_close = [p = peer.get()](std::string) { p->closed = true; }});
    return peer;
  }

  void keep_record(const std::string& payload) {
    auto record = std::get<AuditRecord>(*wire::decode<AuditMessage>(payload));
    records_.push_back(record);
    if (acknowledge_) sawd_->send(wire::encode(AuditMessage(AuditAck{record.sequence})));
  }

  void run_until(std::move_only_function<bool()> done) {
    bool late = false;
    os::Loop::Timer guard = loop_.after(5'000, [&late] { late = true; });
    for (loop_.run_ready(); !done() && !late; loop_.run_ready()) wait();
    EXPECT_FALSE(late) << "nothing happened for five seconds";
  }

  // One dial and its answer.
  DialAnswer dial(std::string host, uint16_t port, std::vector<std::string> ranges = {}) {
    const size_t before = peer_->answers.size(), records = records_.size();
    peer_->link->send(
        wire::encode(DialRequest(Dial{++request_, std::move(host), port, std::move(ranges), "trace-1"})));
    run_until(
        [&, this] { return peer_->closed || (peer_->answers.size() > before && records_.size() > records); });
    return peer_->closed ? DialAnswer(DialRefused{request_, "closed", ""}) : peer_->answers.back();
  }
  std::string refusal(std::string host, uint16_t port, std::vector<std::string> ranges = {}) {
    DialAnswer answer = dial(std::move(host), port, std::move(ranges));
    const auto* refused = std::get_if<DialRefused>(&answer);
    return refused ? refused->code : "dialled " + std::get<Dialed>(answer).address;
  }

  os::Loop loop_ = std::move(*os::Loop::create());
  StoppedClock clock_;
  FakeNetwork network_{loop_};
  std::vector<AuditRecord> records_;
  bool acknowledge_ = true, audit_closed_ = false;
  std::unique_ptr<os::Link> sawd_;
  std::unique_ptr<PerimeterAudit> audit_;
  std::unique_ptr<Perimeter> perimeter_;
  std::unique_ptr<Peer> peer_;
  uint64_t request_ = 0;

 private:
  void wait();
};

void PerimeterTest::wait() {
  // The loop's descriptor is readable when it has something to do.
  fd_set set;
  FD_ZERO(&set);
  FD_SET(loop_.fd(), &set);
  timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::select(loop_.fd() + 1, &set, nullptr, nullptr, &limit);
}

TEST_F(PerimeterTest, a_listed_name_is_dialled_at_the_address_that_was_judged) {
  network_.answers["api.example.com"] = {{address("93.184.216.34")}};
  DialAnswer answer = dial("api.example.com", 443);
  EXPECT_EQ(std::get<Dialed>(answer).address, "93.184.216.34");
  EXPECT_EQ(peer_->sockets, 1u);
  EXPECT_THAT(network_.dialled, ElementsAre("93.184.216.34:443"));
}

TEST_F(PerimeterTest, what_the_operator_did_not_list_is_refused_without_asking_a_name_server) {
  network_.answers["evil.example"] = {{address("93.184.216.34")}};
  EXPECT_EQ(refusal("evil.example", 443), "perimeter.not_listed");
  EXPECT_EQ(refusal("api.example.com", 80), "perimeter.not_listed");  // the name, another port
  EXPECT_EQ(refusal("github.com", 443), "perimeter.not_listed");      // a star is one label, not none
  EXPECT_EQ(refusal("a.b.github.com", 443), "perimeter.not_listed");  // nor two
  EXPECT_EQ(refusal("93.184.216.35", 443), "perimeter.not_listed");
  EXPECT_TRUE(network_.asked.empty());
  EXPECT_TRUE(network_.dialled.empty());
  EXPECT_EQ(peer_->sockets, 0u);
  network_.answers["api.github.com"] = {{address("140.82.112.5")}};
  EXPECT_EQ(refusal("api.github.com", 443), "dialled 140.82.112.5");
  EXPECT_EQ(refusal("93.184.216.34", 443), "dialled 93.184.216.34");
}

TEST_F(PerimeterTest, a_listed_name_never_leads_to_loopback_link_local_or_metadata_in_any_embedding) {
  for (const char* bad :
       {"127.0.0.1", "127.8.9.1", "::1", "::", "0.0.0.0", "169.254.169.254", "fe80::1", "224.0.0.1",
        "ff02::1", "255.255.255.255", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "fd00:ec2::254"}) {
    network_.answers["api.example.com"] = {{address(bad)}};
    EXPECT_THAT(refusal("api.example.com", 443),
                testing::AnyOf("perimeter.address_class", "perimeter.private_range"))
        << bad;
  }
  EXPECT_TRUE(network_.dialled.empty());
  network_.answers["api.example.com"] = {{address("2606:2800:220:1:248:1893:25c8:1946")}};
  EXPECT_EQ(refusal("api.example.com", 443), "dialled 2606:2800:220:1:248:1893:25c8:1946");
}

TEST_F(PerimeterTest, a_literal_for_loopback_or_metadata_is_refused_in_every_spelling) {
  for (const char* bad : {"127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "::1", "::ffff:7f00:1",
                          "169.254.169.254", "0xa9fea9fe", "64:ff9b::a9fe:a9fe", "0.0.0.0", "0"})
    EXPECT_EQ(refusal(bad, 443), "perimeter.address_class") << bad;
  EXPECT_TRUE(network_.dialled.empty());
}

TEST_F(PerimeterTest, one_bad_address_refuses_the_whole_answer) {
  network_.answers["api.example.com"] = {{address("93.184.216.34"), address("127.0.0.1")}};
  EXPECT_EQ(refusal("api.example.com", 443), "perimeter.address_class");
  EXPECT_TRUE(network_.dialled.empty());
  network_.answers["api.example.com"] = {{address("93.184.216.34"), address("93.184.216.35")}};
  EXPECT_EQ(refusal("api.example.com", 443), "dialled 93.184.216.34");
}

TEST_F(PerimeterTest, a_name_that_changes_its_answer_gains_nothing) {
  network_.answers["api.example.com"] = {{address("93.184.216.34")}, {address("127.0.0.1")}};
  EXPECT_EQ(refusal("api.example.com", 443), "dialled 93.184.216.34");
  EXPECT_THAT(network_.asked, ElementsAre("api.example.com"));  // judged and dialled by one answer
  EXPECT_EQ(refusal("api.example.com", 443), "perimeter.address_class");
  EXPECT_THAT(network_.dialled, ElementsAre("93.184.216.34:443"));
}

TEST_F(PerimeterTest, an_address_of_this_host_is_refused_although_it_is_public) {
  network_.answers["api.example.com"] = {{address("93.184.216.34")}};
  network_.own = {address("93.184.216.34")};
  EXPECT_EQ(refusal("api.example.com", 443), "perimeter.address_class");
  network_.own = {};
  EXPECT_EQ(refusal("api.example.com", 443), "dialled 93.184.216.34");
}

TEST_F(PerimeterTest, a_private_address_needs_the_operator_and_the_policy) {
  network_.answers["api.example.com"] = {{address("10.20.0.7")}};
  EXPECT_EQ(refusal("api.example.com", 443), "perimeter.private_range");  // the policy does not list it
  EXPECT_EQ(refusal("api.example.com", 443, {"10.30.0.0/16"}), "perimeter.private_range");
  EXPECT_EQ(refusal("api.example.com", 443, {"rubbish"}), "perimeter.private_range");
  EXPECT_EQ(refusal("api.example.com", 443, {"10.20.0.0/16"}), "dialled 10.20.0.7");
  EXPECT_EQ(refusal("10.20.0.9", 443), "perimeter.private_range");
  EXPECT_EQ(refusal("10.20.0.9", 443, {"10.20.0.0/24"}), "dialled 10.20.0.9");
  network_.answers["api.example.com"] = {{address("10.30.0.7")}};
  EXPECT_EQ(refusal("api.example.com", 443, {"10.30.0.0/16"}),
            "perimeter.private_range");  // the operator does not
  EXPECT_EQ(refusal("api.example.com", 443, {"0.0.0.0/0", "10.0.0.0/8"}), "perimeter.private_range");
  network_.answers["api.example.com"] = {{address("127.0.0.1")}};
  EXPECT_EQ(refusal("api.example.com", 443, {"127.0.0.0/8"}), "perimeter.address_class");  // nobody may
}

TEST_F(PerimeterTest, a_connector_goes_where_the_operator_says_loopback_and_unix_sockets_included) {
  EXPECT_EQ(refusal("git.demo.example", 443), "dialled connector 127.0.0.1:38443");
  EXPECT_EQ(refusal("model.demo.example", 80), "dialled connector unix:/run/model.sock");
  EXPECT_TRUE(network_.asked.empty());  // its name is never resolved
  EXPECT_EQ(refusal("git.demo.example", 80), "perimeter.not_listed");
  EXPECT_EQ(refusal("x.git.demo.example", 443), "perimeter.not_listed");
}

TEST_F(PerimeterTest, a_dead_address_gives_way_to_the_next_and_the_last_failure_is_told) {
  network_.answers["api.example.com"] = {{address("93.184.216.34"), address("93.184.216.35")}};
  network_.refusing = {"93.184.216.34:443"};
  EXPECT_EQ(refusal("api.example.com", 443), "dialled 93.184.216.35");
  network_.refusing = {"93.184.216.34:443", "93.184.216.35:443"};
  EXPECT_EQ(refusal("api.example.com", 443), "perimeter.connect");
  EXPECT_EQ(refusal("nowhere.github.com", 443), "perimeter.resolve");
}

TEST_F(PerimeterTest, without_a_usable_file_every_dial_is_refused_and_says_why) {
  perimeter_->refuse_all("perimeter.yaml:3:5: unknown field");
  DialAnswer answer = dial("git.demo.example", 443);
  EXPECT_EQ(std::get<DialRefused>(answer).code, "perimeter.misconfigured");
  EXPECT_THAT(std::get<DialRefused>(answer).message, HasSubstr("3:5"));
  use(kFile);
  EXPECT_EQ(refusal("git.demo.example", 443), "dialled connector 127.0.0.1:38443");
}

TEST_F(PerimeterTest, an_empty_file_lists_nothing) {
  perimeter_->use({});
  EXPECT_EQ(refusal("git.demo.example", 443), "perimeter.not_listed");
  EXPECT_EQ(refusal("93.184.216.34", 443), "perimeter.not_listed");
}

// A compromised saw-egress: connected sockets in answers that it never fetches would use up everybody's
// descriptors.
TEST_F(PerimeterTest, a_client_that_asks_and_never_listens_is_dropped_and_others_go_on) {
  network_.answers["api.example.com"] = {{address("93.184.216.34")}};
  auto [mute, theirs] = std::move(*os::Channel::pair());
  ASSERT_TRUE(perimeter_->add_client("ws-mute", std::move(theirs)));
  uint64_t sent = 0;
  bool blocked = false;
  auto more = [&] {
    while (!blocked && sent < 5'000 && perimeter_->dials_in_flight() < 64) {
      blocked = !mute.send(wire::encode(DialRequest(Dial{++sent, "api.example.com", 443, {}, "t"})));
      loop_.run_ready();
    }
    blocked = false;
    return perimeter_->clients() == 1;
  };
  run_until(more);
  EXPECT_EQ(perimeter_->clients(), 1u);
  EXPECT_LT(network_.dialled.size(), 2'000u);
  EXPECT_EQ(refusal("api.example.com", 443), "dialled 93.184.216.34");
}

TEST_F(PerimeterTest, the_257th_dial_in_flight_of_a_client_is_refused_as_busy_and_others_go_on) {
  network_.hang = true;
  for (uint64_t i = 1; i <= kMaxDialsInFlight; ++i)
    peer_->link->send(wire::encode(DialRequest(Dial{i, "api.example.com", 443, {}, ""})));
  run_until([this] { return perimeter_->dials_in_flight() == kMaxDialsInFlight; });
  peer_->link->send(wire::encode(DialRequest(Dial{1000, "api.example.com", 443, {}, ""})));
  run_until([this] { return !peer_->answers.empty(); });
  EXPECT_EQ(std::get<DialRefused>(peer_->answers.back()).code, "perimeter.busy");
  auto other = connect("ws-2");
  network_.hang = false;
  other->link->send(wire::encode(DialRequest(Dial{1, "git.demo.example", 443, {}, ""})));
  run_until([&] { return !other->answers.empty(); });
  EXPECT_TRUE(std::holds_alternative<Dialed>(other->answers.back()));
  run_until([this] { return records_.size() == 2; });  // the other's dial, and the one that was refused
  EXPECT_THAT(records_.back().event, HasSubstr("1 dials were refused"));
}

TEST_F(PerimeterTest, a_client_that_goes_away_takes_its_dials_with_it) {
  network_.hang = true;
  peer_->link->send(wire::encode(DialRequest(Dial{1, "api.example.com", 443, {}, ""})));
  run_until([this] { return perimeter_->dials_in_flight() == 1; });
  peer_->link.reset();
  run_until([this] { return perimeter_->clients() == 0; });
  EXPECT_EQ(perimeter_->dials_in_flight(), 0u);
}

TEST_F(PerimeterTest, a_client_that_breaks_the_protocol_is_dropped) {
  for (const std::string& bad :
       {std::string("rubbish"), wire::encode(DialRequest(Dial{1, "Api.Example.Com", 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, "api.example.com", 0, {}, ""})),
        wire::encode(DialRequest(Dial{1, "", 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, "a..b", 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, "api.example.com.", 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, "api.example.com\n", 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, "1.2.3.4.5", 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, std::string(300, 'a'), 443, {}, ""})),
        wire::encode(DialRequest(Dial{1, "api.example.com", 443, std::vector<std::string>(65), ""})),
        wire::encode(DialRequest(Dial{1, "api.example.com", 443, {}, std::string(200, 't')}))}) {
    auto peer = connect("ws-bad");
    peer->link->send(bad);
    run_until([&] { return peer->closed; });
    EXPECT_TRUE(peer->closed);
  }
  EXPECT_EQ(refusal("git.demo.example", 443), "dialled connector 127.0.0.1:38443");  // nobody else notices
}

TEST_F(PerimeterTest, the_same_request_number_twice_in_flight_breaks_the_protocol) {
  network_.hang = true;
  for (int i = 0; i < 2; ++i)
    peer_->link->send(wire::encode(DialRequest(Dial{1, "api.example.com", 443, {}, ""})));
  run_until([this] { return peer_->closed; });
  EXPECT_EQ(perimeter_->dials_in_flight(), 0u);
}

TEST_F(PerimeterTest, every_dial_allowed_or_denied_is_recorded_with_its_trace_and_rule) {
  dial("git.demo.example", 443);
  dial("evil.example", 443);
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_EQ(records_[0].sequence, 1u);
  EXPECT_EQ(records_[1].sequence, 2u);
  EXPECT_THAT(records_[0].event, HasSubstr("connectors[0]"));
  EXPECT_THAT(records_[0].event, HasSubstr("trace-1"));
  EXPECT_THAT(records_[0].event, HasSubstr("4001"));
  EXPECT_THAT(records_[1].event, HasSubstr("perimeter.not_listed"));
}

TEST_F(PerimeterTest, nothing_is_dialled_while_the_audit_is_behind_and_the_refusals_are_counted) {
  acknowledge_ = false;
  for (uint64_t i = 0; i < kMaxUnacknowledged; ++i) audit_->record("{}");
  EXPECT_FALSE(audit_->has_room());
  peer_->link->send(wire::encode(DialRequest(Dial{1, "git.demo.example", 443, {}, ""})));
  run_until([this] { return !peer_->answers.empty() && records_.size() == kMaxUnacknowledged; });
  EXPECT_EQ(std::get<DialRefused>(peer_->answers.back()).code, "perimeter.busy");
  EXPECT_TRUE(network_.dialled.empty());
  acknowledge_ = true;
  sawd_->send(wire::encode(AuditMessage(AuditAck{kMaxUnacknowledged})));
  run_until([this] { return records_.size() == kMaxUnacknowledged + 1; });
  EXPECT_THAT(records_.back().event, HasSubstr("1 dials were refused"));
  request_ = 1;
  EXPECT_EQ(refusal("git.demo.example", 443), "dialled connector 127.0.0.1:38443");
}

TEST_F(PerimeterTest, an_acknowledgement_of_what_was_never_sent_ends_the_service) {
  sawd_->send(wire::encode(AuditMessage(AuditAck{7})));
  run_until([this] { return audit_closed_; });
}

TEST_F(PerimeterTest, without_sawd_nothing_is_admitted) {
  sawd_.reset();
  run_until([this] { return audit_closed_; });
  EXPECT_FALSE(audit_->has_room());
}

}  // namespace
}  // namespace saw::egress

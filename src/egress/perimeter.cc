#include "egress/perimeter.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "policy/host.h"

namespace saw::egress {

namespace {

constexpr size_t kMaxTrace = 128, kMaxRanges = 64, kMaxRangeText = 64, kMaxWorkspace = 128;

}  // namespace

bool is_well_formed(const Dial& dial) {
  if (dial.port == 0 || dial.trace.size() > kMaxTrace || dial.ranges.size() > kMaxRanges) return false;
  if (std::ranges::any_of(dial.ranges, [](const std::string& r) { return r.size() > kMaxRangeText; }))
    return false;
  auto host = policy::HostName::parse(dial.host);
  return host && (host->address() || host->text() == dial.host);
}

std::optional<Outcome> judge_address(const PerimeterFile& file, const policy::Address& address,
                                     const Dial& dial) {
  switch (policy::classify(address)) {
    case policy::AddressClass::global:
      return std::nullopt;
    case policy::AddressClass::never:
      return Outcome{"perimeter.address_class", fmt::format("'{}' is {}, which is never reachable", dial.host,
                                                            policy::to_text(address))};
    case policy::AddressClass::private_use:
      break;
  }
  if (!file.allows_private(address))
    return Outcome{"perimeter.private_range",
                   fmt::format("'{}' is {}, in no private range that the operator lists", dial.host,
                               policy::to_text(address))};
  for (const std::string& text : dial.ranges)
    if (auto range = policy::parse_range(text); range && policy::contains(*range, address))
      return std::nullopt;
  return Outcome{"perimeter.private_range",
                 fmt::format("'{}' is {}, in no private range that the policy's entry lists", dial.host,
                             policy::to_text(address))};
}

// One dial between its request and its answer.
struct Perimeter::Flight {
  Dial dial;
  std::shared_ptr<const PerimeterFile> file;
  std::string rule;
  std::vector<ConnectorTarget> targets;  // judged; tried in order
  size_t next = 0;
  bool via_connector = false;
  std::string failure = "timed out";  // of the last attempt
  std::unique_ptr<Operation> running;
  os::Loop::Timer deadline, attempt;
};

struct Perimeter::Client {
  std::string workspace;
  std::unique_ptr<os::Link> link;
  std::map<uint64_t, Flight> flights;
  uint64_t unrecorded = 0;  // refusals for lack of room, told in one event later
};

Perimeter::Perimeter(os::Loop& loop, const Clock& clock, Network& network, PerimeterAudit& audit)
    : loop_(loop), clock_(clock), network_(network), audit_(audit) {
  audit_.set_on_room([this] { report_unrecorded(); });
}

Perimeter::~Perimeter() {
  audit_.set_on_room({});
}

void Perimeter::use(PerimeterFile file) {
  file_ = std::make_shared<const PerimeterFile>(std::move(file));
}

void Perimeter::refuse_all(std::string reason) {
  file_.reset();
  refuse_all_reason_ = std::move(reason);
}

Result<> Perimeter::add_client(std::string workspace, os::Channel channel) {
  if (clients_.size() >= kMaxClients || workspace.size() > kMaxWorkspace)
    return Error::make("perimeter.too_many_clients", "{} clients are connected already", clients_.size());
  const uint64_t id = next_client_++;
  auto client = std::make_unique<Client>();
  client->workspace = std::move(workspace);
  client->link = os::Link::open(
      loop_, std::move(channel),
      {.on_message = [this, id](std::string payload, std::vector<Fd>) { receive(id, payload); },
       .on_close = [this, id](std::string) { drop_client(id); }});
  clients_.emplace(id, std::move(client));
  return {};
}

void Perimeter::receive(uint64_t id, const std::string& payload) {
  auto found = clients_.find(id);
  if (found == clients_.end()) return;
  auto request = wire::decode<DialRequest>(payload);
  if (request)
    if (Dial& dial = std::get<Dial>(*request);
        is_well_formed(dial) && !found->second->flights.contains(dial.request))
      return start(id, std::move(dial));
  log_warning("the saw-egress of workspace '{}' broke the dial protocol; dropping it",
              printable(found->second->workspace));
  drop_client(id);
}

void Perimeter::start(uint64_t id, Dial dial) {
  Client& client = *clients_.at(id);
  // Answers that nobody fetches hold connected sockets, which all workspaces share.
  if (client.link->queued_messages() >= kMaxDialsInFlight) {
    log_warning("the saw-egress of workspace '{}' asks and does not listen; dropping it",
                printable(client.workspace));
    return drop_client(id);
  }
  if (!audit_.has_room()) return refuse_busy(client, dial, "the audit log is behind");
  if (client.flights.size() >= kMaxDialsInFlight || dials_in_flight_ >= kMaxDialsInTotal)
    return refuse_busy(client, dial, "too many dials are in flight");
  const Key key{id, dial.request};
  Flight& flight = client.flights[dial.request];
  ++dials_in_flight_;
  flight.dial = std::move(dial);
  flight.file = file_;
  if (!file_) return refuse(key, {"perimeter.misconfigured", refuse_all_reason_});
  flight.deadline = loop_.after(kDialTimeoutMs, [this, key] {
    if (Flight* late = find(key))
      refuse(key, {late->targets.empty() ? "perimeter.resolve" : "perimeter.connect", late->failure,
                   audit::Verdict::none});
  });
  follow(key, flight);
}

void Perimeter::follow(Key key, Flight& flight) {
  const Dial& dial = flight.dial;
  const Route route = file_->route(dial.host, dial.port);
  if (const auto* via = std::get_if<ViaConnector>(&route)) {
    flight.rule = via->connector->rule;
    flight.via_connector = true;
    flight.targets = {via->connector->to};
    return try_next(key);
  }
  // A literal is judged before it is looked up: whoever asks for the metadata address hears why it will never
  // be reachable.
  if (auto literal = policy::parse_address(dial.host))
    if (auto refusal = judge_address(*file_, *literal, dial);
        refusal && refusal->code == "perimeter.address_class")
      return refuse(key, *refusal);
  if (const auto* via = std::get_if<ViaAddress>(&route)) {
    flight.rule = via->entry->rule;
    return judge_answer(key, std::vector{via->address});
  }
  if (const auto* via = std::get_if<ViaName>(&route)) {
    flight.rule = via->entry->rule;
    flight.failure = "no name server answered in time";
    flight.running = network_.resolve(dial.host, [this, key](Result<std::vector<policy::Address>> answer) {
      judge_answer(key, std::move(answer));
    });
    return;
  }
  refuse(key, {"perimeter.not_listed",
               fmt::format("'{}' port {} is not in the operator's perimeter file", dial.host, dial.port)});
}

void Perimeter::judge_answer(Key key, Result<std::vector<policy::Address>> answer) {
  Flight* flight = find(key);
  if (!flight) return;
  if (!answer) return refuse(key, {"perimeter.resolve", answer.error().message, audit::Verdict::none});
  for (const policy::Address& address : *answer) {
    if (auto refusal = judge_address(*flight->file, address, flight->dial))
      return refuse(key, std::move(*refusal));
    if (network_.is_own(address))
      return refuse(key,
                    {"perimeter.address_class", fmt::format("'{}' is {}, an address of this host",
                                                            flight->dial.host, policy::to_text(address))});
    if (flight->targets.size() < kMaxConnectAttempts)
      flight->targets.push_back(SocketTarget{address, flight->dial.port});
  }
  try_next(key);
}

void Perimeter::try_next(Key key) {
  Flight* flight = find(key);
  if (!flight) return;
  if (flight->next >= flight->targets.size())
    return refuse(key, {"perimeter.connect", flight->failure, audit::Verdict::none});
  const ConnectorTarget& target = flight->targets[flight->next++];
  if (flight->next < flight->targets.size())
    flight->attempt = loop_.after(kAttemptTimeoutMs, [this, key] {
      attempt_ended(key, Error::make("perimeter.connect", "timed out"));
    });
  flight->running =
      network_.connect(target, [this, key](Result<Fd> socket) { attempt_ended(key, std::move(socket)); });
}

void Perimeter::attempt_ended(Key key, Result<Fd> socket) {
  Flight* flight = find(key);
  if (!flight) return;
  flight->attempt.cancel();
  if (socket) return succeed(key, std::move(*socket));
  flight->failure = socket.error().message;
  try_next(key);
}

void Perimeter::succeed(Key key, Fd socket) {
  Flight& flight = *find(key);
  const ConnectorTarget& target = flight.targets[flight.next - 1];
  const auto* socket_target = std::get_if<SocketTarget>(&target);
  const std::string ip = socket_target ? policy::to_text(socket_target->address) : std::string{};
  std::string address =
      flight.via_connector ? "connector " + std::visit([](const auto& t) { return t.text(); }, target) : ip;
  Client& client = *clients_.at(key.first);
  const Outcome reached{flight.via_connector ? "connector" : "listed", address, audit::Verdict::allowed};
  record(client, flight.dial, reached, flight.rule, ip);
  std::vector<Fd> fds;
  fds.push_back(std::move(socket));
  client.link->send(wire::encode(DialAnswer(Dialed{key.second, std::move(address)})), std::move(fds));
  land(key);
}

void Perimeter::refuse(Key key, Outcome refusal) {
  Flight& flight = *find(key);
  Client& client = *clients_.at(key.first);
  record(client, flight.dial, refusal, flight.rule, {});
  client.link->send(
      wire::encode(DialAnswer(DialRefused{key.second, std::move(refusal.code), std::move(refusal.message)})));
  land(key);
}

void Perimeter::refuse_busy(Client& client, const Dial& dial, std::string_view what) {
  ++client.unrecorded;
  client.link->send(wire::encode(DialAnswer(DialRefused{dial.request, "perimeter.busy", std::string(what)})));
}

void Perimeter::land(Key key) {
  clients_.at(key.first)->flights.erase(key.second);
  --dials_in_flight_;
  report_unrecorded();
}

void Perimeter::drop_client(uint64_t id) {
  auto node = clients_.extract(id);
  if (node.empty()) return;
  dials_in_flight_ -= node.mapped()->flights.size();
}

void Perimeter::report_unrecorded() {
  for (auto& [id, client] : clients_) {
    if (client->unrecorded == 0 || !audit_.has_room()) continue;
    const uint64_t count = std::exchange(client->unrecorded, 0);
    record(*client, {}, {"perimeter.busy", fmt::format("{} dials were refused for lack of room", count)}, {},
           {});
  }
}

void Perimeter::record(const Client& client, const Dial& dial, const Outcome& outcome, std::string_view rule,
                       std::string_view address) {
  const bool allowed = outcome.verdict == audit::Verdict::allowed;
  const std::string destination =
      dial.host.empty() ? "several destinations" : fmt::format("{}:{}", dial.host, dial.port);
  std::string sentence = allowed ? fmt::format("the perimeter connected workspace '{}' to {} at {}",
                                               client.workspace, destination, outcome.message)
                                 : fmt::format("the perimeter did not connect workspace '{}' to {}: {}",
                                               client.workspace, destination, outcome.message);
  audit::NetworkActivity event;
  event.time = clock_.now();
  event.layer = audit::Layer::perimeter;
  event.verdict = outcome.verdict;
  event.who = {.workspace = client.workspace, .trace = dial.trace};
  event.rule = rule.empty() ? std::string{} : fmt::format("perimeter.{}", rule);
  event.reason = outcome.code;
  event.message = std::move(sentence);
  event.host = dial.host;
  event.address = address;
  event.port = dial.port;
  audit_.record(audit::network_activity(event));
}

Perimeter::Flight* Perimeter::find(Key key) {
  auto client = clients_.find(key.first);
  if (client == clients_.end()) return nullptr;
  auto flight = client->second->flights.find(key.second);
  return flight == client->second->flights.end() ? nullptr : &flight->second;
}

}  // namespace saw::egress

// The perimeter: takes dial requests from each workspace's saw-egress, judges them by the operator's file
// alone, dials, and hands the connected socket back. The second, independent denial (R45): it knows no
// policy, and trusts its clients with nothing.
//
//   PerimeterAudit audit(loop, std::move(channel), [&] { loop.stop(); });
//   Perimeter perimeter(loop, clock, network, audit);
//   perimeter.use(std::move(file));
//   perimeter.add_client("ws-7", std::move(channel));          // Dial in, Dialed or DialRefused out
//   (dial_protocol.h)
//
// Judged in this order: connector, literal address, listed name. Every address of an answer is classified,
// and one that may not be reached refuses the whole answer: mixed answers are how rebinding looks. The
// address that was judged is the one dialled; a name is resolved once per dial. Without a file (or with one
// that does not parse) every dial is refused. A client that breaks the protocol, or goes away, loses its
// dials in flight.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/event.h"
#include "base/clock.h"
#include "egress/dial_protocol.h"
#include "egress/perimeter_audit.h"
#include "egress/perimeter_file.h"
#include "egress/perimeter_network.h"
#include "os/link.h"

namespace saw::egress {

// How a dial ended, for its answer and its event. denied: somebody decided against it; none: the destination
// did not answer.
struct Outcome {
  std::string code, message;
  audit::Verdict verdict = audit::Verdict::denied;
};

// The pure part: why this address may not be dialled for this request; nullopt: it may.
std::optional<Outcome> judge_address(const PerimeterFile& file, const policy::Address& address,
                                     const Dial& dial);
// Whether the fields are within bounds and `host` is a lower-case name or a literal; if not, the client is
// broken.
bool is_well_formed(const Dial& dial);

class Perimeter {
 public:
  static constexpr size_t kMaxClients = 1024;
  static constexpr size_t kMaxDialsInTotal = 1024;     // over all clients; beyond: perimeter.busy
  static constexpr size_t kMaxConnectAttempts = 4;     // addresses of one answer that are tried
  static constexpr int64_t kAttemptTimeoutMs = 3'000;  // for each but the last

  Perimeter(os::Loop& loop, const Clock& clock, Network& network, PerimeterAudit& audit);
  ~Perimeter();
  Perimeter(const Perimeter&) = delete;
  Perimeter& operator=(const Perimeter&) = delete;

  // For the dials that come; those in flight keep what they were judged by.
  void use(PerimeterFile file);
  // No file can be used: every dial is refused with perimeter.misconfigured and this reason.
  void refuse_all(std::string reason);
  // Error "perimeter.too_many_clients".
  Result<> add_client(std::string workspace, os::Channel channel);

  size_t clients() const { return clients_.size(); }
  size_t dials_in_flight() const { return dials_in_flight_; }

 private:
  struct Flight;
  struct Client;
  using Key = std::pair<uint64_t, uint64_t>;  // client, request

  void receive(uint64_t client, const std::string& payload);
  void start(uint64_t client, Dial dial);
  void follow(Key key, Flight& flight);
  void judge_answer(Key key, Result<std::vector<policy::Address>> answer);
  void try_next(Key key);
  void attempt_ended(Key key, Result<Fd> socket);
  void succeed(Key key, Fd socket);
  void refuse(Key key, Outcome refusal);
  void refuse_busy(Client& client, const Dial& dial, std::string_view what);
  void land(Key key);
  void drop_client(uint64_t client);
  void report_unrecorded();
  void record(const Client& client, const Dial& dial, const Outcome& outcome, std::string_view rule,
              std::string_view address);
  Flight* find(Key key);

  os::Loop& loop_;
  const Clock& clock_;
  Network& network_;
  PerimeterAudit& audit_;
  std::shared_ptr<const PerimeterFile> file_;  // shared with the dials that were judged by it
  std::string refuse_all_reason_ = "no perimeter file has been loaded";
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_client_ = 1;
  size_t dials_in_flight_ = 0;
};

}  // namespace saw::egress

// What saw-perimeter asks of the world: resolve a name, connect to an address. The seam at which tests put
// their own world.
//
//   std::unique_ptr<Operation> running = network.connect(target, [&](Result<Fd> socket) { … });
//
// The callback runs once, later, from the loop, unless the Operation is destroyed first; it may destroy its
// own Operation.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "egress/perimeter_file.h"
#include "os/loop.h"

namespace saw::egress {

class Operation {
 public:
  virtual ~Operation() = default;
};

class Network {
 public:
  using OnResolved = std::move_only_function<void(Result<std::vector<policy::Address>>)>;
  using OnConnected = std::move_only_function<void(Result<Fd>)>;

  virtual ~Network() = default;
  // Every address of the name, IPv4 first; never an empty list ("perimeter.resolve" instead).
  virtual std::unique_ptr<Operation> resolve(const std::string& name, OnResolved done) = 0;
  // A connected, non-blocking stream socket.
  virtual std::unique_ptr<Operation> connect(const ConnectorTarget& target, OnConnected done) = 0;
  // Whether a packet to this address would come back to this very host, whatever interface carries the
  // address.
  virtual bool is_own(const policy::Address& address) = 0;
};

// The host's network. Asks `servers` (tried in order, kResolveRounds times) over UDP; one fresh socket, so
// one fresh source port and one random id, per question.
class OsNetwork final : public Network {
 public:
  static constexpr size_t kMaxServers = 3;
  static constexpr int kResolveRounds = 2;
  static constexpr int64_t kResolveAttemptMs = 1'500;

  OsNetwork(os::Loop& loop, std::vector<SocketTarget> servers);
  void set_servers(std::vector<SocketTarget> servers);

  std::unique_ptr<Operation> resolve(const std::string& name, OnResolved done) override;
  std::unique_ptr<Operation> connect(const ConnectorTarget& target, OnConnected done) override;
  bool is_own(const policy::Address& address) override;

 private:
  os::Loop& loop_;
  std::vector<SocketTarget> servers_;
};

// The name servers of a resolv.conf(5), at most OsNetwork::kMaxServers; lines that say nothing useful are
// skipped.
std::vector<SocketTarget> parse_resolv_conf(std::string_view text);

}  // namespace saw::egress

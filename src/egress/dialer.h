// Connections to the internet, by way of saw-perimeter: this process cannot open a socket.
//
//   Dialer::Outcome got = co_await dialer.dial({.host = "api.example.com", .port = 443});
//   if (!got) refuse(got.error().code);                  // perimeter.not_listed, …, perimeter.unavailable,
//   perimeter.timeout
//
// At most kMaxDialsInFlight at a time. Losing saw-perimeter fails what is under way; attach() connects to the
// next one.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "egress/dial_protocol.h"
#include "egress/net.h"
#include "egress/task.h"
#include "os/link.h"

namespace saw::egress {

class Dialer {
 public:
  struct Connected {
    Fd socket;
    std::string address;
  };
  using Outcome = Result<Connected>;

  explicit Dialer(Net& net) : net_(net) {}
  void attach(os::Channel perimeter);
  Task<Outcome> dial(Dial request);  // `request.request` is set here

 private:
  struct Pending {
    explicit Pending(Net& net) : answered(net) {}
    Gate answered;
    Outcome outcome =
        Error::make("perimeter.timeout", "the perimeter did not answer in {} s", kDialTimeoutMs / 1000);
  };
  void on_answer(std::string payload, std::vector<Fd> fds);
  void settle(uint64_t request, Outcome outcome);
  void lose();

  Net& net_;
  std::unique_ptr<os::Link> link_;
  uint64_t next_ = 1;
  std::map<uint64_t, Pending*> pending_;
};

}  // namespace saw::egress

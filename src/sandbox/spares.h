// What a sandbox needs and can be made beforehand: networks, and control groups for calls.
//
//   Spares spares(cgroups);
//   SandboxNetwork net = SAW_TRY(spares.network(Network::captured));     // a spare one, or made now
//   spares.restock();                                                   // when there is nothing else to do
//   auto group = SAW_TRY(spares.call_cgroup(owner, limits));  …  spares.give_back(group.name)
//
// A network is new and used once. A control group goes only to calls with the same owner (a workspace's
// storage) and the same limits as before, and only when it is as good as new; otherwise it is removed.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "os/cgroup.h"
#include "os/netns.h"
#include "sandbox/plan.h"

namespace saw::sandbox {

struct SandboxNetwork {
  Fd netns;
  os::CapturedSockets sockets;  // empty with Network::none
};

class Spares {
 public:
  static constexpr size_t kNetworks = 3;  // of each kind, once that kind has been asked for
  static constexpr size_t kCgroups = 16;  // of each owner

  explicit Spares(const os::CgroupTree& cgroups) : cgroups_(cgroups) {}

  Result<SandboxNetwork> network(Network kind);
  // Makes at most one. Whether there is more to make.
  bool restock();

  struct CallCgroup {
    std::string name;
    os::Cgroup group;
  };
  Result<CallCgroup> call_cgroup(const std::string& owner, const os::CgroupLimits& limits);
  // Kept for the next call, or removed. Not of a call: removed.
  Result<> give_back(const std::string& name);
  // Removes the spare groups of an owner; empty: of all.
  void forget(const std::string& owner);

 private:
  struct Kept {
    std::string owner, key;
    CallCgroup cgroup;
  };
  const os::CgroupTree& cgroups_;
  std::deque<SandboxNetwork> networks_[2];
  bool wanted_[2] = {};
  std::map<std::string, Kept> lent_;  // by name
  std::deque<Kept> spare_;
};

}  // namespace saw::sandbox

// The call plans that saw-node has worked out for one workspace: one for calls in the workspace itself, one for
// each session with calls in it.
//
//   plans.get("", [](Result<std::string> digest) { … RunCall{.plan = *digest, …} … });
//
// A plan is prepared when it is first asked for, and parked sandboxes go with it (node_protocol.h). forget()
// ends those; a digest that saw-node does not know (any more) is dropped, and prepared again by the next get().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/alive.h"
#include "control/plane.h"

namespace saw::control {

class CallPlans {
 public:
  static constexpr uint32_t kParked = 2, kParkedOfSession = 1;

  // What a plan is made from: changes with the workspace's policy.
  struct Source {
    std::function<Result<sandbox::PrepareCalls>(const std::string& session)> make;
  };
  CallPlans(Plane& plane, std::string workspace, Source source)
      : plane_(plane), workspace_(std::move(workspace)), source_(std::move(source)) {}

  void get(const std::string& session, Reply<std::string> reply);
  void drop(const std::string& digest);
  // Of a session, or all. Answers when nothing new can come of them.
  void forget(const std::string& session, Reply<> reply);

 private:
  struct Plan {
    uint64_t number = 0;
    std::string digest;  // empty: being prepared
    std::vector<Reply<std::string>> waiting;
  };
  void on_prepared(const std::string& session, uint64_t number, Result<NodeClient::Answer> answer);

  Plane& plane_;
  std::string workspace_;
  Source source_;
  std::map<std::string, Plan> plans_;  // by session, "" for the workspace
  uint64_t last_number_ = 0;
  Alive alive_;
};

}  // namespace saw::control

// A real saw-node with this program as its sawd, and calls, sessions and workspaces driven through the node
// protocol.
//
//   auto node = SAW_TRY(BenchNode::start());                    // root only
//   CallKind kind{.name = "warm", .network = sandbox::Network::captured, .parked = 4};
//   auto warm = SAW_TRY(node_call(*node, kind, {"true"}));        // a Contender
//
// The plans are those of a policy like the shipped ones: image of the host, CA bundle, memory, process and
// file limits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node_under_test.h"
#include "policy/policy.h"
#include "support/contender.h"
#include "support/peers.h"

namespace saw::bench {

class BenchNode {
 public:
  static Result<std::unique_ptr<BenchNode>> start();
  ~BenchNode();  // stops everything and waits for it

  testing_support::NodeUnderTest& process() { return process_; }
  // Of workspace kWorkspace, session kSession where the depth is one.
  static constexpr const char *kWorkspace = "bench", *kSession = "s";
  Result<sandbox::SandboxPlan> plan(sandbox::Depth depth, sandbox::Network network) const;
  // "": every guarantee; otherwise what the last started sandbox lacks.
  const std::string& lacking() const { return lacking_; }

  // One request and its answer; Failed is an error. The descriptors that came are closed.
  template <class Answer, class Request> Result<Answer> ask(Request request);
  // A command in a running sandbox, to its end; an exit status other than 0 is an error.
  Result<> run_inside(const std::string& sandbox, const Command& command);

  uint64_t next_request() { return ++requests_; }
  std::optional<Error> failure_of(uint64_t request);
  void note_lacking(const std::vector<std::string>& degraded);

 private:
  explicit BenchNode(policy::Policy policy);

  policy::Policy policy_;
  std::string ca_bundle_;
  testing_support::NodeUnderTest process_;
  uint64_t requests_ = 0;
  std::string lacking_;
};

// How calls are prepared for, by one plan of their own.
struct CallKind {
  std::string name;
  sandbox::Network network = sandbox::Network::captured;
  uint32_t parked = 0;
  std::vector<sandbox::WarmRuntime> runtimes = {};
  // What each call is expected to find; rows say how many did not.
  sandbox::Warmth wanted = parked ? sandbox::Warmth::parked : sandbox::Warmth::cold;
};
// The digest of its plan.
Result<std::string> prepare(BenchNode& node, const CallKind& kind);

// Ends everything that is parked.
Result<> forget_calls(BenchNode& node);

// RunCall, its end, StopSandbox. Several may be under way at once.
class NodeCall {
 public:
  NodeCall(BenchNode& node, const std::string& plan, const Command& command);
  // Takes what has come and sends what is next. true once the call is over.
  Result<bool> advance();
  const Timing& timing() const { return timing_; }
  sandbox::Warmth warmth() const { return warmth_; }

 private:
  enum class Step : uint8_t { starting, running, stopping, over };
  Result<bool> take_end();

  BenchNode& node_;
  std::string sandbox_;
  Step step_ = Step::starting;
  uint64_t request_ = 0, exec_ = 0;
  sandbox::Warmth warmth_ = sandbox::Warmth::cold;
  std::vector<Fd> streams_;
  double began_;
  Timing timing_;
};

Result<std::unique_ptr<Contender>> node_call(BenchNode& node, const CallKind& kind, Command command);

// `count` calls with `at_once` under way at any time. Calls per second.
Result<double> sustained_calls(BenchNode& node, const std::string& plan, const Command& command, int count,
                               int at_once);

template <class Answer, class Request> Result<Answer> BenchNode::ask(Request request) {
  request.request = next_request();
  process_.send(request);
  std::optional<Error> failure;
  std::optional<testing_support::NodeUnderTest::Taken<Answer>> answer;
  const bool came = process_.run_until([&] {
    answer = process_.take<Answer>([&](const Answer& a) { return a.request == request.request; });
    if (!answer) failure = failure_of(request.request);
    return answer || failure;
  });
  if (failure) return std::unexpected(*failure);
  if (!came) return Error::make("bench.silent", "saw-node does not answer");
  return std::move(answer->message);
}

}  // namespace saw::bench

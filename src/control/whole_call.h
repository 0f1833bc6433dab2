// A call run to its end with its output gathered: for callers that want one answer and no streams, over a
// connection that they keep.
//
//   WholeCalls whole(loop);
//   auto reply = whole.gather({.input = "…"}, [](Result<WholeResult> r) { … });
//   control.start_command(caller, workspace, request, std::move(reply));
//
// Of each stream the first `max_output` bytes are kept and the rest is counted, so that a command that says
// too much still ends by itself. A caller that goes away does not end it: its wall clock does (ExecRequest::
// timeout_ms), so that one must be set. No terminal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "control/commands.h"
#include "os/loop.h"

namespace saw::control {

struct WholeRequest {
  std::string input;
  size_t max_output = 0;  // bytes of each stream
};
struct WholeStream {
  std::string text;
  uint64_t dropped = 0;  // bytes beyond max_output
};
struct WholeResult {
  std::string call, credential, trace;
  Exit exit;
  WholeStream output, error;
};

class WholeCalls {
 public:
  static constexpr size_t kMaxOutput = 1u << 20;
  static constexpr int64_t kMaxWallMs = 3'600'000, kDefaultWallMs = 120'000;

  explicit WholeCalls(os::Loop& loop);
  ~WholeCalls();

  Reply<std::unique_ptr<CommandHandle>> gather(WholeRequest request, Reply<WholeResult> reply);

 private:
  struct Gathering;
  void begin(uint64_t number, std::unique_ptr<CommandHandle> handle);
  void feed(Gathering& one);
  void collect(Gathering& one, Fd& from, WholeStream& into);
  void on_exit(uint64_t number, Exit exit);

  os::Loop& loop_;
  std::map<uint64_t, std::unique_ptr<Gathering>> running_;
  uint64_t next_ = 1;
  Alive alive_;
};

}  // namespace saw::control

// A hostile saw-init talks to saw-node: the input is a sequence of messages, each with its length in one byte
// and a flag for a descriptor. Whatever it is, saw-node reports in order: one start and one end for what it
// asked for, and the end of the sandbox once.
#include <csignal>
#include <cstdint>
#include <set>

#include <poll.h>
#include <unistd.h>

#include "sandbox/node_sandbox.h"

using namespace saw;
using namespace saw::sandbox;

namespace {

constexpr uint64_t kAsked = 1;

// Checks the promises of RunningSandbox while messages arrive.
struct Witness {
  std::set<uint64_t> started, ended;
  int ready = 0, gone = 0;
};

void converse(std::string_view input, os::Loop& loop, const os::Channel& theirs, RunningSandbox& sandbox) {
  sandbox.start_exec(kAsked, {.argv = {"true"}, .directory = "/"}, {});
  while (input.size() >= 2) {
    const size_t length = std::min<size_t>(static_cast<unsigned char>(input[0]), input.size() - 2);
    const int descriptor = STDIN_FILENO;
    const bool with_descriptor = (input[1] & 1) != 0;
    static_cast<void>(
        theirs.send(input.substr(2, length), {&descriptor, with_descriptor ? 1u : 0u}).has_value());
    input.remove_prefix(2 + length);
    loop.run_ready();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto loop = os::Loop::create();
  auto pair = os::Channel::pair();
  // This very process stands for saw-init; no signal is ever sent, since a descriptor that cannot signal
  // takes its place.
  auto nobody = Fd::open("/dev/null", 0);
  auto never = Pipe::create();
  if (!loop || !pair || !nobody || !never) return 0;
  Witness witness;
  auto sandbox = RunningSandbox::open(
      *loop, {.init = os::Child(0, std::move(never->read)), .channel = std::move(pair->first)},
      {.on_ready = [&] { SAW_CHECK(++witness.ready == 1); },
       .on_exec_started =
           [&](uint64_t exec, int32_t, const Fd&) {
             SAW_CHECK(exec == kAsked && witness.started.insert(exec).second);
           },
       .on_exec_ended =
           [&](uint64_t exec, const CommandEnded&) {
             SAW_CHECK(exec == kAsked && witness.ended.insert(exec).second);
           },
       .on_gone = [&](const std::string&) { SAW_CHECK(++witness.gone == 1); }});
  converse({reinterpret_cast<const char*>(data), size}, *loop, pair->second, *sandbox);
  return 0;
}

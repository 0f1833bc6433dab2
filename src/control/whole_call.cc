#include "control/whole_call.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <unistd.h>

namespace saw::control {
namespace {
constexpr size_t kChunk = 64u << 10;
constexpr int kChunksAtOnce = 16;  // a pipe holds no more; then it is the others' turn
}  // namespace

struct WholeCalls::Gathering {
  WholeRequest request;
  Reply<WholeResult> reply;
  WholeResult result;
  std::unique_ptr<CommandHandle> handle;
  size_t fed = 0;
  os::Loop::Watch input, output, error;  // before the descriptors of `handle` are closed
};

WholeCalls::WholeCalls(os::Loop& loop) : loop_(loop) {}
WholeCalls::~WholeCalls() = default;

Reply<std::unique_ptr<CommandHandle>> WholeCalls::gather(WholeRequest request, Reply<WholeResult> reply) {
  const uint64_t number = next_++;
  auto one = std::make_unique<Gathering>();
  one->request = std::move(request);
  one->reply = std::move(reply);
  running_.emplace(number, std::move(one));
  return alive_.guard([this, number](Result<std::unique_ptr<CommandHandle>> started) {
    if (started) return begin(number, std::move(*started));
    auto node = running_.extract(number);
    node.mapped()->reply(std::unexpected(std::move(started).error()));
  });
}

void WholeCalls::begin(uint64_t number, std::unique_ptr<CommandHandle> handle) {
  Gathering& one = *running_.at(number);
  one.handle = std::move(handle);
  CommandHandle& command = *one.handle;
  one.result.call = command.call;
  one.result.credential = command.credential;
  one.result.trace = command.trace;
  command.on_exit(alive_.guard([this, number](Exit exit) { on_exit(number, exit); }));
  for (const Fd* fd : {&command.input, &command.output, &command.error})
    if (auto ready = set_blocking(*fd, Blocking::no); !ready) {
      auto node = running_.extract(number);
      return node.mapped()->reply(std::unexpected(std::move(ready).error()));
    }
  one.output = loop_.watch(command.output.get(), os::Loop::kReadable,
                           [this, &one](uint32_t) { collect(one, one.handle->output, one.result.output); });
  one.error = loop_.watch(command.error.get(), os::Loop::kReadable,
                          [this, &one](uint32_t) { collect(one, one.handle->error, one.result.error); });
  one.input = loop_.watch(command.input.get(), os::Loop::kWritable, [this, &one](uint32_t) { feed(one); });
}

void WholeCalls::feed(Gathering& one) {
  const std::string& input = one.request.input;
  while (one.fed < input.size()) {
    const ssize_t n =
        ::write(one.handle->input.get(), input.data() + one.fed, std::min(input.size() - one.fed, kChunk));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;  // it does not want more
    one.fed += static_cast<size_t>(n);
  }
  one.input.cancel();
  one.handle->input.reset();
}

void WholeCalls::collect(Gathering& one, Fd& from, WholeStream& into) {
  std::array<char, kChunk> chunk;
  for (int chunks = 0; from && chunks < kChunksAtOnce; ++chunks) {
    const ssize_t n = ::read(from.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      (&into == &one.result.output ? one.output : one.error).cancel();
      return from.reset();
    }
    const auto got = static_cast<size_t>(n);
    const size_t kept =
        std::min(got, one.request.max_output - std::min(one.request.max_output, into.text.size()));
    into.text.append(chunk.data(), kept);
    into.dropped += got - kept;
  }
}

// What was written before the end is still in the pipes; a call's are nobody else's by now.
void WholeCalls::on_exit(uint64_t number, Exit exit) {
  auto node = running_.extract(number);
  if (node.empty()) return;
  Gathering& one = *node.mapped();
  collect(one, one.handle->output, one.result.output);
  collect(one, one.handle->error, one.result.error);
  for (os::Loop::Watch* watch : {&one.input, &one.output, &one.error}) watch->cancel();
  one.result.exit = exit;
  one.reply(std::move(one.result));
  loop_.post([dead = std::move(node)] {});  // this runs in a callback of its handle
}

}  // namespace saw::control

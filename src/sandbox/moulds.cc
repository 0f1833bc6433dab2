#include "sandbox/moulds.h"

#include <csignal>

namespace saw::sandbox {
namespace {
constexpr int64_t kEndTimeoutMs = 5'000;
}  // namespace

Moulds::~Moulds() {
  drop("");
}

void Moulds::end(const Running& mould) {
  mould.process.kill(SIGKILL);
  mould.process.wait_ended(kEndTimeoutMs);
  mould.process.reap();
}

void Moulds::drop(const std::string& storage) {
  std::erase_if(running_, [&](const auto& entry) {
    if (!storage.empty() && entry.second.storage != storage) return false;
    end(entry.second);
    return true;
  });
}

Result<Moulds::Running> Moulds::start(const Kind& kind) const {
  if (running_.size() >= kMaxMoulds)
    return Error::make("sandbox.moulds", "{} kinds of sandboxes are in use", running_.size());
  auto [ours, theirs] = SAW_TRY(os::Channel::pair());
  std::vector<Fd> inherited;
  inherited.push_back(std::move(theirs).take());
  os::Child process = SAW_TRY(os::spawn({.program = init_path_,
                                         .arguments = {"saw-init"},
                                         .descriptors = std::move(inherited),
                                         .privileges = os::Privileges::kept}));
  Running mould{std::move(process), std::move(ours), kind.storage};
  if (auto sent = mould.channel.send(kind.message); !sent) {
    end(mould);
    return std::unexpected(std::move(sent).error());
  }
  return mould;
}

Result<> Moulds::send(const Kind& kind, std::string_view request, std::span<const int> fds) {
  auto found = running_.find(kind.key);
  if (found != running_.end() && found->second.process.has_ended()) {
    end(found->second);
    running_.erase(found);
    found = running_.end();
  }
  if (found == running_.end())
    found = running_.emplace(kind.key, SAW_TRY(start(kind), "starting a mould")).first;
  SAW_TRY(found->second.channel.send(request, fds), "asking a mould for a sandbox");
  return {};
}

}  // namespace saw::sandbox

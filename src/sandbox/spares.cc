#include "sandbox/spares.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/log.h"

namespace saw::sandbox {
namespace {

Result<SandboxNetwork> make_network(Network kind) {
  if (kind == Network::none) return SandboxNetwork{SAW_TRY(os::create_dead_network()), {}};
  os::CapturedNetwork net = SAW_TRY(os::create_captured_network());
  return SandboxNetwork{std::move(net.netns), std::move(net.sockets)};
}

}  // namespace

Result<SandboxNetwork> Spares::network(Network kind) {
  const auto index = static_cast<size_t>(kind);
  wanted_[index] = true;
  if (networks_[index].empty()) return make_network(kind);
  SandboxNetwork out = std::move(networks_[index].front());
  networks_[index].pop_front();
  return out;
}

bool Spares::restock() {
  for (const Network kind : {Network::captured, Network::none}) {
    auto& ready = networks_[static_cast<size_t>(kind)];
    if (!wanted_[static_cast<size_t>(kind)] || ready.size() >= kNetworks) continue;
    auto made = make_network(kind);
    if (!made) {
      log_warning("making a spare network: {}", made.error().message);
      return false;
    }
    ready.push_back(std::move(*made));
    return true;
  }
  return false;
}

Result<Spares::CallCgroup> Spares::call_cgroup(const std::string& owner, const os::CgroupLimits& limits) {
  const std::string key =
      fmt::format("{}\n{} {} {}", owner, limits.memory_bytes, limits.pids, limits.cpu_millis_per_second);
  auto found = std::ranges::find(spare_, key, &Kept::key);
  CallCgroup out;
  if (found != spare_.end()) {
    out = std::move(found->cgroup);
    spare_.erase(found);
  } else {
    out.name = random_id("call-");
    out.group = SAW_TRY(cgroups_.create(out.name, limits));
  }
  CallCgroup copy{.name = out.name, .group = {.missing = out.group.missing}};
  for (const Fd& file : out.group.join) {
    auto duplicate = file.duplicate();
    if (!duplicate) {
      if (auto removed = cgroups_.remove(out.name); !removed) log_warning("{}", removed.error().message);
      return std::unexpected(std::move(duplicate).error());
    }
    copy.group.join.push_back(std::move(*duplicate));
  }
  lent_.emplace(out.name, Kept{.owner = owner, .key = key, .cgroup = std::move(copy)});
  return out;
}

Result<> Spares::give_back(const std::string& name) {
  auto node = lent_.extract(name);
  if (!node.empty()) {
    const auto of_owner = std::ranges::count(spare_, node.mapped().owner, &Kept::owner);
    if (static_cast<size_t>(of_owner) < kCgroups && cgroups_.is_pristine(name)) {
      spare_.push_back(std::move(node.mapped()));
      return {};
    }
  }
  return cgroups_.remove(name);
}

void Spares::forget(const std::string& owner) {
  std::erase_if(spare_, [&](const Kept& kept) {
    if (!owner.empty() && kept.owner != owner) return false;
    if (auto removed = cgroups_.remove(kept.cgroup.name); !removed)
      log_warning("{}", removed.error().message);
    return true;
  });
}

}  // namespace saw::sandbox

#include "sandbox/node_state.h"

#include <filesystem>
#include <sstream>

#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wire.h"
#include "os/process.h"
#include "sandbox/node_check.h"

namespace saw::sandbox {
namespace {

constexpr size_t kMaxRecord = 16u << 10, kMaxProcFile = 64u << 10;
constexpr int kMaxChildrenLookedAt = 4096;

// Files below /proc have no size and may end while they are read: not read_file()'s case.
std::string read_proc(const std::string& path) {
  auto file = Fd::open(path, 0 /* O_RDONLY */);
  if (!file) return "";
  auto content = read_all(*file, kMaxProcFile);
  return content ? *content : "";
}

// The last number of the line "NSpid:", which is the one in the innermost namespace.
int32_t innermost_pid(int32_t pid) {
  const std::string status = read_proc(fmt::format("/proc/{}/status", pid));
  const size_t line = status.find("\nNSpid:");
  if (line == status.npos) return 0;
  std::istringstream numbers(status.substr(line + 7, status.find('\n', line + 1) - line - 7));
  int32_t last = 0;
  for (int32_t number = 0; numbers >> number;) last = number;
  return last;
}

}  // namespace

Result<StateDirectory> StateDirectory::open(std::string path) {
  SAW_TRY(make_directories(path, 0700), "opening the state directory");
  std::string boot = read_proc("/proc/sys/kernel/random/boot_id");
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  return StateDirectory(std::move(path), std::move(boot));
}

Result<> StateDirectory::write(const SandboxRecord& record) const {
  SAW_CHECK(is_sandbox_id(record.sandbox));
  return replace_file(path_ + "/" + record.sandbox, wire::encode_struct(record), 0600, Durability::none);
}

void StateDirectory::remove(const std::string& sandbox) const {
  if (is_sandbox_id(sandbox)) ::unlink((path_ + "/" + sandbox).c_str());
}

Result<std::vector<SandboxRecord>> StateDirectory::load() const {
  std::vector<SandboxRecord> records;
  std::vector<std::filesystem::path> litter;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(path_, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    auto bytes = read_file(it->path().string(), kMaxRecord);
    auto record = bytes ? wire::decode_struct<SandboxRecord>(*bytes)
                        : Result<SandboxRecord>(std::unexpected(bytes.error()));
    if (record && record->sandbox == name && is_sandbox_id(name)) {
      records.push_back(std::move(*record));
    } else {
      litter.push_back(it->path());
    }
  }
  if (error)
    return std::unexpected(
        Error::from_errno("node.state", error.value(), fmt::format("reading '{}'", path_)));
  for (const auto& path : litter) {
    log_warning("removing '{}', which is not the record of a sandbox", printable(path.string()));
    std::filesystem::remove_all(path, error);
  }
  return records;
}

std::optional<os::Child> find_init(const SandboxRecord& record, const std::string& boot) {
  if (record.boot != boot || record.init_pid <= 1) return std::nullopt;
  // The descriptor first: what it names cannot change while the start time is compared.
  auto child = os::Child::open(record.init_pid);
  if (!child || os::start_time_of(record.init_pid) != record.init_start_time || child->has_ended())
    return std::nullopt;
  return std::move(*child);
}

bool has_children(int32_t init_pid) {
  auto file = Fd::open(fmt::format("/proc/{}/task/{}/children", init_pid, init_pid), 0 /* O_RDONLY */);
  if (!file) return true;
  auto first = read_all(*file, kMaxProcFile);
  return !first || !first->empty();
}

int32_t host_pid(int32_t init_pid, int32_t inner_pid) {
  if (inner_pid <= 1) return 0;
  std::istringstream children(read_proc(fmt::format("/proc/{}/task/{}/children", init_pid, init_pid)));
  int32_t child = 0;
  for (int looked_at = 0; looked_at < kMaxChildrenLookedAt && children >> child; ++looked_at)
    if (innermost_pid(child) == inner_pid) return child;
  return 0;
}

}  // namespace saw::sandbox

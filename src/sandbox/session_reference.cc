#include "sandbox/session_reference.h"

#include <ctime>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/wire.h"
#include "sandbox/tree_files.h"

namespace saw::sandbox {
namespace {

constexpr const char* kName = "since";
constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
constexpr size_t kMaxRecord = 256;
constexpr Nanos kDriftPerSecond = kMillisecond;  // more than NTP slews (500 ppm) and crystals drift
constexpr int kMaxTicks = 100;

struct Record {
  std::string boot;
  int64_t offset = 0;  // wall clock minus boot-time clock
  int64_t at = 0;      // boot-time clock
  template <class A> void members(A& a) { a(boot, offset, at); }
};

Nanos read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

Result<Record> now() {
  Record record{.boot = SAW_TRY(read_file(kBootId, kMaxRecord)), .at = read_clock(CLOCK_BOOTTIME)};
  record.offset = read_clock(CLOCK_REALTIME) - record.at;
  return record;
}

Result<Nanos> write(int directory) {
  const Record record = SAW_TRY(now());
  Fd file(::openat(directory, kName, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return Error::system("commit.reference", "making a session's reference");
  SAW_TRY(write_all(file, wire::encode_struct(record)));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0)
    return Error::system("commit.reference", "reading a session's reference");
  return changed_at(info);
}

}  // namespace

Result<> make_reference(int session_directory) {
  SAW_TRY(write(session_directory));
  return {};
}

Result<> make_later_reference(int session_directory) {
  const Nanos first = SAW_TRY(write(session_directory));
  for (int tick = 0; tick < kMaxTicks; ++tick) {
    const timespec wait{.tv_sec = 0, .tv_nsec = kMillisecond};
    ::nanosleep(&wait, nullptr);
    if (SAW_TRY(write(session_directory)) > first) return {};
  }
  return Error::make("commit.reference", "the clock does not move");
}

Result<Nanos> read_reference(int session_directory) {
  Fd file(::openat(session_directory, kName, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0)
    return Error::system("commit.reference", "reading when the session began");
  const std::string bytes = SAW_TRY(read_all(file, kMaxRecord));
  const Record began = SAW_TRY(wire::decode_struct<Record>(bytes));
  const Record current = SAW_TRY(now());
  if (began.boot != current.boot) return changed_at(info);
  const Nanos slack = kClockSlack + (current.at - began.at) / kSecond * kDriftPerSecond;
  if (current.offset + slack < began.offset)
    return Error::make(
        "commit.clock",
        "the host's clock was set back since the session began: what changed underneath cannot "
        "be known. Copy out what is needed and discard the session");
  return changed_at(info);
}

}  // namespace saw::sandbox

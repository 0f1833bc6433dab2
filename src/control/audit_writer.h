// The one writer of the audit log: collects events for the rest of this turn of the loop, then one append
// (one fsync) for all of them.
//
//   writer.record(line);                                        // an event of something that has happened
//   writer.record_before(line, [](Result<> durable) { … });     // the act waits for its record (R100)
//
// When the disk refuses, available() turns false and admission is refused. Events of what has happened are
// kept, up to kMaxKept, and written once the log opens again; those of acts that were refused for it are
// dropped with the act. A retry after a failure may repeat an event: at least once, never not at all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "control/types.h"
#include "os/loop.h"

namespace saw::control {

// Where events go; audit::Log in the daemon, memory or a failing disk in tests.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  virtual Result<> append(std::span<const std::string> lines) = 0;
  virtual uint64_t size() const = 0;
};

class AuditWriter {
 public:
  static constexpr size_t kMaxKept = 16384;
  static constexpr int64_t kReopenMs = 2000;
  using Open = std::move_only_function<Result<std::unique_ptr<AuditSink>>()>;

  // Opens the log at once; an error here is the caller's to decide about.
  static Result<std::unique_ptr<AuditWriter>> create(os::Loop& loop, Open open);

  void record(std::string line) { add({std::move(line), {}, Kept::yes}); }
  void record_kept(std::string line, Reply<> durable) {
    add({std::move(line), std::move(durable), Kept::yes});
  }
  void record_before(std::string line, Reply<> durable) {
    add({std::move(line), std::move(durable), Kept::no});
  }

  bool available() const { return sink_ != nullptr; }
  uint64_t entries() const { return sink_ ? sink_->size() : last_size_; }
  // Called after each durable append, for those who wait for new entries.
  void on_growth(std::move_only_function<void()> callback) { on_growth_ = std::move(callback); }

 private:
  enum class Kept : uint8_t { yes, no };
  struct Pending {
    std::string line;
    Reply<> durable;
    Kept kept = Kept::yes;
  };
  AuditWriter(os::Loop& loop, Open open, std::unique_ptr<AuditSink> sink)
      : loop_(loop), open_(std::move(open)), sink_(std::move(sink)) {}
  void add(Pending pending);
  void flush();
  void fail(const Error& error);
  void reopen();

  os::Loop& loop_;
  Open open_;
  std::unique_ptr<AuditSink> sink_;
  std::vector<Pending> pending_;
  os::Loop::Timer flush_timer_, reopen_timer_;
  bool flush_scheduled_ = false;
  uint64_t last_size_ = 0;
  std::move_only_function<void()> on_growth_;
};

// The audit log in `directory` as a sink.
Result<std::unique_ptr<AuditSink>> open_audit_log(const std::string& directory, std::string origin,
                                                  std::string_view key_seed);

}  // namespace saw::control

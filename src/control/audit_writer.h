// The one writer of the audit log: collects events while an append (one fsync) is under way, then the next
// append for all of them. Nothing here waits for the disk.
//
//   writer.record(line);                                        // an event of something that has happened
//   writer.record_before(line, [](Result<> durable) { … });     // the act waits for its record (R100)
//   writer.when_readable([](Result<> r) { … });                 // all of the above can be read from the files
//
// When the disk refuses, available() turns false and admission is refused. Events of what has happened are
// kept, up to kMaxKept, and written once the log opens again; those of acts that were refused for it are
// dropped with the act. A retry after a failure may repeat an event: at least once, never not at all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "control/alive.h"
#include "control/types.h"
#include "os/loop.h"

namespace saw::control {

// Where events go; audit::Log in the daemon (audit_log_sink.h), memory or a failing disk in tests. Callbacks
// come on the loop, at once or later; after a failure the sink is good for nothing more.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  virtual void append(std::vector<std::string> lines, Reply<> done) = 0;  // done: durable, or why not
  virtual void publish(Reply<> done) = 0;                                 // done: what is durable is readable
  // Called when published() has grown, or publishing failed.
  virtual void on_published(std::move_only_function<void(Result<>)> callback) = 0;
  virtual uint64_t published() const = 0;  // entries that can be read
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

  // Once everything recorded so far can be read; at once, and with what is there, when the log has failed.
  void when_readable(Reply<> done);

  bool available() const { return sink_ != nullptr; }
  uint64_t entries() const { return sink_ ? sink_->published() : last_size_; }  // that can be read
  // Called when entries() has grown, for those who wait for new ones.
  void on_growth(std::move_only_function<void()> callback) { on_growth_ = std::move(callback); }

 private:
  enum class Kept : uint8_t { yes, no };
  struct Pending {
    std::string line;
    Reply<> durable;
    Kept kept = Kept::yes;
  };
  struct Reader {
    uint64_t after = 0;  // this many events
    Reply<> done;
  };
  AuditWriter(os::Loop& loop, Open open) : loop_(loop), open_(std::move(open)) {}
  void use(std::unique_ptr<AuditSink> sink);
  void add(Pending pending);
  void flush();
  void on_appended(Result<> durable);
  void answer_readers();
  void fail(const Error& error);
  void reopen();

  os::Loop& loop_;
  Open open_;
  std::unique_ptr<AuditSink> sink_;
  std::vector<Pending> pending_, under_way_;
  std::vector<Reader> readers_;
  os::Loop::Timer flush_timer_, reopen_timer_;
  bool flush_scheduled_ = false;
  uint64_t taken_ = 0, written_ = 0;  // events, since this writer began
  uint64_t last_size_ = 0;
  std::move_only_function<void()> on_growth_;
  Alive alive_;
};

}  // namespace saw::control

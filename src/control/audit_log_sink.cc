#include "control/audit_log_sink.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include <unistd.h>

namespace saw::control {
namespace {

using Steady = std::chrono::steady_clock;

struct Batch {
  std::vector<std::string> lines;  // none: publish what is durable
  Reply<> done;
};
struct Answer {
  Reply<> done;
  Result<> result;
};

// What the loop and the thread share; everything below `mutex` is guarded by it.
struct Shared {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Batch> batches;
  std::vector<Answer> answers;
  uint64_t published = 0;
  std::optional<Error> broken;  // by publishing, which nobody waits for
  bool ending = false;
};

class Worker {
 public:
  Worker(audit::Log log, Shared& shared, Fd notify)
      : log_(std::move(log)), shared_(shared), notify_(std::move(notify)) {}
  void run() {
    while (auto batch = next()) {
      if (!batch->lines.empty()) {
        Result<> recorded = to_result(log_.record(batch->lines));
        if (recorded && !unpublished_since_) unpublished_since_ = Steady::now();
        answer(std::move(batch->done), std::move(recorded));
      } else {
        Result<> published = publish();
        if (batch->done) answer(std::move(batch->done), std::move(published));
      }
    }
    (void)log_.publish();  // a log that failed says so to whoever opens it next
  }

 private:
  static Result<> to_result(Result<uint64_t> first) {
    if (!first) return std::unexpected(std::move(first).error());
    return {};
  }

  // What to do next; nullopt when all is done and the sink ends.
  std::optional<Batch> next() {
    std::unique_lock lock(shared_.mutex);
    const auto idle_until = Steady::now() + std::chrono::milliseconds(kPublishIdleMs);
    for (;;) {
      const auto now = Steady::now();
      const bool overdue =
          unpublished_since_ && now >= *unpublished_since_ + std::chrono::milliseconds(kPublishMs);
      if (overdue) return Batch{};
      if (!shared_.batches.empty()) {
        Batch batch = std::move(shared_.batches.front());
        shared_.batches.pop_front();
        return batch;
      }
      if (shared_.ending) return std::nullopt;
      if (!unpublished_since_) {
        shared_.wake.wait(lock);
      } else if (now >= idle_until) {
        return Batch{};
      } else {
        shared_.wake.wait_until(
            lock, std::min(idle_until, *unpublished_since_ + std::chrono::milliseconds(kPublishMs)));
      }
    }
  }

  Result<> publish() {
    unpublished_since_.reset();
    Result<> published = log_.publish();
    const std::lock_guard lock(shared_.mutex);
    shared_.published = log_.published();
    if (!published && !shared_.broken) shared_.broken = published.error();
    notify();
    return published;
  }

  void answer(Reply<> done, Result<> result) {
    const std::lock_guard lock(shared_.mutex);
    shared_.answers.push_back({std::move(done), std::move(result)});
    notify();
  }

  // A full pipe has woken the loop already.
  void notify() { (void)!::write(notify_.get(), "", 1); }

  audit::Log log_;
  Shared& shared_;
  Fd notify_;
  std::optional<Steady::time_point> unpublished_since_;
};

class LogSink final : public AuditSink {
 public:
  LogSink(os::Loop& loop, audit::Log log, Pipe pipe)
      : published_(log.published()), notified_(std::move(pipe.read)) {
    shared_.published = published_;
    watch_ = loop.watch(notified_.get(), os::Loop::kReadable, [this](uint32_t) { deliver(); });
    thread_ = std::thread(
        [worker = Worker(std::move(log), shared_, std::move(pipe.write))]() mutable { worker.run(); });
  }
  ~LogSink() override {
    {
      const std::lock_guard lock(shared_.mutex);
      shared_.ending = true;
    }
    shared_.wake.notify_one();
    thread_.join();
    for (Answer& answer : shared_.answers) answer.done(std::move(answer.result));  // nobody waits for ever
  }

  void append(std::vector<std::string> lines, Reply<> done) override {
    push({std::move(lines), std::move(done)});
  }
  void publish(Reply<> done) override { push({{}, std::move(done)}); }
  void on_published(std::move_only_function<void(Result<>)> callback) override {
    on_published_ = std::move(callback);
  }
  uint64_t published() const override { return published_; }

 private:
  void push(Batch batch) {
    {
      const std::lock_guard lock(shared_.mutex);
      shared_.batches.push_back(std::move(batch));
    }
    shared_.wake.notify_one();
  }

  // What is durable is answered before it is told that publishing failed: the act goes ahead. A callback may
  // end the sink.
  void deliver() {
    char sink[256];
    while (::read(notified_.get(), sink, sizeof sink) == sizeof sink) {
    }
    std::vector<Answer> answers;
    std::optional<Error> broken;
    bool grown = false;
    {
      const std::lock_guard lock(shared_.mutex);
      answers.swap(shared_.answers);
      grown = std::exchange(published_, shared_.published) != shared_.published;
      broken = std::exchange(shared_.broken, std::nullopt);
    }
    const std::weak_ptr<const char> alive = alive_.watch();
    for (Answer& answer : answers) answer.done(std::move(answer.result));
    if (!alive.expired() && on_published_ && (grown || broken))
      on_published_(broken ? Result<>(std::unexpected(*broken)) : Result<>());
  }

  Shared shared_;
  uint64_t published_;
  Fd notified_;
  os::Loop::Watch watch_;
  std::move_only_function<void(Result<>)> on_published_;
  Alive alive_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<AuditSink>> run_audit_log(os::Loop& loop, audit::Log log) {
  Pipe pipe = SAW_TRY(Pipe::create());
  SAW_TRY(set_blocking(pipe.read, Blocking::no));
  SAW_TRY(set_blocking(pipe.write, Blocking::no));
  return std::unique_ptr<AuditSink>(std::make_unique<LogSink>(loop, std::move(log), std::move(pipe)));
}

Result<std::unique_ptr<AuditSink>> open_audit_log(os::Loop& loop, const std::string& directory,
                                                  std::string origin, std::string_view key_seed) {
  SigningKey key = SAW_TRY(SigningKey::from_seed(key_seed));
  return run_audit_log(loop, SAW_TRY(audit::Log::open(directory, std::move(origin), std::move(key))));
}

}  // namespace saw::control

#include "control/audit_writer.h"

#include "base/log.h"

namespace saw::control {
namespace {

constexpr size_t kLineOverhead = 2;  // of each entry in the log

class LogSink final : public AuditSink {
 public:
  explicit LogSink(audit::Log log) : log_(std::move(log)) {}
  Result<> append(std::span<const std::string> lines) override {
    SAW_TRY(log_.append(lines));
    return {};
  }
  uint64_t size() const override { return log_.size(); }

 private:
  audit::Log log_;
};

}  // namespace

Result<std::unique_ptr<AuditSink>> open_audit_log(const std::string& directory, std::string origin,
                                                  std::string_view key_seed) {
  SigningKey key = SAW_TRY(SigningKey::from_seed(key_seed));
  return std::unique_ptr<AuditSink>(
      std::make_unique<LogSink>(SAW_TRY(audit::Log::open(directory, std::move(origin), std::move(key)))));
}

Result<std::unique_ptr<AuditWriter>> AuditWriter::create(os::Loop& loop, Open open) {
  auto sink = SAW_TRY(open(), "opening the audit log");
  return std::unique_ptr<AuditWriter>(new AuditWriter(loop, std::move(open), std::move(sink)));
}

void AuditWriter::add(Pending pending) {
  if (!sink_ && (pending.kept == Kept::no || pending_.size() >= kMaxKept)) {
    if (pending.durable) pending.durable(Error::make("audit.unavailable", "the audit log cannot be written"));
    return;
  }
  pending_.push_back(std::move(pending));
  if (flush_scheduled_ || !sink_) return;
  flush_scheduled_ = true;
  flush_timer_ = loop_.after(0, [this] { flush(); });
}

// One append for all, unless there is more than an append takes: after an outage, or from a program that
// floods.
void AuditWriter::flush() {
  flush_scheduled_ = false;
  bool grown = false;
  while (sink_ && !pending_.empty()) {
    std::vector<std::string> lines;
    for (size_t bytes = 0; const Pending& pending : pending_) {
      bytes += pending.line.size() + kLineOverhead;
      if (!lines.empty() && bytes > audit::Log::kMaxBatchBytes) break;
      lines.push_back(pending.line);
    }
    if (auto appended = sink_->append(lines); !appended) {
      fail(appended.error());
      break;
    }
    grown = true;
    last_size_ = sink_->size();
    const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(lines.size());
    std::vector<Pending> written(std::make_move_iterator(pending_.begin()), std::make_move_iterator(end));
    pending_.erase(pending_.begin(), end);
    for (Pending& pending : written)
      if (pending.durable) pending.durable({});
  }
  if (grown && on_growth_) on_growth_();
}

void AuditWriter::fail(const Error& error) {
  log_error("audit log: {}; governed actions are refused until it can be written", error.message);
  sink_.reset();
  std::vector<Pending> kept, dropped;
  for (Pending& pending : std::exchange(pending_, {}))
    (pending.kept == Kept::yes ? kept : dropped).push_back(std::move(pending));
  pending_ = std::move(kept);
  reopen_timer_ = loop_.after(kReopenMs, [this] { reopen(); });
  for (Pending& pending : dropped)
    if (pending.durable)
      pending.durable(Error::make("audit.unavailable", "the audit log cannot be written: {}", error.message));
}

void AuditWriter::reopen() {
  auto sink = open_();
  if (!sink) {
    reopen_timer_ = loop_.after(kReopenMs, [this] { reopen(); });
    return;
  }
  sink_ = std::move(*sink);
  log_info("audit log: writable again");
  flush();
}

}  // namespace saw::control

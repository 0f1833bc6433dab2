#include "control/audit_writer.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"

namespace saw::control {
namespace {

constexpr size_t kLineOverhead = 2;  // of each entry in the log

}  // namespace

Result<std::unique_ptr<AuditWriter>> AuditWriter::create(os::Loop& loop, Open open) {
  auto sink = SAW_TRY(open(), "opening the audit log");
  std::unique_ptr<AuditWriter> writer(new AuditWriter(loop, std::move(open)));
  writer->use(std::move(sink));
  return writer;
}

void AuditWriter::use(std::unique_ptr<AuditSink> sink) {
  sink_ = std::move(sink);
  last_size_ = sink_->published();
  sink_->on_published([this](Result<> published) {
    if (!published) return fail(published.error());
    last_size_ = sink_->published();
    if (on_growth_) on_growth_();
  });
}

void AuditWriter::add(Pending pending) {
  if (!sink_ && (pending.kept == Kept::no || pending_.size() >= kMaxKept)) {
    if (pending.durable) pending.durable(Error::make("audit.unavailable", "the audit log cannot be written"));
    return;
  }
  ++taken_;
  pending_.push_back(std::move(pending));
  if (flush_scheduled_ || !sink_ || !under_way_.empty()) return;
  flush_scheduled_ = true;
  flush_timer_ = loop_.after(0, [this] { flush(); });
}

// One append for all, unless there is more than an append takes: after an outage, or from a program that
// floods.
void AuditWriter::flush() {
  flush_scheduled_ = false;
  if (!sink_ || pending_.empty() || !under_way_.empty()) return;
  std::vector<std::string> lines;
  for (size_t bytes = 0; const Pending& pending : pending_) {
    bytes += pending.line.size() + kLineOverhead;
    if (!lines.empty() && bytes > audit::Log::kMaxBatchBytes) break;
    lines.push_back(pending.line);
  }
  const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(lines.size());
  under_way_.assign(std::make_move_iterator(pending_.begin()), std::make_move_iterator(end));
  pending_.erase(pending_.begin(), end);
  sink_->append(std::move(lines),
                alive_.guard([this](Result<> durable) { on_appended(std::move(durable)); }));
}

void AuditWriter::on_appended(Result<> durable) {
  if (!durable) return fail(durable.error());
  std::vector<Pending> written = std::exchange(under_way_, {});
  written_ += written.size();
  for (Pending& pending : written)
    if (pending.durable) pending.durable({});
  flush();
  answer_readers();
}

void AuditWriter::when_readable(Reply<> done) {
  readers_.push_back({taken_, std::move(done)});
  answer_readers();
}

void AuditWriter::answer_readers() {
  std::vector<Reader> due;
  for (Reader& reader : readers_)
    if (!sink_ || reader.after <= written_) due.push_back(std::move(reader));
  std::erase_if(readers_, [](const Reader& reader) { return !reader.done; });
  for (Reader& reader : due) {
    if (!sink_) {
      reader.done({});
    } else {
      sink_->publish(alive_.guard(std::move(reader.done)));
    }
  }
}

void AuditWriter::fail(const Error& error) {
  if (!sink_) return;
  log_error("audit log: {}; governed actions are refused until it can be written", error.message);
  // The sink calls this: it goes after it has returned.
  loop_.post([gone = std::shared_ptr<AuditSink>(std::move(sink_))] {});
  std::vector<Pending> all = std::exchange(under_way_, {}), kept, dropped;
  std::ranges::move(std::exchange(pending_, {}), std::back_inserter(all));
  for (Pending& pending : all) (pending.kept == Kept::yes ? kept : dropped).push_back(std::move(pending));
  pending_ = std::move(kept);
  written_ += dropped.size();
  reopen_timer_ = loop_.after(kReopenMs, [this] { reopen(); });
  for (Pending& pending : dropped)
    if (pending.durable)
      pending.durable(Error::make("audit.unavailable", "the audit log cannot be written: {}", error.message));
  answer_readers();
}

void AuditWriter::reopen() {
  auto sink = open_();
  if (!sink) {
    reopen_timer_ = loop_.after(kReopenMs, [this] { reopen(); });
    return;
  }
  use(std::move(*sink));
  log_info("audit log: writable again");
  flush();
}

}  // namespace saw::control

#include "control/audit_intake.h"

#include "base/bytes.h"
#include "base/log.h"

namespace saw::control {

AuditIntake::AuditIntake(Plane& plane, std::string name, EventSource source, os::Channel channel,
                         std::move_only_function<void()> on_closed)
    : plane_(plane), name_(std::move(name)), source_(std::move(source)), on_closed_(std::move(on_closed)) {
  link_ =
      os::Link::open(plane.loop, std::move(channel),
                     {.on_message =
                          [this](std::string payload, std::vector<Fd>) {
                            auto message = wire::decode<egress::AuditMessage>(payload);
                            auto* record = message ? std::get_if<egress::AuditRecord>(&*message) : nullptr;
                            if (record)
                              take(std::move(*record));
                            else
                              find("audit-malformed", name_ + " sent something that is no audit record", {});
                          },
                      .on_close = [this](std::string) { on_closed_(); }});
}

void AuditIntake::take(egress::AuditRecord record) {
  if (record.sequence != last_ + 1)
    find("audit-gap",
         fmt::format("{} sent record {} after record {}: records are missing or repeated", name_,
                     record.sequence, last_),
         {});
  last_ = record.sequence;
  auto durable = alive_.guard([this, sequence = record.sequence](Result<> written) {
    if (written) acknowledge(sequence);
  });
  auto problem = event_problem(record.event, source_);
  if (!problem) return plane_.audit.record_kept(std::move(record.event), std::move(durable));
  find("audit-malformed",
       fmt::format("{} sent an event of {} bytes that is not taken: {}: {}", name_, record.event.size(),
                   *problem, printable(record.event, 80)),
       std::move(durable));
}

void AuditIntake::find(std::string kind, std::string message, Reply<> durable) {
  auto finding = event<audit::Finding>(plane_, {}, audit::Verdict::none, message);
  finding.title = std::move(message);
  finding.finding_kind = std::move(kind);
  plane_.audit.record_kept(audit::finding(finding), std::move(durable));
  if (++findings_ < kMaxFindings || !link_) return;
  log_error("{} sent {} malformed audit records; its audit link is closed", name_, findings_);
  plane_.loop.post(alive_.guard([this] {
    link_.reset();
    on_closed_();
  }));
}

// One acknowledgement for all that became durable in the same append.
void AuditIntake::acknowledge(uint64_t sequence) {
  if (durable_ == acknowledged_) {
    ack_timer_ = plane_.loop.after(0, [this] {
      acknowledged_ = durable_;
      if (link_) link_->send(wire::encode(egress::AuditMessage(egress::AuditAck{durable_})));
    });
  }
  durable_ = sequence;
}

}  // namespace saw::control

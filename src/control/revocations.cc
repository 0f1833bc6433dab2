#include "control/revocations.h"

#include "base/bytes.h"

namespace saw::control {

using identity::Revocable;

Result<> Revocations::load(store::Store& store) {
  for (const store::Revocation& revocation : SAW_TRY(store.revocations(), "reading what was revoked")) {
    const auto what = identity::parse_revocable(revocation.kind);
    if (!what)
      return Error::make("store.revocation", "the store revokes a '{}', which this program does not know",
                         printable(revocation.kind, 80));
    all_.emplace(*what, revocation.id);
  }
  ++epoch_;
  return {};
}

Result<> Revocations::add(Plane& plane, Revocable what, std::string_view id, const Reason& reason) {
  if (reason.why.size() > kMaxWhy) return Error::make("request.why", "a reason of at most {} bytes", kMaxWhy);
  const store::Revocation revocation{.kind = std::string(identity::name(what)),
                                     .id = std::string(id),
                                     .by = reason.by,
                                     .why = reason.why,
                                     .time = plane.clock.now()};
  auto stored = plane.store.add(revocation);
  if (all_.emplace(what, revocation.id).second) {
    ++epoch_;
    record(plane, revocation);
  }
  if (!stored)
    return std::unexpected(
        std::move(stored).error().within("it is revoked until SAW restarts, but this was not stored"));
  return {};
}

bool Revocations::contains(Revocable what, std::string_view id) const {
  return all_.contains({what, std::string(id)});
}

void Revocations::record(Plane& plane, const store::Revocation& r) {
  auto e = event<audit::ApiActivity>(plane, {.sponsor = r.by}, audit::Verdict::allowed,
                                     fmt::format("{}: revoke {} '{}'{}{}", r.by, r.kind, printable(r.id, 80),
                                                 r.why.empty() ? "" : ": ", printable(r.why)));
  e.activity = audit::ApiActivity::Activity::update;
  e.operation = fmt::format("{}.revoke", r.kind);
  e.object_kind = r.kind;
  e.object_id = r.id;
  plane.audit.record(audit::api_activity(e));
}

}  // namespace saw::control

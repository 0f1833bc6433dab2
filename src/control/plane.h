// What every part of the control plane stands on, by reference; built once (control.cc) and outlived by
// nothing that uses it.
//
//   auto e = event<audit::Lifecycle>(plane, who, audit::Verdict::allowed, "workspace 'dev' created");
//   e.object_kind = "workspace";
//   plane.audit.record(audit::lifecycle(e));
#pragma once

#include <string>
#include <utility>

#include "audit/event.h"
#include "base/clock.h"
#include "control/audit_writer.h"
#include "control/keys.h"
#include "control/node_client.h"
#include "egress/channel_who.h"
#include "os/loop.h"
#include "store/store.h"

namespace saw::control {

using egress::who;  // events name a channel's identity the same way on both sides

struct Plane {
  os::Loop& loop;
  const Clock& clock;
  store::Store& store;
  const Keys& keys;
  AuditWriter& audit;
  NodeClient& node;
  const std::string& proof_key;  // of saw-node, from its hello
};

template <class Event>
Event event(const Plane& plane, audit::Who who, audit::Verdict verdict, std::string message) {
  Event out;
  out.time = plane.clock.now();
  out.layer = audit::Layer::governance;
  out.verdict = verdict;
  out.who = std::move(who);
  out.message = std::move(message);
  return out;
}

}  // namespace saw::control

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
#include "egress/egress_protocol.h"
#include "os/loop.h"
#include "store/store.h"

namespace saw::control {

struct Plane {
  os::Loop& loop;
  const Clock& clock;
  store::Store& store;
  const Keys& keys;
  AuditWriter& audit;
  NodeClient& node;
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

inline audit::Who who(const egress::ChannelIdentity& id) {
  return {.sponsor = id.sponsor,
          .agent = id.agent,
          .agent_name = id.agent_name,
          .workspace = id.workspace,
          .workspace_name = id.workspace_name,
          .session = id.session,
          .call = id.call,
          .credential = id.credential_id,
          .trace = id.trace};
}

}  // namespace saw::control

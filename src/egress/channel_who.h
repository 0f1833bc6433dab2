// The identity of a channel as events name it.
#pragma once

#include "audit/event.h"
#include "egress/egress_protocol.h"

namespace saw::egress {

inline audit::Who who(const ChannelIdentity& id) {
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

}  // namespace saw::egress

// What every connection of this process needs, wired once by the Engine.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "egress/allowance.h"
#include "egress/audit_trail.h"
#include "egress/credentials.h"
#include "egress/dialer.h"
#include "egress/net.h"
#include "egress/review_desk.h"
#include "egress/tls.h"
#include "egress/tool_memory.h"
#include "egress/version_ages.h"
#include "os/shared_map.h"
#include "os/socket.h"
#include "os/splice.h"
#include "policy/policy.h"

namespace saw::egress {

// One Configure, checked and compiled. A request keeps the one it began with, hence shared.
struct Config {
  uint64_t epoch = 0;
  policy::Policy policy;
  // Shared by configurations with the same trust anchors: reading a system's bundle takes 80 ms, in which nothing
  // else would be decided.
  std::shared_ptr<const UpstreamTls> upstream;
  Digest upstream_source;
  LeafIssuer leaves;
  std::map<std::string, std::string> secrets, placeholders;
  // Every form of every credential that is long enough not to be a word: no answer shows one, whoever it is
  // for.
  std::vector<Needle> needles;
  static constexpr size_t kMinNeedle = 12;

  // `before`: the configuration that this one replaces, if there is one.
  static Result<std::shared_ptr<Config>> create(Configure message, const Clock& clock, const Config* before);
  Config(uint64_t e, policy::Policy p, LeafIssuer l);
  ~Config();  // wipes the secrets
  Config(const Config&) = delete;

  // The credential of that name if the entry may use it.
  const policy::Credential* credential(std::string_view name, std::string_view entry) const;
  // What counts for the agent at an entry; an entry that is not there says nothing of how much.
  Allowance::Subject subject(std::string_view agent, std::string_view entry) const;
  // The forms of a rendered credential, with what the agent sees instead.
  std::vector<Needle> needles_of(const policy::Credential& credential,
                                 const RenderedCredential& rendered) const;

 private:
  std::map<std::string, policy::Limits, std::less<>> limits_;  // by entry
};

// How many connections of agents the descriptors of this process allow: each may need one upstream, and a
// quarter is left for the channels, the links and what is being opened.
size_t affordable_connections();

// Where the operating system is asked; tests put their own in.
struct Seams {
  std::move_only_function<Result<os::SocketAddress>(int accepted)> original_destination =
      os::original_destination;
  size_t max_connections = affordable_connections();
};

struct Services {
  Net net;
  Seams seams;
  AuditTrail audit;
  ReviewDesk reviews;
  Dialer dialer;
  std::optional<os::SharedMap> ledger = {};  // before what counts in it
  Allowance allowance;
  os::PipePool pipes = {};
  std::shared_ptr<Config> config;  // null until the first Configure
  size_t connections = 0;          // of all channels
  ToolMemory tools;
  VersionAges ages;
};

}  // namespace saw::egress

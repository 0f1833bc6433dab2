// The policy of every benchmark's workspaces: the host's programs, the usual limits, no rule for the network.
#pragma once

namespace saw::bench {

constexpr const char* kBenchPolicy = R"(apiVersion: saw/v1
kind: Policy
metadata: {name: bench}
profile: local
isolation: namespace
filesystem:
  read: [/usr, /lib, /lib64, /bin, /sbin, /etc/alternatives, /etc/ssl]
  write: [/workspace, /home/agent, /tmp]
process:
  limits: {memory: 512MiB, pids: 128, openFiles: 512}
)";

}  // namespace saw::bench

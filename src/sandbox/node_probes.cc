#include "sandbox/node_probes.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/path.h"
#include "os/socket.h"
#include "os/udp.h"

namespace saw::sandbox {
namespace {

constexpr size_t kMaxStatus = 64u << 10;
constexpr size_t kMaxArrivals = 16;  // more is a surprise anyway

ProbeOutcome as_it_must_be() {
  return {};
}
ProbeOutcome differs(std::string detail) {
  return {.ending = Ending::differs, .detail = std::move(detail)};
}

std::vector<std::string> first_paths(const std::vector<std::string>& paths) {
  return {paths.begin(),
          paths.begin() + static_cast<ptrdiff_t>(std::min(paths.size(), ProbeSubject::kMaxPaths))};
}

// Of /proc/<pid>/status: what follows "name:" on its line, tabs as single spaces.
std::string status_field(const std::string& status, const std::string& name) {
  size_t at = status.starts_with(name + ":") ? 0 : status.find("\n" + name + ":");
  if (at == status.npos) return "?";
  at = status.find(':', at) + 1;
  std::string value = status.substr(at, status.find('\n', at) - at);
  std::ranges::replace(value, '\t', ' ');
  return value.starts_with(' ') ? value.substr(1) : value;
}

ProbeOutcome expect_field(const std::string& status, const char* name, const std::string& must_be) {
  const std::string is = status_field(status, name);
  if (is == must_be) return as_it_must_be();
  return differs(fmt::format("{} is {}", name, printable(is, 80)));
}

ProbeOutcome capabilities(const std::string& status) {
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    if (auto seen = expect_field(status, set, "0000000000000000"); seen.ending != Ending::done) return seen;
  return as_it_must_be();
}

ProbeOutcome identity(const std::string& status, const OutsideView& view) {
  auto seen = expect_field(status, "Uid", fmt::format("{0} {0} {0} {0}", view.uid));
  return seen.ending != Ending::done ? seen
                                     : expect_field(status, "Gid", fmt::format("{0} {0} {0} {0}", view.gid));
}

std::string namespace_of(const std::string& process, const char* kind) {
  char target[64];
  const ssize_t n = ::readlink(fmt::format("/proc/{}/ns/{}", process, kind).c_str(), target, sizeof target);
  return n > 0 ? std::string(target, static_cast<size_t>(n)) : "";
}

ProbeOutcome namespaces(const OutsideView& view) {
  for (const char* kind : {"mnt", "net", "pid", "ipc", "uts"}) {
    const std::string theirs = namespace_of(std::to_string(view.init_pid), kind),
                      ours = namespace_of("self", kind);
    if (theirs.empty() || ours.empty()) return differs(fmt::format("{}: unreadable", kind));
    if (theirs == ours) return differs(fmt::format("{}: the same as saw-node's", kind));
  }
  return as_it_must_be();
}

os::SocketAddress address_of(const ProbeDestination& destination) {
  constexpr size_t kMappedPrefix = 10, kMappedOnes = 2;
  os::SocketAddress out{.port = destination.port};
  if (::inet_pton(AF_INET6, destination.address, out.address.data()) == 1) return out;
  std::memset(out.address.data() + kMappedPrefix, 0xff, kMappedOnes);
  ::inet_pton(AF_INET, destination.address, out.address.data() + kMappedPrefix + kMappedOnes);
  return out;
}

bool was_done(const std::vector<ProbeOutcome>& outcomes, std::string_view id) {
  return std::ranges::any_of(outcomes, [&](const ProbeOutcome& outcome) {
    return outcome.probe < probe_list().size() && probe_list()[outcome.probe].id == id &&
           outcome.ending == Ending::done;
  });
}

// The probes' connections wait in the listener's queue. They are taken out, so that saw-egress never sees them.
ProbeOutcome connections(const OutsideView& view) {
  std::vector<os::SocketAddress> arrived;
  while (arrived.size() < kMaxArrivals) {
    const Fd accepted(::accept4(view.capture_listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (!accepted) break;
    auto meant = os::original_destination(accepted.get());
    if (!meant) return differs(meant.error().message);
    arrived.push_back(*meant);
  }
  std::vector<os::SocketAddress> expected;
  for (const ProbeDestination& destination : kProbeConnections)
    if (was_done(view.inside, destination.probe)) expected.push_back(address_of(destination));
  if (arrived == expected) return as_it_must_be();
  return differs(fmt::format("{} connections arrived, or elsewhere than meant", arrived.size()));
}

ProbeOutcome questions(const OutsideView& view) {
  size_t asked = 0, other = 0;
  while (asked + other < kMaxArrivals) {
    auto got = os::receive_datagram(view.dns_socket->get());
    if (!got) return differs(got.error().message);
    if (!*got) break;
    const bool ours = (*got)->data == kProbeQuestion && (*got)->local == address_of(kProbeResolver);
    ++(ours ? asked : other);
  }
  if (asked == 1 && other == 0) return as_it_must_be();
  return differs(fmt::format("{} questions as asked, {} others", asked, other));
}

ProbeOutcome look_at(std::string_view id, const std::string& status, const OutsideView& view) {
  constexpr std::string_view kUnused = "outside.";
  id.remove_prefix(kUnused.size());
  if (id == "capabilities") return capabilities(status);
  if (id == "no_new") return expect_field(status, "NoNewPrivs", "1");
  if (id == "filter") return expect_field(status, "Seccomp", "2");
  if (id == "identity") return identity(status, view);
  if (id == "namespaces") return namespaces(view);
  if (id == "limits") return view.limits ? as_it_must_be() : differs(view.limits.error().message);
  if (id == "connections") return connections(view);
  if (id == "questions") return questions(view);
  return differs("saw-node does not know this probe");
}

}  // namespace

ProbeSubject probe_subject(const SandboxPlan& plan, const ProbeHost& host) {
  ProbeSubject out{.captured = plan.network == Network::captured,
                   .landlock = host.landlock,
                   .first = true,
                   .uid = host.uid,
                   .gid = host.gid,
                   .open_files = plan.limits.open_files,
                   .file_size_bytes = plan.limits.file_size_bytes,
                   .write_paths = first_paths(plan.write_paths),
                   .deny_paths = first_paths(plan.deny_paths),
                   .outside_paths = first_paths(host.own_directories),
                   .outside_socket = host.control_socket,
                   .abstract_socket = host.abstract_socket};
  std::vector<std::string> written = plan.write_paths, read_only = plan.read_paths;
  for (const HostMount& mount : plan.mounts)
    (mount.access == Access::write ? written : read_only).push_back(mount.target);
  // A write path or a mount takes the place of what the image has there, and a denied path is probed for itself.
  std::erase_if(read_only, [&](const std::string& path) {
    auto covers = [&](const std::string& other) { return is_within(path, other); };
    return std::ranges::any_of(written, covers) || std::ranges::any_of(plan.deny_paths, covers);
  });
  out.read_paths = first_paths(read_only);
  for (const GeneratedFile& file : plan.files)
    if (out.generated_files.size() < ProbeSubject::kMaxPaths) out.generated_files.push_back(file.path);
  return out;
}

std::vector<ProbeOutcome> probe_from_outside(const ProbeSubject& subject, const OutsideView& view) {
  const std::string status =
      read_file(fmt::format("/proc/{}/status", view.init_pid), kMaxStatus).value_or("");
  std::vector<ProbeOutcome> out;
  for (size_t i = 0; i < probe_list().size(); ++i) {
    const Probe& probe = probe_list()[i];
    if (probe.where != Where::outside || !applies(probe, subject)) continue;
    out.push_back(look_at(probe.id, status, view));
    out.back().probe = static_cast<uint16_t>(i);
  }
  return out;
}

Result<> judge(const ProbeSubject& subject, const std::vector<ProbeOutcome>& outcomes) {
  constexpr const char* kCode = "sandbox.unproven";
  size_t next = 0;
  for (size_t i = 0; i < probe_list().size(); ++i) {
    const Probe& probe = probe_list()[i];
    if (!applies(probe, subject)) continue;
    if (next == outcomes.size() || outcomes[next].probe != i)
      return Error::make(kCode, "probe '{}' ({}) was not answered", probe.id, probe.what);
    const ProbeOutcome& outcome = outcomes[next++];
    if (!is_expected(probe, outcome))
      return Error::make(kCode, "probe '{}' ({}): expected {}, saw {} {}", probe.id, probe.what,
                         probe.expected, text_of(outcome),
                         printable(outcome.detail, ProbeOutcome::kMaxDetail));
  }
  if (next != outcomes.size())
    return Error::make(kCode, "{} answers that nobody asked for", outcomes.size() - next);
  return {};
}

Result<AbstractWitness> AbstractWitness::open() {
  std::string name = random_id("saw-witness-");
  sockaddr_un address{.sun_family = AF_UNIX};
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (!listener || ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener.get(), 1) != 0)
    return Error::system("node.witness", "listening on an abstract socket");
  return AbstractWitness(std::move(name), std::move(listener));
}

void ProvenPlans::add(const std::string& digest) {
  if (!digests_.insert(digest).second) return;
  order_.push_back(digest);
  if (order_.size() <= kMax) return;
  digests_.erase(order_.front());
  order_.pop_front();
}

}  // namespace saw::sandbox

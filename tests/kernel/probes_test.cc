// R117: every sandbox is probed before its first command, and each probe can fail.
#include "saw-init/probes.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "harness.h"
#include "os/capability.h"
#include "os/netlink.h"
#include "os/sandbox_syscalls.h"
#include "os/unix_path.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;
using sandbox::Ending;
using sandbox::ProbeOutcome;
using testing::HasSubstr;

std::vector<ProbeOutcome> all_outcomes(TestHost& host, const sandbox::SandboxPlan& plan, TestSandbox& box,
                                       sandbox::ProbeSubject& subject) {
  subject = host.subject(plan, box);
  std::vector<ProbeOutcome> outcomes = box.probes(subject);
  for (ProbeOutcome& outcome : host.outside(subject, plan, box, outcomes))
    outcomes.push_back(std::move(outcome));
  return outcomes;
}

std::string surprises(const std::vector<ProbeOutcome>& outcomes) {
  std::string out;
  for (const ProbeOutcome& outcome : outcomes) {
    const sandbox::Probe& probe = sandbox::probe_list()[outcome.probe];
    if (!sandbox::is_expected(probe, outcome))
      out += fmt::format("{}: expected {}, saw {} {}\n", probe.id, probe.expected, sandbox::text_of(outcome),
                         outcome.detail);
  }
  return out;
}

class ProbesAt : public testing::TestWithParam<Depth> {
 protected:
  TestHost host;
};
INSTANTIATE_TEST_SUITE_P(Depths, ProbesAt, testing::Values(Depth::workspace, Depth::session, Depth::call),
                         [](const auto& info) {
                           return std::string(
                               std::array{"workspace", "session", "call"}[static_cast<int>(info.param)]);
                         });

TEST_P(ProbesAt, a_sound_sandbox_passes_every_one) {
  sandbox::SandboxPlan plan = host.plan(GetParam());
  plan.deny_paths = {"/usr/share/doc", "/workspace/later"};
  plan.limits.open_files = 512;
  plan.limits.pids = 64;
  TestSandbox box = host.start(plan);
  sandbox::ProbeSubject subject;
  const auto outcomes = all_outcomes(host, plan, box, subject);
  EXPECT_EQ(surprises(outcomes), "");
  auto judged = sandbox::judge(subject, outcomes);
  EXPECT_TRUE(judged) << judged.error().message;
  EXPECT_GE(outcomes.size(), 40u);
  EXPECT_EQ(box.probe({"fork"}), "ok");
  if (std::getenv("SAW_SHOW_PROBES"))
    for (const ProbeOutcome& o : outcomes)
      fmt::print("{:32} {:10} {}\n", sandbox::probe_list()[o.probe].id, sandbox::text_of(o), o.detail);
}

// ---- the same attempts where guards are missing

enum class Lacks : uint8_t {
  guards,      // root with every capability, the host's files, namespaces of its own without a filter in them
  namespaces,  // the host's own network and processes
  everything,  // an empty root, no network: nothing works
  processes,   // not one process more may start
  own_sockets,  // a system call filter that refuses what programs need
};

std::vector<uint16_t> inside(const std::set<std::string_view>& only = {}) {
  std::vector<uint16_t> out;
  for (size_t i = 0; i < sandbox::probe_list().size(); ++i)
    if (const sandbox::Probe& probe = sandbox::probe_list()[i];
        probe.where == sandbox::Where::inside && (only.empty() || only.contains(probe.id)))
      out.push_back(static_cast<uint16_t>(i));
  return out;
}

// Becomes PID 1 of namespaces of its own.
void enter_own_namespaces() {
  SAW_CHECK(::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) == 0);
  const pid_t first = ::fork();
  if (first > 0) {
    ::waitpid(first, nullptr, 0);
    ::_exit(0);
  }
  SAW_CHECK(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  SAW_CHECK(::mount("proc", "/proc", "proc", 0, nullptr) == 0);
}

void prepare(Lacks lacks, const std::string& empty) {
  if (lacks == Lacks::namespaces) return;
  enter_own_namespaces();
  if (lacks == Lacks::guards) {
    SAW_CHECK(os::make_every_address_local(os::Families::ipv4_and_ipv6).has_value());
    SAW_CHECK(::mount("none", empty.c_str(), "tmpfs", 0, nullptr) == 0);
    ::fcntl(::open("/dev/null", O_RDONLY), F_SETFD, 0);  // a descriptor that a command would inherit
  }
  if (lacks == Lacks::everything) {
    SAW_CHECK(::chroot(empty.c_str()) == 0 && ::chdir("/") == 0);
  }
  if (lacks == Lacks::processes) {
    const rlimit itself{1, 1};
    SAW_CHECK(::setrlimit(RLIMIT_NPROC, &itself) == 0 && os::become(kTestUid, kTestUid) == 0);
  }
  if (lacks == Lacks::own_sockets) {
    std::vector<os::SyscallRule> rules = os::sandbox_syscalls();
    std::erase_if(rules,
                  [](const os::SyscallRule& rule) { return std::string_view(rule.name) == "socketpair"; });
    SAW_CHECK(os::set_no_new_privileges() == 0);
    SAW_CHECK(os::load_seccomp(os::compile_seccomp(rules, os::Verdict::unknown)) == 0);
  }
}

// What saw-init's own code finds in a process that lacks something.
std::vector<ProbeOutcome> outcomes_without(Lacks lacks, const sandbox::ProbeSubject& subject,
                                           const std::vector<uint16_t>& probes, const std::string& empty) {
  Pipe pipe = std::move(*Pipe::create());
  const pid_t child = ::fork();
  if (child == 0) {
    prepare(lacks, empty);
    const std::string report =
        wire::encode_struct(sandbox::ProbeReport{1, init::run_probes(subject, probes)});
    SAW_CHECK(write_all(pipe.write, report).has_value());
    ::_exit(0);
  }
  pipe.write.reset();
  const std::string report = read_all(pipe.read, 1u << 20).value();
  ::waitpid(child, nullptr, 0);
  return wire::decode_struct<sandbox::ProbeReport>(report).value().outcomes;
}

bool host_has_network() {
  struct if_nameindex* list = ::if_nameindex();
  const bool more_than_one = list[0].if_index != 0 && list[1].if_index != 0;
  ::if_freenameindex(list);
  return more_than_one;
}

// A kernel without these tables of system calls refuses by itself what the filter would.
const std::set<std::string_view> kRefusedByMostKernels = {"kernel.i386", "kernel.x32"};

TEST(ProbesWithoutGuards, every_probe_meets_a_surprise_somewhere) {
  if (rootless()) GTEST_SKIP() << "an ordinary user cannot take the guards away";
  TestHost host;
  const std::string state = host.agent_directory("state"), denied = host.agent_directory("denied"),
                    empty = host.agent_directory("empty");
  ASSERT_TRUE(replace_file(state + "/file", "x", 0644, Durability::none));
  TestSandbox box = host.start(Depth::call);
  sandbox::ProbeSubject subject = host.subject(host.plan(Depth::call), box);
  subject.uid = subject.gid = kTestUid;
  subject.open_files = subject.file_size_bytes = 123;
  subject.write_paths = {"/nowhere"};
  subject.read_paths = {state};
  subject.generated_files = {state + "/file"};
  subject.deny_paths = {denied, denied + "/later"};
  subject.outside_paths = {state};

  std::set<std::string_view> met;
  auto look = [&](Lacks lacks, const std::vector<uint16_t>& probes) {
    for (const ProbeOutcome& outcome : outcomes_without(lacks, subject, probes, empty))
      if (const sandbox::Probe& probe = sandbox::probe_list()[outcome.probe];
          !sandbox::is_expected(probe, outcome))
        met.insert(probe.id);
  };
  look(Lacks::guards, inside());
  look(Lacks::namespaces,
       inside({"processes.first", "processes.nobody_else", "network.abstract", "network.interfaces"}));
  look(Lacks::everything,
       inside({"files.writable", "files.scratch", "files.ordinary_devices", "files.own_process",
               "network.loopback", "network.names", "processes.execute"}));
  look(Lacks::processes, inside({"processes.fork"}));
  look(Lacks::own_sockets, inside({"network.unix"}));
  for (const uint16_t position : inside()) {
    const std::string_view id = sandbox::probe_list()[position].id;
    if (id == "network.interfaces" && !host_has_network()) continue;
    if (!kRefusedByMostKernels.contains(id)) EXPECT_TRUE(met.contains(id)) << id << " cannot fail";
  }
}

// ---- looking from outside

std::string unexpected_ids(const std::vector<ProbeOutcome>& outcomes) {
  std::string out;
  for (const ProbeOutcome& outcome : outcomes)
    if (const sandbox::Probe& probe = sandbox::probe_list()[outcome.probe];
        !sandbox::is_expected(probe, outcome))
      out += std::string(probe.id) + " ";
  return out;
}

TEST(ProbesFromOutside, an_unconfined_process_in_place_of_saw_init_shows_in_each) {
  if (rootless()) GTEST_SKIP() << "an ordinary user's processes have the agent's uid and no control group";
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.limits.pids = 64;
  TestSandbox box = host.start(plan);
  const sandbox::ProbeSubject subject = host.subject(plan, box);
  // saw-init says that it connected, and nothing arrived.
  std::vector<ProbeOutcome> made;
  for (const uint16_t position : inside({"network.tcp", "network.tcp6", "network.tcp_metadata"}))
    made.push_back({.probe = position});
  const pid_t nobody = ::fork();
  if (nobody == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto outcomes = sandbox::probe_from_outside(
      subject, {.inside = made,
                .init_pid = nobody,
                .uid = kTestUid,
                .gid = kTestUid,
                .capture_listener = &box.launched().capture_listener,
                .dns_socket = &box.launched().dns_socket,
                .limits = host.launcher().check_limits(box.launched().cgroup, plan.limits, nobody, {})});
  ::kill(nobody, SIGKILL);
  ::waitpid(nobody, nullptr, 0);
  EXPECT_EQ(
      unexpected_ids(outcomes),
      "outside.capabilities outside.no_new outside.filter outside.identity outside.namespaces outside.limits "
      "outside.connections outside.questions ");
}

TEST(ProbesFromOutside, a_connection_too_many_is_seen_and_taken_away) {
  TestHost host;
  const sandbox::SandboxPlan plan = host.plan(Depth::call);
  TestSandbox box = host.start(plan);
  const sandbox::ProbeSubject subject = host.subject(plan, box);
  const auto inside_outcomes = box.probes(subject);
  EXPECT_EQ(box.probe({"connect", "192.0.2.1", "443"}), "ok");
  EXPECT_THAT(unexpected_ids(host.outside(subject, plan, box, inside_outcomes)),
              HasSubstr("outside.connections"));
  // None of them is left for saw-egress.
  EXPECT_EQ(::accept4(box.launched().capture_listener.get(), nullptr, nullptr, SOCK_CLOEXEC), -1);
  EXPECT_EQ(errno, EAGAIN);
}

// ---- what a probe may cost

TEST(Probes, a_surprise_costs_no_other_probe_its_answer) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  TestSandbox box = host.start(plan);
  sandbox::ProbeSubject subject = host.subject(plan, box);
  const std::string victim = "/workspace/open-to-all";
  ASSERT_EQ(box.probe({"write", victim}), "ok");
  subject.generated_files = {victim};
  const auto outcomes = box.probes(subject);
  EXPECT_EQ(unexpected_ids(outcomes), "files.generated files.through_link ");
  EXPECT_EQ(box.probe({"fork"}), "ok");
}

TEST(Probes, nothing_of_them_is_left) {
  TestHost host;
  const sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  TestSandbox box = host.start(plan);
  const auto outcomes = box.probes(host.subject(plan, box));
  EXPECT_EQ(surprises(outcomes), "");
  for (const char* directory : {"/workspace", "/home/agent", "/tmp", "/dev/shm"})
    EXPECT_EQ(box.run({"find", directory, "-name", ".saw-probe-*"}).output, "") << directory;
  EXPECT_EQ(box.run({"bash", "-c", "ls -d /proc/[0-9]*"}).output.find("/proc/3\n"), std::string::npos);
}

TEST(Probes, the_agents_own_files_and_commands_do_not_disturb_a_second_round) {
  TestHost host;
  const sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  TestSandbox box = host.start(plan);
  sandbox::ProbeSubject subject = host.subject(plan, box);
  EXPECT_EQ(surprises(box.probes(subject)), "");
  auto running = box.start({"/probe/kernel_probe", "sleep"});
  ASSERT_EQ(box.run({"bash", "-c", "chmod 0555 /workspace; ln -s /usr /tmp/usr; mkdir /tmp/.saw-probe-x"})
                .how.wait_status,
            0);
  subject.first = false;
  const auto outcomes = box.probes(subject);
  EXPECT_EQ(surprises(outcomes), "");
  EXPECT_EQ(box.probe({"kill", std::to_string(running.pid), "0"}), "ok");
}

TEST(Probes, one_that_hangs_is_ended_and_the_rest_go_on) {
  TestHost host;
  const std::string path = host.directory() + "/full.sock";
  const Fd server = os::listen_unix(path, os::SocketKind::seqpacket, 0600).value();
  ASSERT_EQ(::listen(server.get(), 0), 0);
  const Fd waiting = os::connect_unix(path, os::SocketKind::seqpacket).value();  // the queue is full now
  sandbox::ProbeSubject subject;
  subject.outside_socket = path;
  const auto outcomes = init::run_probes(subject, inside({"files.host_socket", "files.own_process"}));
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(sandbox::text_of(outcomes[0]), "hung");
  EXPECT_EQ(sandbox::text_of(outcomes[1]), "ok");
}

// Not a test: --gtest_also_run_disabled_tests prints what a round costs.
TEST(Probes, DISABLED_cost) {
  constexpr int kSandboxes = 60;
  TestHost host;
  std::vector<double> rounds, looks;
  for (int i = 0; i < kSandboxes; ++i) {
    const sandbox::SandboxPlan plan = host.plan(i % 2 ? Depth::session : Depth::workspace);
    TestSandbox box = host.start(plan);
    const sandbox::ProbeSubject subject = host.subject(plan, box);
    auto now = [] { return std::chrono::steady_clock::now(); };
    const auto start = now();
    const auto inside = box.probes(subject);
    const auto answered = now();
    const auto outside = host.outside(subject, plan, box, inside);
    looks.push_back(std::chrono::duration<double, std::milli>(now() - answered).count());
    rounds.push_back(std::chrono::duration<double, std::milli>(answered - start).count());
    EXPECT_EQ(surprises(inside) + surprises(outside), "");
  }
  std::ranges::sort(rounds);
  std::ranges::sort(looks);
  fmt::print(
      "probes inside: median {:.2f} ms, p95 {:.2f} ms; from outside: median {:.2f} ms, p95 {:.2f} ms; n = "
      "{}\n",
      rounds[kSandboxes / 2], rounds[kSandboxes * 95 / 100], looks[kSandboxes / 2],
      looks[kSandboxes * 95 / 100], kSandboxes);
}

}  // namespace
}  // namespace saw::kernel_test

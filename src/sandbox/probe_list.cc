#include "sandbox/probe_list.h"

#include <cstring>

namespace saw::sandbox {
namespace {

using enum Where;
using enum When;

// Where two refusals are given, either of two independent guards may come first: a read-only mount (EROFS) and Landlock or
// permissions (EACCES). ENOENT: not shown at all.
constexpr Probe kProbes[] = {
    // ---- files
    {"files.create", inside, always,
     "create a file in /, /etc, /dev, /run, /sys, /root and in every read path", "EROFS EACCES",
     "what a plan shows for reading is never written"},
    {"files.symlink", inside, always, "create a symbolic link there", "EROFS EACCES",
     "a link planted in a system directory"},
    {"files.rename", inside, always, "rename a name that is not there, there", "EROFS EACCES",
     "the mount refuses before it looks; without it this would be ENOENT"},
    {"files.remove", inside, always, "remove a name that is not there, there", "EROFS EACCES",
     "the mount refuses before it looks; without it this would be ENOENT"},
    {"files.mode", inside, always, "set the mode of those directories to what it is", "EROFS EPERM EACCES",
     "attributes are content too"},
    {"files.generated", inside, always, "open SAW's own files in /etc for writing", "EROFS EACCES",
     "names, resolver and certificates are not the agent's to change"},
    {"files.through_link", inside, always, "write to such a file through a symbolic link in /tmp",
     "EROFS EACCES", "a link leads no further than its own path would"},
    {"files.host_state", inside, always, "find SAW's own directories of the host", "ENOENT EACCES",
     "other workspaces' files, keys and sockets lie there"},
    {"files.host_state_up", inside, always, "find them through a link with many '..'", "ENOENT EACCES",
     "the sandbox's root is where '..' ends"},
    {"files.host_socket", inside, always, "connect to the sandbox's own control socket on the host",
     "ENOENT EACCES", "whoever reaches it speaks to saw-init as saw-node"},
    {"files.password_hashes", inside, always, "read /etc/shadow and /etc/gshadow", "ENOENT EACCES EPERM",
     "an image's /etc may be shown, its secrets not"},
    {"files.sysfs", inside, always, "find /sys/kernel and /sys/fs/cgroup", "ENOENT EACCES",
     "/sys is an empty directory"},
    {"files.kernel_settings", inside, always,
     "open kernel settings in /proc/sys and sysrq-trigger for writing", "EROFS EACCES EPERM ENOENT",
     "they are the host's"},
    {"files.kernel_memory", inside, always, "read /proc/kcore, keys, kallsyms and kmsg",
     "ENOENT EACCES EPERM", "what the kernel shows of itself"},
    {"files.init_memory", inside, always,
     "open saw-init's memory, environment, maps and descriptors in /proc/1", "ENOENT EACCES EPERM",
     "its control socket lies there"},
    {"files.init_root", inside, always, "go through /proc/1/root and /proc/1/cwd", "ENOENT EACCES EPERM",
     "a way around every path rule"},
    {"files.devices", inside, always, "find mem, kmsg, port, kvm, fuse, tun, loop and disk devices in /dev",
     "ENOENT", "only null, zero, full, random, urandom and tty are there"},
    {"files.denied", inside, denied, "open the paths that the policy denies", "EACCES ENOENT EPERM ENOTDIR",
     "hidden even where a parent is listed"},
    {"files.denied_create", inside, denied, "create them", "EEXIST EROFS EACCES ENOENT EPERM ENOTDIR",
     "what is not there yet cannot appear"},
    {"files.device_node", inside, always, "make a device node in /tmp", "EPERM",
     "a device node is the device"},
    {"files.set_user_id", inside, always, "set the set-user-ID bit of an own file", "EPERM",
     "in a shared directory it would lend the agent's uid"},
    {"files.whiteout", inside, always, "rename with RENAME_WHITEOUT", "EPERM",
     "a whiteout hides a file from lists of changes"},
    {"files.handles", inside, always, "open a file by handle", "EPERM", "a handle leads out of every mount"},
    {"files.writable", inside, always, "create, write and remove a file in every write path",
     "ok ENOSPC EDQUOT", "benign twin: a sandbox in which nothing works would pass every refusal"},
    {"files.scratch", inside, always, "the same in /tmp and /dev/shm", "ok ENOSPC", "benign twin"},
    {"files.ordinary_devices", inside, always, "write /dev/null, read /dev/urandom", "ok", "benign twin"},
    {"files.own_process", inside, always, "read /proc/self/status", "ok", "benign twin"},
    // ---- network
    {"network.raw", inside, always, "open raw sockets of IPv4 and IPv6", "EPERM", "forged packets"},
    {"network.packet", inside, always, "open a packet socket", "EPERM", "packets below every filter"},
    {"network.icmp", inside, always, "open ICMP sockets", "EPERM", "a channel that nothing judges"},
    {"network.sctp", inside, always, "open SCTP sockets", "EPERM", "a channel that nothing judges"},
    {"network.families", inside, always,
     "open sockets of the families alg, vsock, smc, can, xdp, bluetooth, tipc", "EPERM",
     "attack surface, and vsock leads to the host"},
    {"network.netlink", inside, always, "open netlink sockets of audit, netfilter, xfrm, uevent, generic",
     "EPERM", "only listing addresses is for programs"},
    {"network.configure", inside, always, "add an address to an interface", "EPERM",
     "the network's shape is SAW's"},
    {"network.layer_on_tcp", inside, always, "put another protocol on a TCP socket", "EPERM",
     "kernel TLS and its kin"},
    {"network.interfaces", inside, always, "list the network interfaces", "ok", "there is lo, and no other"},
    {"network.abstract", inside, always, "connect to an abstract socket that saw-node holds open on the host",
     "ECONNREFUSED EPERM", "abstract names do not cross network namespaces"},
    {"network.udp", inside, captured, "send a datagram to 192.0.2.1:443", "EPERM",
     "datagrams go to the answerer of names only"},
    {"network.udp6", inside, captured, "send a datagram to [2001:db8::1]:443",
     "EPERM ENETUNREACH EAFNOSUPPORT EADDRNOTAVAIL", "the same for IPv6, which a host may not have"},
    {"network.udp_metadata", inside, captured, "send a datagram to 169.254.169.254:80", "EPERM",
     "the metadata service of clouds"},
    {"network.capture_port", inside, captured, "take over the port of the capture listener",
     "EACCES EADDRINUSE", "whoever has it reads everybody's connections"},
    {"network.name_port", inside, captured, "take over port 53", "EACCES EADDRINUSE", "forged answers"},
    {"network.tcp", inside, captured_first, "connect to 192.0.2.1:443, an address that no host has", "ok",
     "it must arrive at SAW's listener: see outside.connections"},
    {"network.tcp6", inside, captured_first, "connect to [2001:db8::1]:443",
     "ok ENETUNREACH EAFNOSUPPORT EADDRNOTAVAIL", "the same for IPv6, which a host may not have"},
    {"network.tcp_metadata", inside, captured_first, "connect to 169.254.169.254:80", "ok",
     "the same for the metadata address"},
    {"network.names", inside, captured_first, "ask a resolver at 192.0.2.53:53", "ok",
     "it must arrive at SAW's socket: see outside.questions"},
    {"network.no_route", inside, no_network, "connect to 192.0.2.1:443 and 169.254.169.254:80", "ENETUNREACH",
     "there is no network at all"},
    {"network.loopback", inside, always, "listen and connect on 127.0.0.1", "ok",
     "benign twin: test servers work"},
    {"network.unix", inside, always, "make a pair of Unix sockets", "ok", "benign twin"},
    // ---- processes
    {"processes.first", inside, always, "ask who the parent is", "ok",
     "saw-init is PID 1 of its own namespace: no signal from inside reaches it"},
    {"processes.nobody_else", inside, first, "list the processes in /proc", "ok",
     "no process of the host or of another sandbox"},
    {"processes.trace_init", inside, always, "trace saw-init", "EPERM",
     "it lives on the agent's side, out of its hands"},
    {"processes.read_init", inside, always, "read saw-init's memory", "EPERM", "the same"},
    {"processes.take_descriptor", inside, always, "copy a descriptor of saw-init", "EPERM", "the same"},
    {"processes.compare", inside, always, "compare kernel objects with saw-init's", "EPERM",
     "leaks kernel addresses"},
    {"processes.limit_init", inside, always, "ask for saw-init's limits", "EPERM",
     "the call that reads them would set them too"},
    {"processes.descriptors", inside, always, "look for descriptors that a command would inherit", "ok",
     "none but its own three"},
    {"processes.fork", inside, always, "start a process: the one that tries all this", "ok", "benign twin"},
    {"processes.execute", inside, always, "execute a program that was written to /tmp", "ok ENOSPC",
     "benign twin: builds work"},
    // ---- privilege
    {"privilege.capabilities", inside, always, "read all five capability sets", "ok", "every one is empty"},
    {"privilege.no_new", inside, always, "read no_new_privs", "ok",
     "set: a set-user-ID program gains nothing"},
    {"privilege.filter", inside, always, "read the seccomp mode", "ok", "2: a filter is loaded"},
    {"privilege.identity", inside, always, "read uids, gids and groups", "ok",
     "the agent's own, and no other group"},
    {"privilege.become_root", inside, always, "become uid 0 or gid 0", "EPERM EINVAL",
     "EINVAL: there is no such id here"},
    {"privilege.groups", inside, always, "join the group 0", "EPERM", "groups open files"},
    {"privilege.raise", inside, always, "raise capabilities", "EPERM", "none is permitted"},
    {"privilege.user_namespace", inside, always, "make a user namespace by unshare", "EPERM",
     "inside one, an attacker has all capabilities and the kernel's least tested code"},
    {"privilege.clone_namespace", inside, always, "make one by clone", "EPERM", "the same by another call"},
    {"privilege.clone3", inside, always, "call clone3", "ENOSYS",
     "its flags lie in memory, where no filter looks"},
    {"privilege.namespaces", inside, always, "make mount, network, pid, ipc, uts and cgroup namespaces",
     "EPERM", "the same"},
    {"privilege.enter", inside, always, "enter a namespace", "EPERM", "the same"},
    {"privilege.mount", inside, always, "mount a tmpfs on /tmp", "EPERM",
     "mounts are how paths are confined"},
    {"privilege.remount", inside, always, "make / writable", "EPERM", "the same"},
    {"privilege.unmount", inside, always, "unmount /proc", "EPERM", "the same"},
    {"privilege.mount_by_descriptor", inside, always, "use open_tree, fsopen, move_mount and mount_setattr",
     "EPERM", "the same by newer calls"},
    {"privilege.change_root", inside, always, "chroot and pivot_root", "EPERM", "the same"},
    {"privilege.host_name", inside, always, "set the host name", "EPERM", "configuration"},
    // ---- the kernel's corners
    {"kernel.io_uring", inside, always, "set up io_uring", "EPERM", "system calls that no filter sees"},
    {"kernel.bpf", inside, always, "load a BPF program", "EPERM", "code in the kernel"},
    {"kernel.page_faults", inside, always, "open userfaultfd", "EPERM", "wins races inside the kernel"},
    {"kernel.keys", inside, always, "use key rings", "EPERM", "they are shared beyond namespaces"},
    {"kernel.perf", inside, always, "open a performance counter", "EPERM", "sees other processes"},
    {"kernel.modules", inside, always, "load or remove a module", "EPERM", "code in the kernel"},
    {"kernel.kexec", inside, always, "load another kernel", "EPERM", "code in the kernel"},
    {"kernel.reboot", inside, always, "reboot, with wrong magic numbers", "EPERM", "the host's"},
    {"kernel.swap", inside, always, "switch swapping", "EPERM", "the host's"},
    {"kernel.accounting", inside, always, "switch process accounting", "EPERM", "the host's"},
    {"kernel.clock", inside, always, "set or adjust the clock", "EPERM",
     "the host's; proofs and credentials tell time by it"},
    {"kernel.quota", inside, always, "change quotas", "EPERM", "the host's"},
    {"kernel.log", inside, always, "read the kernel's log", "EPERM", "addresses, and what others do"},
    {"kernel.file_events", inside, always, "open fanotify", "EPERM", "sees other processes' files"},
    {"kernel.personality", inside, always, "make readable memory executable", "EPERM",
     "undoes a defence of every program"},
#if defined(__x86_64__)
    {"kernel.ports", inside, always, "ask for I/O ports and descriptor tables", "EPERM", "hardware"},
    {"kernel.x32", inside, always, "make an x32 system call", "ENOSYS", "another table of calls"},
#endif
    {"kernel.unknown", inside, always, "make a call that the filter does not list (remap_file_pages)",
     "ENOSYS", "the filter is a list of what is allowed"},
    // ---- terminals
    {"terminal.type_ahead", inside, always, "TIOCSTI", "EPERM",
     "types commands into whoever reads the terminal"},
    {"terminal.type_ahead_wide", inside, always, "TIOCSTI with the upper half of the number set", "EPERM",
     "the kernel looks at 32 bits"},
    {"terminal.console", inside, always, "TIOCLINUX", "EPERM", "pastes into the console"},
    {"terminal.discipline", inside, always, "TIOCSETD", "EPERM", "attack surface"},
    // ---- limits
    {"limits.core", inside, always, "read the limit of core dumps", "ok",
     "1: a crash starts no program of the host (core(5))"},
    {"limits.core_kept", inside, always, "set it to 0", "EPERM", "0 would start it"},
    {"limits.open_files", inside, always, "read the limit of open files", "ok", "the plan's"},
    {"limits.file_size", inside, always, "read the limit of file sizes", "ok", "the plan's"},
// ---- last, because they change or end the process that tries them
#if defined(__x86_64__)
    {"kernel.i386", inside, always, "make a 32-bit system call", "ENOSYS signal-11 signal-31",
     "another table of calls"},
#endif
    {"kernel.landlock", inside, When::landlock, "stack Landlock rulesets until the kernel refuses", "E2BIG",
     "of sixteen, one is enforced already; were there none, all sixteen would fit"},
    // ---- looked at by saw-node, which need not believe saw-init for it
    {"outside.capabilities", outside, always, "read saw-init's capability sets", "ok", "every one is empty"},
    {"outside.no_new", outside, always, "read saw-init's no_new_privs", "ok", "set"},
    {"outside.filter", outside, always, "read saw-init's seccomp mode", "ok", "2: a filter is loaded"},
    {"outside.identity", outside, always, "read saw-init's uids and gids", "ok", "the agent's"},
    {"outside.namespaces", outside, always,
     "compare mount, network, pid, ipc and uts namespaces with saw-node's", "ok", "each is another"},
    {"outside.limits", outside, always, "look for saw-init in its control groups and read their limits", "ok",
     "memory, processes and processor time are the plan's"},
    {"outside.connections", outside, captured_first, "accept what arrived at the capture listener", "ok",
     "exactly the connections that were made, each with the destination that was meant"},
    {"outside.questions", outside, captured_first, "receive what arrived at the DNS socket", "ok",
     "exactly the one question, at the address that was asked"},
};

bool has_word(std::string_view list, std::string_view word) {
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

std::span<const Probe> probe_list() {
  return kProbes;
}

bool applies(const Probe& probe, const ProbeSubject& subject) {
  switch (probe.when) {
    case When::always:
      return true;
    case When::captured:
      return subject.captured;
    case When::captured_first:
      return subject.captured && subject.first;
    case When::no_network:
      return !subject.captured;
    case When::landlock:
      return subject.landlock;
    case When::denied:
      return !subject.deny_paths.empty();
    case When::first:
      return subject.first;
  }
  return true;
}

std::string text_of(const ProbeOutcome& outcome) {
  switch (outcome.ending) {
    case Ending::done:
      return "ok";
    case Ending::refused: {
      const char* name = ::strerrorname_np(outcome.number);
      return name ? name : "errno-" + std::to_string(outcome.number);
    }
    case Ending::killed:
      return "signal-" + std::to_string(outcome.number);
    case Ending::hung:
      return "hung";
    case Ending::differs:
      return "differs";
  }
  return "?";
}

bool is_expected(const Probe& probe, const ProbeOutcome& outcome) {
  return has_word(probe.expected, text_of(outcome));
}

}  // namespace saw::sandbox

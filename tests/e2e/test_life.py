"""Life cycle and the three timescales: points 1 to 4 of the slice."""
import os, pathlib, signal, time, unittest

import setup_path  # noqa: F401
from support.case import POLICY, SawCase, wait_for

NOTHING = {"processes": {}, "mounts": [], "sockets": []}


class UpAndDown(SawCase):
    policy = None

    def setUp(self):
        self.saw.ok("up")

    def test_a_second_up_changes_nothing(self):
        before = self.saw.programs("saw-node"), self.saw.programs("sawd"), self.saw.programs("saw-perimeter")
        self.saw.ok("up")
        self.assertEqual(before, (self.saw.programs("saw-node"), self.saw.programs("sawd"), self.saw.programs("saw-perimeter")))
        self.assertEqual([len(pids) for pids in before], [1, 1, 1])

    def test_status_tells_what_runs(self):
        status = self.saw.json("status")
        self.assertEqual((status["state"], status["rootless"]), ("ready", self.saw.user.uid != 0))
        running = {p["name"] for p in status["programs"] if p["state"] == "running"}
        self.assertLessEqual({"sawd", "saw-node", "saw-perimeter"}, running)

    def test_down_leaves_nothing_and_status_says_so(self):
        self.saw.workspace("leaver")
        self.assertTrue(self.saw.programs("saw-init"))
        self.assertTrue(self.saw.programs("saw-egress"))
        self.saw.ok("down")
        self.assertEqual(self.saw.residue(), NOTHING)
        self.assertEqual(self.saw("status").returncode, 1)
        self.assertEqual(self.saw("down").returncode, 0)

    def test_it_is_ready_in_under_a_second_or_two_on_a_shared_machine(self):
        self.saw.ok("down")
        began = time.monotonic()
        self.saw.ok("up")
        self.assertLess(time.monotonic() - began, 3.0)


class Workspace(SawCase):
    def test_it_is_another_world_than_the_host(self):
        for name in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
            self.assertNotEqual(self.sh("exec", f"readlink /proc/self/ns/{name}").strip(), os.readlink(f"/proc/self/ns/{name}"), name)

    def test_the_system_is_read_only_and_its_own_places_are_not(self):
        self.sh("exec", "touch /usr/x || exit 7", status=7)
        self.sh("exec", "echo x >> /etc/passwd || exit 7", status=7)
        self.sh("exec", "touch /workspace/x /home/agent/x /tmp/x")

    def test_it_is_an_ordinary_user_without_privileges(self):
        out = self.sh("exec", "id -u; grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd):' /proc/self/status")
        self.assertNotEqual(out.splitlines()[0], "0")
        fields = dict(line.split(":\t") for line in out.splitlines()[1:])
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"))
        self.assertEqual((int(fields["CapEff"], 16), int(fields["CapBnd"], 16)), (0, 0))

    def test_what_it_writes_survives_stop_start_and_a_daemon_restart(self):
        self.sh("exec", "echo kept > /workspace/kept")
        self.saw.ok("workspace", "stop", "dev")
        self.saw.ok("workspace", "start", "dev")
        self.assertEqual(self.sh("exec", "cat /workspace/kept"), "kept\n")
        self.saw.ok("down")
        self.saw.ok("up")
        self.saw.ok("workspace", "start", "dev")
        self.assertEqual(self.sh("exec", "cat /workspace/kept"), "kept\n")

    def test_a_background_process_goes_on_with_nobody_attached(self):
        self.sh("exec", "rm -f /workspace/ticks; setsid sh -c 'while :; do echo t >> /workspace/ticks; sleep 0.1; done' >/dev/null 2>&1 </dev/null & echo $! > /workspace/pid")
        first = int(self.sh("exec", "sleep 0.3; wc -l < /workspace/ticks"))
        later = int(self.sh("exec", "sleep 0.5; wc -l < /workspace/ticks"))
        self.assertGreater(later, first)
        self.sh("exec", "kill $(cat /workspace/pid)")

    def test_a_command_that_does_not_exist_is_told_apart(self):
        self.assertIn(self.saw("exec", "dev", "--", "/nonexistent").returncode, (126, 127))
        self.assertNotEqual(self.saw("exec", "no-such-workspace", "--", "true").returncode, 0)


class Session(SawCase):
    def test_it_sees_the_workspaces_files_and_leaves_nothing_behind(self):
        self.sh("exec", "echo from-workspace > /workspace/shared")
        self.saw.ok("session", "start", "dev", "--name", "s1")
        self.assertEqual(self.sh("session exec", "cat /workspace/shared", where="s1"), "from-workspace\n")
        self.sh("session exec", "echo new > /workspace/made; echo changed > /workspace/shared; setsid sleep 600 >/dev/null 2>&1 </dev/null &", where="s1")
        self.assertEqual(self.sh("session exec", "cat /workspace/made", where="s1"), "new\n")
        changes = {c["path"]: c["kind"] for c in self.saw.json("session", "diff", "s1")["changes"]}
        self.assertEqual(changes.get("/workspace/made"), "added")
        self.assertEqual(changes.get("/workspace/shared"), "changed")
        self.saw.ok("session", "end", "s1")
        self.assertEqual(self.sh("exec", "cat /workspace/shared; ls /workspace"), "from-workspace\nshared\n")
        self.assertNotEqual(self.saw("session", "exec", "s1", "--", "true").returncode, 0)

    def test_a_deletion_is_part_of_the_diff_and_is_undone_at_the_end(self):
        self.sh("exec", "mkdir -p /workspace/d && echo x > /workspace/d/victim")
        self.saw.ok("session", "start", "dev", "--name", "s2")
        self.sh("session exec", "rm /workspace/d/victim", where="s2")
        changes = {c["path"]: c["kind"] for c in self.saw.json("session", "diff", "s2")["changes"]}
        self.assertEqual(changes.get("/workspace/d/victim"), "deleted")
        self.saw.ok("session", "end", "s2")
        self.assertEqual(self.sh("exec", "cat /workspace/d/victim; rm -r /workspace/d"), "x\n")


class Call(SawCase):
    def test_each_call_starts_clean(self):
        self.sh("run", "touch /workspace/trace /tmp/trace /dev/shm/trace")
        self.assertEqual(self.sh("run", "ls /workspace/trace /tmp/trace /dev/shm/trace 2>/dev/null; true"), "")

    def test_stdin_stdout_stderr_and_status_are_passed_on(self):
        done = self.saw("run", "dev", "--", "sh", "-c", "cat; echo err >&2; exit 42", input="through\n")
        self.assertEqual((done.stdout, done.stderr.strip().splitlines()[-1:], done.returncode), ("through\n", ["err"], 42))

    def test_much_output_arrives_whole(self):
        self.assertEqual(len(self.sh("run", "head -c 5000000 /dev/zero | tr '\\0' x")), 5_000_000)

    def test_a_signal_reaches_the_command_and_its_status_comes_back(self):
        self.sh("run", "kill -TERM $$", status=128 + signal.SIGTERM)
        running = self.saw.popen("run", "dev", "--", "sh", "-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done")
        self.assertEqual(running.stdout.readline(), "ready\n")
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=20)
        self.assertEqual((out, running.returncode), ("caught\n", 5))

    def await_end_of(self, name):
        """Of every process of that name. Parked sandboxes come and go meanwhile."""
        wait_for(f"the end of every {name}", lambda: name not in self.saw.residue()["processes"].values())

    def test_a_timeout_kills_the_command_with_all_its_descendants(self):
        began = time.monotonic()
        done = self.saw("run", "--timeout", "1s", "dev", "--", "sh", "-c", "setsid sleep 600 & sleep 600 & sleep 600")
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(done.returncode, 137, done.stderr)
        self.await_end_of("sleep")

    def test_a_call_leaves_no_process_behind_even_a_detached_one(self):
        self.sh("run", "setsid sleep 600 >/dev/null 2>&1 </dev/null & true")
        self.await_end_of("sleep")

    def test_a_fork_bomb_and_a_full_scratch_hurt_only_the_call(self):
        self.saw("run", "--timeout", "10s", "dev", "--", "sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 2", timeout=60)
        self.saw("run", "--timeout", "10s", "dev", "--", "sh", "-c", "head -c 3g /dev/zero > /tmp/full", timeout=60)
        self.assertEqual(self.sh("run", "echo fine"), "fine\n")


if __name__ == "__main__":
    unittest.main()

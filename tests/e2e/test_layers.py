"""Forks, snapshots and rebuilding, by the command line: what is shared, what is apart, what is gone."""
import os, time, unittest

import setup_path  # noqa: F401
from support.case import SawCase


class Forks(SawCase):
    def fork(self, name, *options):
        self.saw.ok("workspace", "fork", "dev", name, *options)
        self.addCleanup(self.saw, "workspace", "decommission", name)

    def test_a_fork_has_the_files_as_its_own_and_each_side_goes_its_own_way(self):
        self.sh("exec", "mkdir -p /workspace/a && echo one > /workspace/a/f && chmod 600 /workspace/a/f")
        self.fork("second")
        self.assertEqual(self.sh("exec", "cat /workspace/a/f; echo two > /workspace/a/f", where="second"), "one\n")
        self.assertEqual(self.sh("exec", "cat /workspace/a/f; rm -r /workspace/a"), "one\n")
        self.assertEqual(self.sh("exec", "cat /workspace/a/f; stat -c %U /workspace/a/f", where="second"), "two\nagent\n")
        self.assertEqual(self.sh("run", "cat /workspace/a/f; id -un", where="second"), "two\nagent\n")

    def test_a_fork_outlives_the_first_and_leaves_nothing_when_it_goes_too(self):
        layers = self.saw.state / "node" / "layers"
        before = len(os.listdir(layers))
        self.saw.workspace("source")
        self.sh("exec", "echo kept > /workspace/kept", where="source")
        self.saw.ok("workspace", "fork", "source", "copy")
        self.saw.ok("workspace", "decommission", "source")
        self.assertEqual(self.sh("exec", "cat /workspace/kept", where="copy"), "kept\n")
        self.saw.ok("workspace", "decommission", "copy")
        self.assertEqual(len(os.listdir(layers)), before)
        self.assertEqual(os.listdir(self.saw.state / "node" / "trash"), [])

    def test_what_runs_is_ended_only_with_stop(self):
        self.sh("exec", "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo started")
        refused = self.saw("workspace", "fork", "dev", "refused")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("--stop", refused.stderr)
        self.assertEqual(self.sh("exec", "ps -e -o comm= 2>/dev/null | grep -c sleep || cat /proc/[0-9]*/comm | grep -c sleep").strip(), "1")
        self.fork("allowed", "--stop")
        self.sh("exec", "cat /proc/[0-9]*/comm | grep -q sleep && exit 7; exit 0")

    def test_a_stranger_cannot_name_what_is_not_there(self):
        self.assertEqual(self.saw("workspace", "fork", "nobody", "x").returncode, 1)
        self.assertEqual(self.saw("workspace", "fork", "dev", "../x").returncode, 2)
        self.assertEqual(self.saw("workspace", "fork", "dev").returncode, 2)

    def test_a_session_goes_on_when_its_workspace_is_forked(self):
        self.sh("exec", "echo base > /workspace/base")
        self.saw.ok("session", "start", "dev", "--name", "on")
        self.addCleanup(self.saw, "session", "end", "dev/on")
        self.sh("session exec", "echo s > /workspace/s; setsid sleep 600 >/dev/null 2>&1 </dev/null &", where="dev/on")
        self.fork("beside")
        self.assertEqual(self.sh("session exec", "cat /workspace/s /workspace/base; cat /proc/[0-9]*/comm | grep -c sleep", where="dev/on"),
                         "s\nbase\n1\n")

    def test_a_forked_session_has_what_the_first_wrote_and_tells_all_of_it(self):
        self.sh("exec", "echo base > /workspace/base")
        self.saw.ok("session", "start", "dev", "--name", "one")
        self.addCleanup(self.saw, "session", "end", "dev/one")
        self.sh("session exec", "echo 1 > /workspace/new; echo changed > /workspace/base", where="dev/one")
        self.saw.ok("session", "fork", "dev/one", "two")
        self.addCleanup(self.saw, "session", "end", "dev/two")
        self.sh("session exec", "cat /workspace/new; rm /workspace/new; echo 2 > /workspace/second", where="dev/two")
        changes = {c["path"]: c["kind"] for c in self.saw.json("session", "diff", "dev/two")["changes"] if c["type"] == "file"}
        self.assertEqual(changes, {"/workspace/base": "changed", "/workspace/second": "added"})
        self.assertEqual(self.sh("session exec", "cat /workspace/new", where="dev/one"), "1\n")
        self.assertEqual(self.sh("exec", "cat /workspace/base"), "base\n")

    def test_a_session_commits_into_a_forked_workspace_and_what_it_was_forked_from_keeps_its_files(self):
        self.saw.workspace("origin")
        self.sh("exec", "mkdir -p d/deep gone && echo old > d/deep/f && echo old > gone/f && echo old > same", where="origin")
        self.saw.ok("workspace", "fork", "origin", "fork")
        self.addCleanup(self.saw, "workspace", "decommission", "origin")
        self.addCleanup(self.saw, "workspace", "decommission", "fork")
        session = self.saw.ok("session", "start", "fork").strip()
        self.sh("session exec", "echo new > d/deep/f; rm -r gone; mkdir gone; echo new > gone/g; rm same; mkdir same; chmod 700 d", where=session)
        done = self.saw.json("session", "commit", session, "--yes")
        self.assertEqual(done["conflicts"], [])
        look = "cat d/deep/f; find gone same -type f; stat -c '%a %U' d"
        self.assertEqual(self.sh("exec", look, where="fork"), "new\ngone/g\n700 agent\n")
        self.assertEqual(self.sh("run", look, where="fork"), "new\ngone/g\n700 agent\n")
        self.assertEqual(self.sh("session exec", look, where=session), "new\ngone/g\n700 agent\n")
        self.assertEqual(self.sh("exec", look, where="origin"), "old\ngone/f\nsame\n755 agent\n")
        # What the workspace did meanwhile is a conflict, here as in one that was never forked.
        self.sh("session exec", "echo session > d/deep/f", where=session)
        self.sh("exec", "echo workspace > d/deep/f", where="fork")
        refused = self.saw("session", "commit", session, "--yes")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("d/deep/f", refused.stdout + refused.stderr)
        self.assertEqual(self.sh("exec", "cat d/deep/f", where="fork"), "workspace\n")

    def test_a_commit_into_a_fork_ends_what_runs_there_only_with_stop(self):
        self.sh("exec", "echo base > /workspace/busy")
        self.fork("busy")
        session = self.saw.ok("session", "start", "busy").strip()
        self.sh("session exec", "echo new > busy", where=session)
        self.sh("exec", "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo started", where="busy")
        refused = self.saw("session", "commit", session, "--yes")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("--stop", refused.stderr)
        self.saw.ok("session", "commit", session, "--yes", "--stop")
        self.assertEqual(self.sh("exec", "cat busy", where="busy"), "new\n")

    def test_a_hook_is_released_into_a_workspace_that_was_snapshot(self):
        self.saw.workspace("hooked")
        self.addCleanup(self.saw, "workspace", "decommission", "hooked")
        self.sh("exec", "mkdir -p h/.git/hooks", where="hooked")
        self.saw.ok("workspace", "snapshot", "hooked", "--name", "before")
        session = self.saw.ok("session", "start", "hooked").strip()
        self.sh("session exec", "echo x > h/.git/hooks/pre-commit; echo work > h/a", where=session)
        review, = self.saw.json("session", "commit", session, "--yes")["reviews"]
        self.sh("exec", "cat h/a; test ! -e h/.git/hooks/pre-commit", where="hooked")
        self.saw.ok("review", "approve", review)
        self.sh("exec", "test -e h/.git/hooks/pre-commit", where="hooked")
        # What goes with a rebuilt workspace is not asked about any more.
        self.sh("session exec", "echo y > h/.git/hooks/post-commit", where=session)
        self.assertEqual(len(self.saw.json("session", "commit", session, "--yes")["reviews"]), 1)
        self.saw.ok("workspace", "rebuild", "hooked", "--snapshot", "before")
        self.assertEqual(self.saw.json("review", "list")["reviews"], [])

    def test_forks_survive_a_restart_of_the_daemon(self):
        self.sh("exec", "echo r > /workspace/r")
        self.fork("restarted")
        self.saw.ok("down")
        self.saw.ok("up")
        for name in ("dev", "restarted"):
            self.saw.ok("workspace", "start", name)
            self.assertEqual(self.sh("exec", "cat /workspace/r", where=name), "r\n")


class Rebuild(SawCase):
    def test_nothing_that_was_left_to_run_later_is_there_afterwards(self):
        self.sh("exec", "echo 'touch /tmp/evil' > /home/agent/.profile; mkdir -p /workspace/.git/hooks; echo x > /workspace/.git/hooks/pre-commit")
        self.saw.ok("session", "start", "dev", "--name", "s")
        self.saw.ok("workspace", "rebuild", "dev")
        self.assertEqual(self.sh("exec", "find /workspace /home/agent -mindepth 1"), "")
        self.assertEqual(self.saw.json("session", "list", "dev")["sessions"], [])
        self.assertEqual(os.listdir(self.saw.state / "node" / "trash"), [])

    def test_a_snapshot_brings_back_what_was_good(self):
        self.sh("exec", "echo good > /workspace/f")
        self.saw.ok("workspace", "snapshot", "dev", "--name", "clean")
        self.sh("exec", "echo bad > /workspace/f; echo worse > /workspace/g")
        self.assertEqual([s["name"] for s in self.saw.json("workspace", "snapshot", "dev", "--list")["snapshots"]], ["clean"])
        self.saw.ok("workspace", "rebuild", "dev", "--snapshot", "clean")
        self.assertEqual(self.sh("exec", "cat /workspace/f; ls /workspace"), "good\nf\n")
        self.assertEqual(self.saw("workspace", "rebuild", "dev", "--snapshot", "absent").returncode, 1)
        self.assertEqual(self.sh("exec", "cat /workspace/f"), "good\n")
        self.saw.ok("workspace", "snapshot", "dev", "--remove", "clean")
        self.assertEqual(self.saw.json("workspace", "snapshot", "dev", "--list")["snapshots"], [])


class Cost(SawCase):
    FILES, ROUNDS = int(os.environ.get("SAW_FORK_FILES", "2000")), int(os.environ.get("SAW_FORK_ROUNDS", "3"))

    def test_a_fork_costs_the_same_however_many_files_there_are(self):
        def median_ms():
            times = []
            for i in range(self.ROUNDS):
                began = time.monotonic()
                self.saw.ok("workspace", "fork", "dev", f"copy-{i}")
                times.append((time.monotonic() - began) * 1000)
                self.saw.ok("workspace", "decommission", f"copy-{i}")
            return sorted(times)[len(times) // 2]
        empty = median_ms()
        self.sh("exec", f"mkdir /workspace/many && cd /workspace/many && seq {self.FILES} | split -l 1 -a 4 - f")
        full = median_ms()
        print(f"fork by the command line, median of {self.ROUNDS}: empty {empty:.0f} ms, {self.FILES} files {full:.0f} ms")
        self.assertLess(full, empty * 2 + 300)


if __name__ == "__main__":
    unittest.main()

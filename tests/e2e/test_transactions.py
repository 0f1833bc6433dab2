"""Files as transactions: what a session or a kept call wrote is shown, committed or discarded (R119)."""
import json, os, re, signal, time, unittest

import setup_path  # noqa: F401
from support.case import SawCase, rounds, wait_for


class Transactions(SawCase):
    workspace = "dev"

    def setUp(self):
        self.session = self.saw.ok("session", "start", self.workspace).strip()

    def tearDown(self):
        self.saw("session", "end", self.session)

    def inside(self, script, status=0):
        return self.run_sh(("session", "exec", self.session), script, status)

    def below(self, script, status=0):
        return self.run_sh(("exec", self.workspace), script, status)

    def run_sh(self, command, script, status):
        done = self.saw(*command, "--", "sh", "-ec", script)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def diff(self):
        return self.saw.json("session", "diff", self.session)

    def changes(self):
        return {c["path"]: c["kind"] for c in self.diff()["changes"] if c["path"].startswith("/workspace/")}

    def test_what_a_session_wrote_is_shown_committed_and_in_the_workspace(self):
        self.below("mkdir -p a; echo one > a/changed; echo x > a/gone; echo keep > a/mode; echo moved > a/from; echo same > a/same")
        self.restart()
        self.inside("""echo two >> a/changed; rm a/gone; chmod 600 a/mode; mv a/from a/to; mkdir new; echo n > new/file
            ln -s ../a new/link; : >> a/same; printf 'x\\0y' > new/binary""")
        self.assertEqual(self.changes(), {
            "/workspace/a/changed": "changed", "/workspace/a/gone": "deleted", "/workspace/a/mode": "changed",
            "/workspace/a/from": "deleted", "/workspace/a/to": "added", "/workspace/new": "added",
            "/workspace/new/file": "added", "/workspace/new/link": "added", "/workspace/new/binary": "added"})
        by_path = {c["path"]: c for c in self.diff()["changes"]}
        self.assertEqual(by_path["/workspace/a/to"]["renamed_from"], "/workspace/a/from")
        self.assertEqual(by_path["/workspace/a/mode"]["after"]["mode"], "0600")
        lines = self.saw.ok("session", "diff", self.session, "--lines", "a/changed")
        self.assertIn("+two", lines)
        self.assertNotIn("new/file", lines)
        self.assertIn("/workspace/new/file", self.saw.ok("session", "diff", self.session, "--name-only").splitlines())
        self.assertIn("binary", self.saw.ok("session", "diff", self.session, "--stat", "new/binary"))
        self.assertEqual(self.below("cat a/changed"), "one\n", "nothing reached the workspace before the commit")
        root = self.diff()["root"]
        self.assertEqual(self.saw.json("session", "commit", self.session, "--root", root)["root"], root)
        self.assertEqual(self.below("cat a/changed a/to new/file; test ! -e a/gone; test ! -e a/from; stat -c %a a/mode; readlink new/link"),
                         "one\ntwo\nmoved\nn\n600\n../a\n")
        self.assertEqual(self.changes(), {}, "the session goes on, with nothing of its own")
        self.inside("echo three >> a/changed; cat a/changed")
        self.saw.ok("session", "commit", self.session, "--yes")
        self.assertEqual(self.below("cat a/changed"), "one\ntwo\nthree\n")

    def restart(self):
        """A new session: what the workspace wrote before it is older than it."""
        self.saw.ok("session", "end", self.session)
        self.session = self.saw.ok("session", "start", self.workspace).strip()

    def test_a_conflict_is_refused_whole_and_names_every_path(self):
        self.below("echo old > both; echo old > also; echo old > mine")
        self.restart()
        self.inside("echo s > both; echo s > also; echo s > mine; echo s > fresh")
        self.below("echo w > both; echo w > also")
        done = self.saw("session", "commit", self.session, "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/workspace/both", done.stderr)
        self.assertIn("/workspace/also", done.stderr)
        self.assertNotIn("/workspace/mine", done.stderr)
        self.assertEqual(self.below("cat both also mine; test ! -e fresh"), "w\nw\nold\n")
        self.assertEqual(self.inside("cat mine"), "s\n", "the session still has its own")

    def test_a_root_that_is_no_longer_true_is_refused(self):
        self.inside("echo reviewed > f")
        root = self.diff()["root"]
        self.inside("echo swapped > f")
        done = self.saw("session", "commit", self.session, "--root", root)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not the ones that were shown", done.stderr)
        self.below("test ! -e f")
        self.saw.ok("session", "commit", self.session, "--root", self.diff()["root"])
        self.assertEqual(self.below("cat f"), "swapped\n")

    def test_a_running_command_is_not_ended_unless_told(self):
        sleeper = self.saw.popen("session", "exec", self.session, "--", "sh", "-ec", "echo x > f2; sleep 1000")
        try:
            wait_for("the command", lambda: "/workspace/f2" in self.changes())
            for what in ("commit", "discard"):
                done = self.saw("session", what, self.session, *(["--yes"] if what == "commit" else []))
                self.assertEqual(done.returncode, 1)
                self.assertIn("a command runs in session", done.stderr)
            self.saw.ok("session", "commit", self.session, "--yes", "--stop")
            self.assertEqual(self.below("cat f2"), "x\n")
            self.assertEqual(sleeper.wait(20), 137)
        finally:
            sleeper.kill()
            sleeper.communicate()

    def test_discard_forgets_and_the_session_goes_on(self):
        self.inside("echo x > dropped")
        self.saw.ok("session", "discard", self.session)
        self.assertEqual(self.changes(), {})
        self.inside("test ! -e dropped; echo again > dropped")
        self.below("test ! -e dropped")

    def test_special_files_do_not_pass(self):
        self.inside("mkfifo pipe; echo x > beside")
        done = self.saw("session", "commit", self.session, "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/workspace/pipe", done.stderr)
        self.below("test ! -e beside")
        self.inside("rm pipe")
        self.saw.ok("session", "commit", self.session, "--yes")
        self.assertEqual(self.below("cat beside"), "x\n")

    def test_a_file_that_draws_on_the_terminal_is_shown_as_text(self):
        self.inside("printf '\\033[31mred\\342\\200\\256evil\\n' > escape; touch \"$(printf 'na\\033[2Jme')\"")
        for way in ("--lines", "--stat", "--name-only", None):
            shown = self.saw.ok("session", "diff", self.session, *([way] if way else []))
            self.assertNotIn("\x1b", shown)
            self.assertNotIn("\u202e", shown)
        self.assertIn("\\x1b[31mred", self.saw.ok("session", "diff", self.session, "--lines"))

    def test_a_kept_call_is_shown_committed_and_gone(self):
        done = self.saw("run", "--keep", self.workspace, "--", "sh", "-ec", "echo kept > kept-file")
        self.assertEqual(done.returncode, 0, done.stderr)
        kept = re.search(r"kept as (c-\w+)", done.stderr).group(1)
        states = {s["name"]: s["state"] for s in self.saw.json("session", "list", self.workspace)["sessions"]}
        self.assertEqual(states[kept], "kept")
        self.assertIn("/workspace/kept-file", self.saw.ok("session", "diff", kept, "--name-only"))
        self.below("test ! -e kept-file")
        self.saw.ok("session", "commit", kept, "--yes")
        self.assertEqual(self.below("cat kept-file"), "kept\n")
        self.assertNotIn(kept, self.saw.ok("session", "list", self.workspace))

    def test_a_kept_call_is_discarded(self):
        done = self.saw("run", "--keep", self.workspace, "--", "sh", "-ec", "echo kept > unwanted")
        kept = re.search(r"kept as (c-\w+)", done.stderr).group(1)
        self.saw.ok("session", "discard", kept)
        self.assertNotIn(kept, self.saw.ok("session", "list", self.workspace))
        self.below("test ! -e unwanted")

    def test_commits_and_discards_are_in_the_audit_log(self):
        self.inside("echo x > audited")
        root = self.diff()["root"]
        self.saw.ok("session", "commit", self.session, "--yes")
        self.saw.ok("session", "discard", self.session)
        events = [json.loads(line) for line in self.saw.ok("--json", "audit", "query").splitlines() if line]
        text = json.dumps(events)
        self.assertIn("session.commit", text)
        self.assertIn("session.discard", text)
        self.assertIn(root, text)


class Killed(SawCase):
    """kill -9 in the middle of a commit: all of it is in the workspace afterwards, or nothing. SAW_KILL_ROUNDS repeats it."""
    FILES = 1500

    def sh_in(self, command, script):
        done = self.saw(*command, "--", "sh", "-ec", script, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def recovered(self):
        wait_for("recovery", lambda: self.saw("up").returncode == 0 and self.saw("exec", "dev", "--", "true").returncode == 0, 30)

    def kill_while_committing(self, delay, victim):
        directory = f"/workspace/r{self.round}"
        session = self.saw.ok("session", "start", "dev").strip()
        self.sh_in(("session", "exec", session), f"mkdir {directory}; i=0; while [ $i -lt {self.FILES} ]; do echo $i > {directory}/$i; i=$((i+1)); done")
        committing = self.saw.popen("session", "commit", session, "--yes")
        time.sleep(delay)
        for pid in victim(self.saw.programs("saw-node")):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        committing.communicate(timeout=60)
        self.recovered()
        below = int(self.sh_in(("exec", "dev"), f"ls {directory} 2>/dev/null | wc -l"))
        self.assertIn(below, (0, self.FILES))
        def left():
            shown = self.saw("--json", "session", "diff", session)
            return shown.returncode == 0 and json.loads(shown.stdout)
        paths = [c["path"] for c in wait_for("the diff", left)["changes"] if c["path"].startswith(directory + "/")]
        self.assertEqual(len(paths), self.FILES - below)
        self.saw.ok("session", "end", session)
        return below > 0

    def test_saw_node_and_its_worker_are_killed_at_any_moment(self):
        outcomes = set()
        self.round = 0
        for _ in range(rounds("SAW_KILL_ROUNDS", 1)):
            for delay in (0.1, 0.25, 0.5):
                for name, victim in (("all", lambda pids: pids), ("worker", lambda pids: pids[1:])):
                    self.round += 1
                    with self.subTest(delay=delay, victim=name):
                        outcomes.add(self.kill_while_committing(delay, victim))
        self.assertIn(True, outcomes)


if __name__ == "__main__":
    unittest.main()

"""What is recorded, and in whose name: points 7 and 8 of the slice."""
import json, os, pathlib, re, shutil, subprocess, sys, tempfile, unittest

import setup_path  # noqa: F401
from support.case import SawCase


def ours(event, name):
    return event.get("unmapped", {}).get("saw", {}).get(name, "")


class Audit(SawCase):
    def test_each_step_leaves_an_event_that_names_who_and_what(self):
        self.sh("run", "true")
        self.saw.ok("session", "start", "dev", "--name", "s")
        self.saw.ok("session", "end", "s")
        events = self.saw.events()
        kinds = {e["class_uid"] for e in events}
        self.assertLessEqual({1007, 3002, 6002}, kinds)  # process, authentication, life cycle
        for process in (e for e in events if e["class_uid"] == 1007):
            for field in ("workspace", "agent", "sponsor"):
                self.assertTrue(ours(process, field), (field, process))

    def test_the_log_verifies_and_reads_like_sentences(self):
        self.sh("run", "true")
        self.assertEqual(self.saw("audit", "verify").returncode, 0)
        lines = self.saw.ok("audit", "tail").splitlines()
        self.assertTrue(lines)
        self.assertTrue(all(" " in line and not line.lstrip().startswith("{") for line in lines), lines[:3])

    def test_a_changed_byte_is_found_and_located(self):
        self.sh("run", "true")
        self.saw.ok("down")
        entries = [p for p in sorted((self.saw.state / "control" / "audit").rglob("*")) if p.is_file() and "entries" in str(p)]
        self.assertTrue(entries, "no entry bundle in the audit directory")
        content = bytearray(entries[0].read_bytes())
        at = content.index(b"saw")
        content[at] ^= 0x20
        entries[0].write_bytes(content)
        done = self.saw("audit", "verify", "--dir", self.saw.state)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, r"entry \d+")
        content[at] ^= 0x20  # and the benign twin
        entries[0].write_bytes(content)
        self.assertEqual(self.saw("audit", "verify", "--dir", self.saw.state).returncode, 0)
        self.saw.ok("up")


class Proofs(SawCase):
    """What `saw audit prove` gives holds before somebody who has neither SAW nor the log."""

    def check(self, *arguments):
        key = json.loads(self.saw.ok("audit", "verify", "--json"))["public_key"]
        with tempfile.TemporaryDirectory() as folder:
            os.chown(folder, self.saw.user.uid, self.saw.user.gid)
            self.saw.ok("audit", "prove", *arguments, "-o", folder + "/proof")
            script = pathlib.Path(__file__).parents[2] / "tools" / "verify_proof.py"
            return subprocess.run([sys.executable, script, folder + "/proof", "--key", key], capture_output=True, text=True)

    def test_of_an_entry_of_growth_and_of_what_never_happened(self):
        call = json.loads(self.saw.ok("audit", "tail", "-n", "1", "--json").splitlines()[0])
        self.assertTrue(call)
        with tempfile.TemporaryDirectory() as folder:
            earlier = shutil.copy(self.saw.state / "control" / "audit" / "checkpoint", folder)
            for path in (folder, earlier):
                os.chown(path, self.saw.user.uid, self.saw.user.gid)
            self.sh("run", "getent hosts named.example || true")
            for arguments in (["3"], ["--since", earlier], ["--absent", "--call", "c-none", "--destination", "evil.example"]):
                done = self.check(*arguments)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("proved", done.stdout)

    def test_of_absence_is_refused_for_a_name_that_was_asked_for(self):
        self.sh("run", "getent hosts named.example || true")
        asked = [ours(e, "call") for e in self.saw.events() if e["class_uid"] == 4003 and e["query"]["hostname"] == "named.example"]
        self.assertTrue(asked)
        absent = ("audit", "prove", "--absent", "--call", asked[0], "--destination")
        self.assertEqual(self.saw(*absent, "named.example").returncode, 1)
        self.assertEqual(self.saw(*absent, "other.example").returncode, 0)


class Identity(SawCase):
    def test_each_call_has_a_credential_of_its_own(self):
        for _ in range(3):
            self.sh("run", "true")
        ids = [ours(e, "credential") for e in self.saw.events() if e["class_uid"] == 3002]
        ids = [i for i in ids if i]
        self.assertGreaterEqual(len(ids), 3)
        self.assertEqual(len(set(ids)), len(ids))

    def test_a_suspended_agent_is_refused_at_the_next_call_with_the_reason(self):
        self.saw.ok("agent", "register", "coder", "--purpose", "e2e")
        self.sh("run --agent coder", "true")
        self.saw.ok("agent", "suspend", "coder")
        done = self.saw("--json", "run", "--agent", "coder", "dev", "--", "true")
        self.assertEqual(done.returncode, 126, done.stderr)
        text = done.stdout + done.stderr
        self.assertEqual(json.loads(re.search(r'\{"error".*\}', text).group(0))["error"]["code"], "identity.agent_suspended")
        self.saw.ok("agent", "resume", "coder")
        self.sh("run --agent coder", "true")

    def test_an_agent_that_nobody_registered_is_refused(self):
        done = self.saw("--json", "run", "--agent", "stranger", "dev", "--", "true")
        self.assertEqual(done.returncode, 126)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "identity.agent_unknown")


if __name__ == "__main__":
    unittest.main()

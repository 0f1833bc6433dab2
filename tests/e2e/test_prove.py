"""saw policy prove with the real saw-prove: what ships, what is found, and how the prover is confined."""
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ["SAW_BIN"])
POLICIES = pathlib.Path(__file__).resolve().parents[2] / "policies"


def prove(candidate, ceiling):
    done = subprocess.run([BIN / "saw", "policy", "prove", "--json", candidate, "--within", ceiling],
                          capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout)


class Prove(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def variant(self, source, before, after):
        text = (POLICIES / source).read_text()
        self.assertIn(before, text)
        path = pathlib.Path(self.directory.name) / source
        path.write_text(text.replace(before, after, 1))
        return path

    def test_each_policy_that_ships_is_within_itself_and_quickly(self):
        for policy in sorted(POLICIES.glob("*.yaml")):
            with self.subTest(policy=policy.name):
                start = time.monotonic()
                self.assertEqual(prove(policy, policy)[0], 0)
                print(f"{policy.name}: {time.monotonic() - start:.3f} s", flush=True)

    def test_a_wider_path_is_found_and_both_answers_are_the_engine_s(self):
        wider = self.variant("corporate-coding.yaml", '"/repos/acme/**", /user]', '"/repos/**", /user]')
        status, answer = prove(wider, POLICIES / "corporate-coding.yaml")
        self.assertEqual((status, answer["verdict"], answer["confirmed"]), (1, "counterexample", True))
        for side, policy in ("candidate", wider), ("ceiling", POLICIES / "corporate-coding.yaml"):
            line = subprocess.run([BIN / "saw", "policy", "decide", "--policy", policy], text=True, capture_output=True,
                                  input=json.dumps(answer["request"])).stdout
            self.assertEqual(json.loads(line)["effect"], answer[side]["effect"])
        self.assertEqual(prove(POLICIES / "corporate-coding.yaml", wider)[0], 0)

    def test_a_dropped_deny_is_found(self):
        weaker = self.variant("corporate-coding.yaml", "- {methods: [DELETE]}", "")
        self.assertEqual(prove(weaker, POLICIES / "corporate-coding.yaml")[0], 0)  # DELETE was not allowed anyway
        weaker = self.variant("corporate-coding.yaml", '"/repos/*/*/rulesets/**", ', "")
        status, answer = prove(weaker, POLICIES / "corporate-coding.yaml")
        self.assertEqual((status, answer["ceiling"]["reason"]), (1, "denied-by-rule"))

    def test_the_prover_can_open_no_file_or_socket_and_is_bounded(self):
        with subprocess.Popen([BIN / "saw-prove"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as prover:
            status = {}
            for _ in range(200):  # it confines itself before it reads
                status = dict(line.split(":\t", 1) for line in
                              pathlib.Path(f"/proc/{prover.pid}/status").read_text().splitlines() if ":\t" in line)
                if status.get("Seccomp") == "2":
                    break
                time.sleep(0.02)
            self.assertEqual((status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16)), ("2", "1", 0))
            limits = pathlib.Path(f"/proc/{prover.pid}/limits").read_text()
            self.assertRegex(limits, r"Max address space +2147483648 ")
            self.assertRegex(limits, r"Max cpu time +60 ")
            answer, _ = prover.communicate(b"nonsense")
        self.assertEqual(json.loads(answer)["verdict"], "unknown")


if __name__ == "__main__":
    unittest.main()

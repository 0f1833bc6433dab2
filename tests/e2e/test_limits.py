"""R87: which limit ended a command, or was met while it ran, is told and recorded; what no limit touched is told as before."""
import json, os, unittest

import setup_path  # noqa: F401
from support.case import POLICY, SawCase

LIMITED = POLICY.replace("limits: {memory: 512MiB, pids: 128, openFiles: 512}", "limits: {memory: 96MiB, pids: 24, openFiles: 64, fileSize: 1MiB, wallClock: 30s}")


class Limits(SawCase):
    policy = LIMITED

    def end_of(self, script, *options):
        """The end of a call as `saw run --json` says it, with the exit status of `saw`."""
        done = self.saw("--json", "run", *options, "dev", "--", "sh", "-c", script)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        ends = [line["exit"] for line in lines if "exit" in line]
        self.assertEqual(len(ends), 1, done.stdout + done.stderr)
        self.assertEqual(ends[0]["exit_code"], done.returncode)
        return ends[0]

    def recorded(self, member):
        return [e["unmapped"]["saw"][member] for e in self.saw.events() if member in e.get("unmapped", {}).get("saw", {})]

    def counted(self):
        if self.saw.user.uid != 0:
            self.skipTest("an ordinary user has no control groups here: nothing counts")

    def test_wall_clock(self):
        end = self.end_of("sleep 60", "--timeout", "1s")
        self.assertEqual((end["end"], end["limit"], end["exit_code"]), ("timed_out", "wall_clock", 137))
        self.assertIn("wall_clock", self.recorded("limit"))
        self.assertNotIn("limit", self.end_of("sleep 0.1", "--timeout", "20s"))

    def test_file_size(self):
        end = self.end_of("exec head -c 3000000 /dev/zero > /workspace/large")
        self.assertEqual((end["end"], end["limit"], end["exit_code"]), ("file_too_large", "file_size", 137))
        self.assertIn("file_size", self.recorded("limit"))
        self.assertEqual(self.end_of("exec head -c 1000000 /dev/zero > /workspace/fits"), {"end": "exited", "status": 0, "exit_code": 0})

    def test_memory(self):
        self.counted()
        end = self.end_of("exec tail /dev/zero")
        self.assertEqual((end["end"], end["limit"], end["exit_code"]), ("out_of_memory", "memory", 137))
        self.assertIn("memory", self.recorded("limit"))
        killed = self.end_of("kill -9 $$")
        self.assertEqual((killed["end"], killed["status"]), ("signalled", 9))
        self.assertNotIn("limit", killed)

    def test_memory_of_a_child_is_told_beside_the_commands_own_status(self):
        self.counted()
        end = self.end_of("tail /dev/zero; exit 5")
        self.assertEqual((end["end"], end["exit_code"]), ("exited", 5))
        self.assertEqual(end["limits_met"]["memory"], 1)
        self.assertNotIn("limit", end)

    def test_processes(self):
        self.counted()
        end = self.end_of("for i in $(seq 40); do sleep 30 & done; exit 9")
        self.assertEqual(end["end"], "exited")
        self.assertNotEqual(end["exit_code"], 137, "nothing killed it")
        self.assertGreater(end["limits_met"]["pids"], 0)
        self.assertTrue(self.recorded("forks_refused"))
        for _ in range(3):  # and the group of that call is not the next one's
            self.assertEqual(self.end_of("sleep 0.01 & wait; exit 9"), {"end": "exited", "status": 9, "exit_code": 9})

    def test_of_open_files_and_scratch_space_nothing_is_claimed(self):
        for script in ("ulimit -n; i=3; while [ $i -lt 200 ]; do eval \"exec $i</dev/null\" || exit 7; i=$((i+1)); done", "head -c 900000 /dev/zero > /dev/full; exit 8"):
            self.assertLessEqual(set(self.end_of(script)), {"end", "status", "exit_code"})


if __name__ == "__main__":
    unittest.main()

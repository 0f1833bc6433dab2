"""kill -9 of each program of SAW: the committed state comes back, nothing is left behind (R5). SAW_KILL_ROUNDS repeats it."""
import os, signal, unittest

import setup_path  # noqa: F401
from support.case import SawCase, rounds, wait_for
from support.rig import cgroup_directories

NOTHING = {"processes": {}, "mounts": [], "sockets": []}


class Kill(SawCase):
    rounds = rounds("SAW_KILL_ROUNDS", 1)

    def setUp(self):
        self.saw.ok("up")
        self.saw.ok("workspace", "start", "dev")

    def recovered(self):
        """SAW is ready again, every program of it once, and runs a command in the workspace."""
        def ready():
            return self.saw("up").returncode == 0 and self.saw("exec", "dev", "--", "true").returncode == 0 and self.running() == [1, 1, 1, 1]
        wait_for("recovery", ready, 30)

    def running(self):
        return [len(self.saw.programs(p)) for p in ("saw-node", "sawd", "saw-perimeter", "saw-egress")]

    def kill_and_check(self, name):
        for n in range(self.rounds):
            with self.subTest(round=n, program=name):
                self.sh("exec", f"echo {name}{n} > /workspace/mark")
                self.saw.kill_program(name)
                self.recovered()
                self.assertEqual(self.sh("exec", "cat /workspace/mark"), f"{name}{n}\n")
                self.assertEqual(self.running(), [1, 1, 1, 1])
        self.assertEqual(self.saw("audit", "verify").returncode, 0)

    def test_sawd(self):
        self.kill_and_check("sawd")

    def test_saw_node(self):
        self.kill_and_check("saw-node")

    def test_saw_perimeter(self):
        self.kill_and_check("saw-perimeter")

    def test_saw_egress(self):
        self.kill_and_check("saw-egress")

    def test_saw_init_of_the_workspace(self):
        self.sh("exec", "echo before > /workspace/mark")
        self.saw.kill_program("saw-init")
        wait_for("the workspace to be startable again", lambda: self.saw("workspace", "start", "dev").returncode == 0)
        self.assertEqual(self.sh("exec", "cat /workspace/mark"), "before\n")

    def test_a_process_in_the_workspace_survives_the_death_of_every_daemon(self):
        self.sh("exec", "setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! > /workspace/pid")
        for name in ("saw-egress", "saw-perimeter", "sawd", "saw-node"):
            self.saw.kill_program(name)
            self.recovered()
        self.sh("exec", "kill -0 $(cat /workspace/pid) && kill $(cat /workspace/pid)")

    def test_everything_at_once_and_then_down_leaves_nothing(self):
        for name in ("saw-node", "sawd", "saw-perimeter", "saw-egress"):
            for pid in self.saw.programs(name):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.recovered()
        ours = self.saw.cgroup_names()
        self.assertTrue(ours or self.saw.user.uid != 0, "as root each sandbox is in a control group of SAW's")
        self.saw.ok("down")
        self.assertEqual(self.saw.residue(), NOTHING)
        self.assertEqual(cgroup_directories(ours), set())


if __name__ == "__main__":
    unittest.main()

"""saw cp: what goes in and comes out, and what a hostile workspace cannot make of it."""
import os, unittest

import setup_path  # noqa: F401
from support.case import SawCase


class Copy(SawCase):
    def setUp(self):
        self.here = self.saw.dir / f"here-{self._testMethodName}"
        self.here.mkdir()
        if self.saw.user.is_other:
            os.chown(self.here, self.saw.user.uid, self.saw.user.gid)
        self.sh("exec", "rm -rf /workspace/*")

    def test_a_directory_goes_in_and_comes_out_the_same(self):
        (self.here / "src" / "d").mkdir(parents=True)
        (self.here / "src" / "f").write_bytes(bytes(range(256)) * 5000)
        (self.here / "src" / "d" / "run").write_text("#!/bin/sh\n")
        (self.here / "src" / "d" / "run").chmod(0o755)
        (self.here / "src" / "l").symlink_to("d/run")
        self.saw.ok("cp", self.here / "src", "dev:/workspace")
        self.assertEqual(self.sh("exec", "cd /workspace/src; stat -c %a-%U d/run; readlink l; wc -c < f; ls -A /workspace"),
                         "755-agent\nd/run\n1280000\nsrc\n")
        told = self.saw.json("cp", "dev:src", self.here / "back")
        self.assertEqual((told["files"], told["bytes"]), (2, 1280000 + 10))
        self.assertEqual((self.here / "back" / "f").read_bytes(), (self.here / "src" / "f").read_bytes())
        self.assertEqual(os.readlink(self.here / "back" / "l"), "d/run")
        self.assertTrue(os.access(self.here / "back" / "d" / "run", os.X_OK))
        self.assertEqual(sorted(os.listdir(self.here)), ["back", "src"])

    def test_a_file_gives_way_and_a_directory_does_not(self):
        self.sh("exec", "echo old > /workspace/f; mkdir /workspace/d")
        (self.here / "f").write_text("new\n")
        (self.here / "d").mkdir()
        self.saw.ok("cp", self.here / "f", "dev:/workspace/f")
        self.assertEqual(self.sh("exec", "cat /workspace/f"), "new\n")
        self.assertEqual(self.saw("cp", self.here / "d", "dev:/workspace").returncode, 1)
        self.assertEqual(self.saw("cp", "dev:/workspace/d", self.here).returncode, 1)
        self.assertEqual(self.sh("exec", "ls -A /workspace"), "d\nf\n")

    def test_what_cannot_be_read_to_its_end_does_not_arrive_in_part(self):
        (self.here / "src").mkdir()
        (self.here / "src" / "a").write_text("a\n")
        os.mkfifo(self.here / "src" / "pipe")
        done = self.saw("cp", self.here / "src", "dev:/workspace")
        self.assertEqual(done.returncode, 1)
        self.assertIn("pipe", done.stderr)
        self.assertEqual(self.sh("exec", "ls -A /workspace"), "")
        os.unlink(self.here / "src" / "pipe")
        self.saw.ok("cp", self.here / "src", "dev:/workspace")
        self.assertEqual(self.sh("exec", "ls -A /workspace /workspace/src"), "/workspace:\nsrc\n\n/workspace/src:\na\n")

    def test_a_hard_link_of_a_link_does_not_lead_out_either(self):
        self.sh("exec", "mkdir -p /workspace/t/d/e; cd /workspace/t; ln -s ../../f d/e/l; ln -P d/e/l a; ln -P d/e/l z")
        done = self.saw("cp", "dev:/workspace/t", self.here)
        self.assertEqual(done.returncode, 1, "one of the three names leads out of t, whichever tar names first")
        self.assertEqual(os.listdir(self.here), [])

    def test_a_sessions_files_are_its_own(self):
        self.saw.ok("session", "start", "dev", "--name", "s")
        self.addCleanup(self.saw, "session", "end", "dev/s")
        (self.here / "f").write_text("in\n")
        self.saw.ok("cp", self.here / "f", "dev/s:/workspace/f")
        self.saw.ok("cp", "dev/s:/workspace/f", self.here / "out")
        self.assertEqual((self.here / "out").read_text(), "in\n")
        self.assertEqual(self.saw("cp", "dev:/workspace/f", self.here / "no").returncode, 1)
        self.assertFalse((self.here / "no").exists())

    def test_links_that_lead_out_end_the_copy_and_leave_nothing(self):
        for number, link in enumerate(("/etc/passwd", "../../../../etc/passwd", "d/../../x")):
            self.sh("exec", f"rm -rf /workspace/t; mkdir -p /workspace/t/d; echo x > /workspace/t/a; ln -s {link} /workspace/t/l")
            done = self.saw("cp", "dev:/workspace/t", self.here / f"t{number}")
            self.assertEqual(done.returncode, 1, link)
            self.assertIn("link", done.stderr)
        self.sh("exec", "rm -rf /workspace/t; mkfifo /workspace/pipe")
        self.assertEqual(self.saw("cp", "dev:/workspace/pipe", self.here).returncode, 1)
        self.assertEqual(os.listdir(self.here), [])

    def test_a_link_inside_the_workspace_leads_nowhere_outside_it(self):
        """What is written by a link of the agent's lands where the agent itself could write, and nowhere else."""
        self.sh("exec", "ln -s /etc /workspace/etc; ln -s /tmp/x /workspace/f")
        (self.here / "passwd").write_text("root::0:0\n")
        self.assertEqual(self.saw("cp", self.here / "passwd", "dev:/workspace/etc/").returncode, 1)
        (self.here / "f").write_text("plain\n")
        self.saw.ok("cp", self.here / "f", "dev:/workspace/f")
        self.assertEqual(self.sh("exec", "cat /workspace/f; test -L /workspace/f || echo a file"), "plain\na file\n")

    def test_names_are_names_and_never_part_of_a_command(self):
        name = "-rf $(touch evil); `x` '\"&"
        (self.here / name).write_text("odd\n")
        self.saw.ok("cp", self.here / name, "dev:/workspace")
        self.assertEqual(self.sh("exec", "ls -A /workspace | wc -l; cat /workspace/-rf*"), "1\nodd\n")
        self.saw.ok("cp", f"dev:/workspace/{name}", self.here / "back")
        self.assertEqual((self.here / "back").read_text(), "odd\n")

    def test_both_or_neither_side_inside_is_a_usage_error(self):
        for arguments in (("a", "b"), ("dev:a", "dev:b")):
            self.assertEqual(self.saw("cp", *arguments).returncode, 2)
        self.assertEqual(self.saw("cp", "nobody:/workspace/x", self.here).returncode, 1)
        self.assertEqual(self.saw("cp", self.here / "absent", "dev:/workspace").returncode, 1)
        self.assertEqual(self.sh("exec", "ls -A /workspace"), "")


if __name__ == "__main__":
    unittest.main()

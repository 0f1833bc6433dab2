"""The quarantine lane: what would run later reaches the workspace through a person only (R82, R118)."""
import json, shutil, unittest

import setup_path  # noqa: F401
from support.case import POLICY, SawCase, wait_for


class Quarantine(SawCase):
    def setUp(self):
        self.session = self.saw.ok("session", "start", "dev").strip()

    def tearDown(self):
        for review in self.waiting():
            self.saw("review", "deny", review["id"])
        self.saw("session", "end", self.session)

    def inside(self, script):
        return self.sh("session exec", script, where=self.session)

    def below(self, script, status=0):
        return self.sh("exec", script, status=status)

    def commit(self, *options):
        return self.saw.json("session", "commit", self.session, "--yes", *options)

    def waiting(self):
        return self.saw.json("review", "list")["reviews"]

    def test_a_hook_waits_is_shown_and_released_and_the_work_beside_it_passes(self):
        self.inside("mkdir -p h/.git/hooks; printf '#!/bin/sh\\necho \\033[2J evil\\n' > h/.git/hooks/pre-commit; chmod 755 h/.git/hooks/pre-commit; echo work > h/a")
        done = self.commit()
        self.assertEqual(done["quarantined_paths"], ["/workspace/h/.git/hooks/pre-commit"])
        self.below("cat h/a; test ! -e h/.git/hooks/pre-commit")
        self.inside("test -x h/.git/hooks/pre-commit")  # the session goes on seeing its own
        review, = done["reviews"]
        shown = self.saw.ok("review", "show", review)
        for text in ("/workspace/h/.git/hooks", "git runs it", "filesystem.runLater", "+echo", "0755"):
            self.assertIn(text, shown)
        self.assertNotIn("\033", shown, "a diff cannot move the reader's cursor")
        self.assertIn("release /workspace/h/.git/hooks", self.saw.ok("review", "list"))
        self.saw.ok("review", "approve", review)
        self.below("test -x h/.git/hooks/pre-commit; grep -q evil h/.git/hooks/pre-commit")
        self.assertEqual(self.waiting(), [])
        operations = [e.get("api", {}).get("operation") for e in self.saw.events()]
        self.assertIn("quarantine.hold", operations)
        self.assertIn("quarantine.release", operations)
        self.assertNotEqual(self.saw("review", "approve", review).returncode, 0, "an approval is single use")

    def test_what_is_rejected_never_is_in_the_workspace_and_is_not_asked_about_again(self):
        self.inside("echo evil > /home/agent/.bashrc")
        review, = self.commit()["reviews"]
        self.saw.ok("review", "deny", review, "--why", "no")
        self.below("test ! -e /home/agent/.bashrc")
        self.assertEqual(self.commit()["reviews"], [])
        self.below("test ! -e /home/agent/.bashrc")

    def test_it_waits_longer_than_its_session_and_than_the_daemon(self):
        self.inside("echo 'alias x=y' > /home/agent/.profile")
        review, = self.commit()["reviews"]
        self.saw.ok("session", "end", self.session)
        self.saw.kill_program("sawd")
        wait_for("sawd again", lambda: self.saw("review", "list").returncode == 0)
        self.assertEqual([r["id"] for r in self.waiting()], [review])
        self.saw.ok("review", "approve", review)
        self.assertEqual(self.below("cat /home/agent/.profile"), "alias x=y\n")

    def test_every_way_to_a_listed_path_ends_in_quarantine(self):
        self.inside("""echo evil > a; mkdir -p w/.vscode.x; cp a w/.vscode.x/tasks.json; mv w/.vscode.x w/.vscode; ln a .envrc; ln -s a .npmrc
            mkdir t; mkdir t/.claude; cp a t/.claude/settings.json; tar cf t.tar t; rm -r t; tar xf t.tar
            ln -s /home/agent/.zshrc innocent; echo evil > innocent""")
        self.assertEqual(set(self.commit()["quarantined_paths"]), {
            "/workspace/w/.vscode/tasks.json", "/workspace/.envrc", "/workspace/.npmrc", "/workspace/t/.claude/settings.json",
            "/home/agent/.zshrc"})
        self.assertEqual(len(self.waiting()), 5)
        self.below("test -e a; test -e t.tar; for f in w/.vscode/tasks.json .envrc .npmrc t/.claude/settings.json /home/agent/.zshrc; do test ! -e $f; done")

    @unittest.skipUnless(shutil.which("git"), "git is not installed")
    def test_git_works_and_a_setting_that_names_a_program_waits(self):
        git = "mkdir -p g; cd g; git config --global init.defaultBranch main; git config --global user.email a@dev.example; git config --global user.name a; "
        self.inside(git + "git init -q; echo 1 > f; git add f; git commit -qm one; git remote add origin https://git.dev.example/x.git; git checkout -qb topic")
        self.assertEqual(self.commit()["quarantined_paths"], [])
        self.assertEqual(self.below("cd g; git log --format=%s; git branch --show-current"), "one\ntopic\n")
        self.inside("cd g; git config core.hooksPath ../innocent; echo 2 > f; git commit -qam two")
        done = self.commit()
        self.assertEqual(done["quarantined_paths"], ["/workspace/g/.git/config"])
        self.assertEqual(self.below("cd g; git log --format=%s -1; git config core.hooksPath || true"), "two\n")
        self.assertIn("core.hookspath = ../innocent", self.saw.ok("review", "show", done["reviews"][0]))

    def test_a_policy_that_denies_refuses_the_commit_and_says_why(self):
        if not any(w["name"] == "strict" for w in self.saw.json("workspace", "list")["workspaces"]):
            self.saw.workspace("strict", POLICY.replace("filesystem:\n", "filesystem:\n  runLater: deny\n"))
        session = self.saw.ok("session", "start", "strict").strip()
        self.sh("session exec", "echo work > a; echo evil > /home/agent/.bashrc", where=session)
        refused = self.saw("--json", "session", "commit", session, "--yes")
        self.assertEqual(refused.returncode, 126, refused.stdout + refused.stderr)
        error = json.loads(refused.stdout)["error"]
        self.assertEqual((error["code"], error["layer"], error["rule"]), ("commit.run_later", "filesystem", "filesystem.runLater"))
        self.assertIn("/home/agent/.bashrc", error["reason"])
        self.assertTrue(error["ask"])
        self.sh("exec", "test ! -e a; test ! -e /home/agent/.bashrc", where="strict")
        self.sh("session exec", "rm /home/agent/.bashrc", where=session)
        self.saw.ok("session", "commit", session, "--yes")
        self.assertEqual(self.sh("exec", "cat a", where="strict"), "work\n")


if __name__ == "__main__":
    unittest.main()

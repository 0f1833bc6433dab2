"""Delegations and revocations: what a call may do under one, and what ends it."""
import unittest

import setup_path  # noqa: F401
from support.case import SawCase


class Delegation(SawCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.saw.ok("agent", "register", "coder", "--purpose", "to write code")

    def delegate(self, *more, tool="sh"):
        return self.saw.ok("delegate", "create", "--workspace", "dev", "--agent", "coder", "--task", "fix the build",
                           "--action", "execute", "--tool", tool, "--resource", "/workspace/**", "--for", "10m",
                           *more).strip()

    def run_under(self, delegation, *command):
        return self.saw("run", "--delegation", delegation, "dev", "--", *command)

    def test_a_call_runs_within_it_and_is_refused_beyond_it(self):
        d = self.delegate()
        self.assertEqual(self.run_under(d, "sh", "-c", "exit 7").returncode, 7)
        refused = self.run_under(d, "curl", "--version")
        self.assertEqual(refused.returncode, 126)
        self.assertIn("identity.not_delegated", refused.stderr)

    def test_a_child_cannot_be_more_and_the_chain_is_drawn(self):
        root = self.delegate("--depth", "2", tool="[a-s]*")
        child = self.delegate("--from", root, "--depth", "1")
        wider = self.saw("delegate", "create", "--from", child, "--workspace", "dev", "--task", "more", "--agent",
                         "coder", "--action", "execute", "--tool", "*", "--resource", "/workspace/**")
        self.assertEqual(wider.returncode, 126)
        self.assertIn("identity.delegation_widens", wider.stderr)
        shown = self.saw.ok("delegate", "show", child)
        self.assertLess(shown.index(root), shown.index(child))
        self.assertEqual([link["id"] for link in self.saw.json("delegate", "show", child)["chain"]], [root])

    def test_revoked_is_revoked_after_a_kill_too(self):
        root = self.delegate("--depth", "1")
        child = self.delegate("--from", root)
        self.assertEqual(self.run_under(child, "sh", "-c", "true").returncode, 0)
        self.saw.ok("delegate", "revoke", root, "--why", "done")
        for _ in range(2):
            refused = self.run_under(child, "sh", "-c", "true")
            self.assertEqual(refused.returncode, 126)
            self.assertIn("identity.delegation_revoked", refused.stderr)
            self.saw.kill_program("sawd")

    def test_what_is_not_there_says_so(self):
        later = self.saw("delegate", "create", "--workspace", "dev", "--task", "t", "--action", "execute", "--tool", "sh",
                         "--resource", "/**", "--approval", "every")
        self.assertEqual(later.returncode, 125)

    def test_whoami_says_who(self):
        self.assertEqual(self.saw.json("whoami")["sponsor"], f"uid:{self.saw.user.uid}")


if __name__ == "__main__":
    unittest.main()

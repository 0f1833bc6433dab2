"""The base of the end-to-end tests: one SAW for each test class, skipped with a printed reason where this host cannot run it."""
import os, unittest

from .rig import BIN, POLICY, Missing, Saw, descendants, wait_for  # noqa: F401


class SawCase(unittest.TestCase):
    """`perimeter`: text of the operator's file; `policy`: of the workspace 'dev' that is made before the first test (None: none is)."""
    perimeter, policy = None, POLICY
    longMessage = True

    @classmethod
    def setUpClass(cls):
        try:
            cls.prepare()
            cls.saw = Saw.start(cls, cls.perimeter)
        except Missing as reason:
            raise unittest.SkipTest(str(reason))
        if cls.policy is not None:
            cls.saw.workspace("dev", cls.policy)

    @classmethod
    def prepare(cls):
        """What must exist before SAW starts."""

    def sh(self, kind, script, *, status=0, where="dev", **options):
        """Runs a shell script by `saw KIND where`; its stdout, after its status was checked."""
        done = self.saw(*kind.split(), where, "--", "sh", "-c", script, **options)
        self.assertEqual(done.returncode, status, f"{kind} {where}: {script}\n{done.stdout}{done.stderr}\n{self.saw.logs()}")
        return done.stdout


def rounds(name, default):
    return int(os.environ.get(name, default))

"""Signed releases on a living SAW: published by the command line, enforced while requests flow, refused, rolled back, revoked, and after kill -9."""
import datetime, json, pathlib, statistics, tempfile, unittest

import setup_path  # noqa: F401
from support.case import POLICY, SawCase, rounds, wait_for
from support.rig import Missing, Saw
from origin import Origin, missing_programs

RULES = """
network:
  - name: tasks
    to: {hosts: [%s], ports: [80]}
    tls: none
    allow: [{methods: [GET], paths: ["%s"]}]
"""
OPEN, CLOSED = "api.demo.example", "closed.demo.example"
# Requests without a pause, over one connection as long as it is left open; each answer with when it was asked for and when it came, in nanoseconds since 1970.
TRAFFIC = f"""
import http.client, time
c = http.client.HTTPConnection("{OPEN}", 80, timeout=5)
while True:
    asked = time.time_ns()
    try:
        c.request("GET", "/v1/tasks")
        answer = c.getresponse()
        answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException):
        status = 0
        c.close()
    print(status, asked, time.time_ns(), flush=True)
"""
# One connection that is kept; says when the other side closed it.
KEPT = f"""
import socket, sys, time
s = socket.create_connection(("{OPEN}", 80))
s.sendall(b"GET /v1/tasks HTTP/1.1\\r\\nHost: {OPEN}\\r\\n\\r\\n")
print("answer", s.recv(4096)[:12].decode(), flush=True)
s.settimeout(float(sys.argv[1]))
try:
    while s.recv(4096): pass
    print("closed", flush=True)
except ConnectionError:
    print("closed", flush=True)
except TimeoutError:
    print("open", flush=True)
"""


class Releases(SawCase):
    policy = None

    @classmethod
    def setUpClass(cls):
        if lacking := missing_programs():
            raise unittest.SkipTest(f"missing: {', '.join(lacking)}")
        directory = tempfile.TemporaryDirectory(prefix="saw-origin-")
        cls.addClassCleanup(directory.cleanup)
        pathlib.Path(directory.name).chmod(0o755)
        cls.origin = Origin(pathlib.Path(directory.name) / "origin")
        cls.origin.start()
        cls.addClassCleanup(cls.origin.stop)
        try:
            cls.saw = Saw(cls)
        except Missing as reason:
            raise unittest.SkipTest(str(reason))
        connectors = [f'  - {{host: {c["host"]}, port: {c["port"]}, to: "{c["to"]}"}}' for c in cls.origin.connectors()]
        cls.saw.perimeter("\n".join(["apiVersion: saw/v1", "kind: Perimeter", f"trust: [{cls.origin.ca_file}]", "connectors:", *connectors, ""]))
        cls.tree = cls.saw.dir / "state" / "tree"
        cls.make_keys()
        (cls.saw.state / "channels.yaml").write_text(
            f"apiVersion: saw/v1\nkind: Channels\ntrust: {cls.saw.dir}/trust.yaml\nchannels:\n  stable: {{tree: {cls.tree}}}\n")
        cls.revision = 0
        cls.publish(OPEN)
        cls.saw.ok("up")
        cls.saw.ok("workspace", "create", "dev", "--channel", "stable")

    @classmethod
    def make_keys(cls):
        """Keys lie in the state directory, which SAW's user may write."""
        lines = []
        for name in ("ann", "ben", "cat"):
            public = cls.saw.json("policy", "keygen", cls.saw.state / name, "--kind", "p256" if name == "ben" else "ed25519")["public"]
            lines.append(f"  {name}: {{public: {public}}}")
        cls.trust = cls.saw.file("trust.yaml", "\n".join(["apiVersion: saw/v1", "kind: Trust", "keys:", *lines, "channels:",
                                                          "  stable: {signers: [ann, ben], authors: [cat], threshold: 2}", ""]))

    @classmethod
    def on_tree(cls, *words):
        return (*words, "--tree", cls.tree, "--channel", "stable", "--trust", cls.trust)

    @classmethod
    def sign(cls, host, path):
        """A directory with a signed release that allows only this path of this host."""
        cls.revision += 1
        cls.version = f"{datetime.date.today()}.{cls.revision}"
        made = cls.saw.state / f"release-{cls.revision}"
        made.mkdir()
        made.chmod(0o777)
        (made / "policy.yaml").write_text(POLICY + RULES % (host, path))
        (made / "policy.yaml").chmod(0o644)
        cls.saw.ok("policy", "sign", made, "--key", cls.saw.state / "cat.key", "--trust", cls.trust, "--channel", "stable",
                   "--revision", cls.revision, "--version", cls.version)
        for key in ("ann", "ben"):
            cls.saw.ok("policy", "sign", made, "--key", cls.saw.state / f"{key}.key")
        return made

    @classmethod
    def publish(cls, host, path="/v1/tasks"):
        """When the channel was switched, in nanoseconds since 1970."""
        cls.saw.ok(*cls.on_tree("policy", "publish", cls.sign(host, path)))
        return (cls.tree / "channels" / "stable" / "current").lstat().st_ctime_ns

    def channel(self):
        done = self.saw("--json", "policy", "status")
        return json.loads(done.stdout)["channels"][0]

    def enforced(self, version):
        wait_for(f"release {version}", lambda: self.channel().get("active", {}).get("version") == version)

    def setUp(self):
        if self.channel().get("active", {}).get("version") != getattr(type(self), "open_version", None):
            self.publish(OPEN)
            type(self).open_version = self.version
        self.enforced(self.version)

    def status(self):
        return self.sh("run", f"curl -s -o /dev/null -m 20 -w '%{{http_code}}' http://{OPEN}/v1/tasks || true")

    def start(self, script, *arguments):
        return self.saw.popen("run", "dev", "--", "/usr/bin/python3", "-u", "-c", script, *arguments)

    def test_a_new_release_is_enforced_while_requests_flow_and_no_forbidden_one_passes_in_the_gap(self):
        traffic = self.start(TRAFFIC)
        delays = []
        try:
            self.assertEqual(traffic.stdout.readline().split()[0], "200")
            for _ in range(rounds("SAW_RELEASE_ROUNDS", 2)):
                for host, path in ((CLOSED, "/v1/tasks"), (OPEN, "/v1/tasks"), (OPEN, "/v1/other"), (OPEN, "/v1/tasks")):
                    allowed = (host, path) == (OPEN, "/v1/tasks")
                    switched = self.publish(host, path)
                    while True:
                        status, asked, came = (int(word) for word in traffic.stdout.readline().split())
                        if asked > switched and (status == 200) == allowed:
                            break
                        self.assertLess(came - switched, 10_000_000_000, f"{host} is not enforced after 10 s: {status}")
                    delays.append((came - switched) / 1e6)
                    self.enforced(self.version)
                    for _ in range(20):  # what was decided by the new release stays decided by it
                        self.assertEqual(int(traffic.stdout.readline().split()[0]) == 200, allowed)
        finally:
            traffic.kill()
            traffic.communicate()
        delays.sort()
        print(f"\npublish→enforced, as a client inside sees it (ms): n {len(delays)}, median {statistics.median(delays):.1f}, "
              f"p95 {delays[int(len(delays) * 0.95) - 1]:.1f}, max {delays[-1]:.1f}")
        type(self).open_version = self.version

    def test_open_connections_that_the_new_release_forbids_are_closed_and_others_stay(self):
        kept = self.start(KEPT, "30")
        self.assertIn("200", kept.stdout.readline())
        self.publish(CLOSED)
        self.assertEqual(kept.stdout.readline(), "closed\n")
        kept.communicate()
        self.publish(OPEN)
        self.enforced(self.version)
        kept = self.start(KEPT, "2")
        self.assertIn("200", kept.stdout.readline())
        self.publish(OPEN)
        self.assertEqual(kept.stdout.readline(), "open\n")
        kept.communicate()
        type(self).open_version = self.version

    def test_a_release_that_was_changed_after_signing_changes_nothing_and_is_reported(self):
        before = self.channel()["active"]["version"]
        self.publish(OPEN)
        self.enforced(self.version)
        after = self.channel()["active"]["version"]
        self.assertNotEqual(before, after)
        policy = self.tree / "releases" / after / "policy.yaml"
        good = policy.read_text()
        policy.chmod(0o644)
        policy.write_text(good.replace(OPEN, CLOSED))
        wait_for("the refusal", lambda: self.channel().get("refused", {}).get("code") == "release.wrong_digest")
        self.assertEqual(self.status(), "200")
        self.assertEqual(self.saw("policy", "status").returncode, 1)
        policy.write_text(good)
        wait_for("no refusal", lambda: "refused" not in self.channel())
        self.assertEqual(self.saw("policy", "status").returncode, 0)
        type(self).open_version = self.version

    def test_a_rollback_is_enforced_once_and_recorded(self):
        good = self.version
        self.publish(CLOSED)
        self.enforced(self.version)
        self.assertNotEqual(self.status(), "200")
        for key in ("ann", "ben"):
            self.saw.ok(*self.on_tree("policy", "rollback", "--to", good, "--key", self.saw.state / f"{key}.key", "--why", "it blocks"))
        self.enforced(good)
        self.assertEqual(self.status(), "200")
        type(self).revision = self.channel()["active"]["revision"]
        self.assertTrue([e for e in self.saw.events() if e["class_uid"] == 5019 and "rolled back" in e["message"]])
        type(self).open_version = None

    def test_kill_minus_nine_at_any_point_leads_to_the_last_release_and_never_to_an_older_one(self):
        old = self.version
        for n in range(rounds("SAW_KILL_ROUNDS", 2)):
            host = CLOSED if n % 2 == 0 else OPEN
            self.publish(host)
            self.saw.kill_program("sawd")
            wait_for("recovery", lambda: self.saw("up").returncode == 0 and self.saw("exec", "dev", "--", "true").returncode == 0, 30)
            self.enforced(self.version)
            self.assertEqual(self.status() == "200", host == OPEN)
        # The release before, put back by somebody who can write the tree but not sign.
        current = self.tree / "channels" / "stable" / "current"
        current.unlink()
        current.symlink_to(f"../../releases/{old}")
        wait_for("the refusal", lambda: self.channel().get("refused", {}).get("code") == "release.lower_revision")
        self.saw.kill_program("sawd")
        wait_for("recovery", lambda: self.saw("up").returncode == 0, 30)
        self.assertEqual(self.channel()["active"]["version"], self.version)
        self.assertEqual(self.channel()["refused"]["code"], "release.lower_revision")
        type(self).open_version = None


if __name__ == "__main__":
    unittest.main()

"""The way out, and a person's decision about it: points 5 and 6 of the slice."""
import json, pathlib, tempfile, threading, unittest

import setup_path  # noqa: F401
from support.case import POLICY, SawCase, wait_for
from origin import HOSTS, TOKEN, Origin, missing_programs

NETWORK = """
network:
  - name: source
    to: {hosts: [git.demo.example]}
    protocol: git
    credential: forge
    allow: [{op: fetch, repos: ["team/*"]}, {op: push, repos: ["team/*"], refs: ["refs/heads/agent/**"]}]
    review: [{op: push, repos: ["team/*"], refs: [refs/heads/main]}]
  - name: tasks
    to: {hosts: [api.demo.example], ports: [443]}
    credential: tasks
    allow: [{methods: [GET], paths: ["/v1/**"]}]
    review: [{methods: [POST], paths: ["/v1/**"]}]
  - name: plain
    to: {hosts: [api.demo.example], ports: [80]}
    tls: none
    allow: [{methods: [GET], paths: ["/v1/tasks"]}]
  - name: wide
    to: {hosts: ["*.listed-by-policy.example"], ports: [443]}
    allow: all
credentials:
  forge: {secret: forge-token, inject: {header: Authorization, format: "Bearer {secret}"}, only: [source]}
  tasks: {secret: forge-token, inject: {header: Authorization, format: "Bearer {secret}"}, only: [tasks]}
review: {hold: %s, expires: 1h}
"""


class EgressCase(SawCase):
    hold = "20s"

    @classmethod
    def prepare(cls):
        if lacking := missing_programs():
            raise unittest.SkipTest(f"missing: {', '.join(lacking)}")
        directory = tempfile.TemporaryDirectory(prefix="saw-origin-")
        cls.addClassCleanup(directory.cleanup)
        pathlib.Path(directory.name).chmod(0o755)
        cls.origin = Origin(pathlib.Path(directory.name) / "origin")
        cls.origin.start()
        cls.addClassCleanup(cls.origin.stop)
        connectors = [f'  - {{host: {c["host"]}, port: {c["port"]}, to: "{c["to"]}"}}' for c in cls.origin.connectors()]
        cls.perimeter = "\n".join(["apiVersion: saw/v1", "kind: Perimeter", f"trust: [{cls.origin.ca_file}]", "connectors:", *connectors, ""])
        cls.policy = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.saw.ok("secret", "put", "forge-token", input=TOKEN)
        cls.saw.workspace("dev", POLICY + NETWORK % cls.hold)

    def curl(self, *args, status=0):
        return self.sh("run", "curl -sS -m 30 " + " ".join(args), status=status)

    def refusal(self, *args):
        """The error object of a refused request."""
        return json.loads(self.curl(*args))["error"]

    def arrived(self, host, method):
        return [r for r in self.origin.requests() if r["host"] == host and r["method"] == method]


class Egress(EgressCase):
    def test_an_allowed_request_succeeds_over_https_without_any_configuration_inside(self):
        self.assertIn("make the tests pass", self.curl("https://api.demo.example/v1/tasks"))

    def test_an_allowed_request_succeeds_over_plain_http(self):
        self.assertIn("make the tests pass", self.curl("http://api.demo.example/v1/tasks"))

    def test_git_python_and_node_trust_the_workspaces_authority_too(self):
        self.sh("run", "cd /tmp && git clone -q https://git.demo.example/team/wordcount.git && test -f wordcount/Makefile")
        self.sh("run", "command -v /usr/bin/python3 >/dev/null || exit 0; /usr/bin/python3 -c \"import urllib.request as u; print(u.urlopen('https://api.demo.example/v1/tasks').status)\"")
        self.sh("run", "command -v /usr/bin/node >/dev/null || exit 0; /usr/bin/node -e \"require('https').get('https://api.demo.example/v1/tasks', r => process.exit(r.statusCode == 200 ? 0 : 1))\"")

    def test_what_the_policy_does_not_list_is_refused_with_a_machine_readable_reason(self):
        for args in (["-X", "DELETE", "https://api.demo.example/v1/tasks"], ["https://api.demo.example/other"], ["http://api.demo.example/v1/other"]):
            error = self.refusal(*args)
            self.assertTrue(error["code"] and error["reason"], error)
            self.assertEqual(error["layer"], "runtime")
        self.assertEqual(self.arrived("api.demo.example", "DELETE"), [])

    def test_no_way_out_by_name_address_other_port_udp_raw_socket_or_dns(self):
        for attempt in ("curl -sS -m 8 -f -k https://paste.demo.example/", "curl -sS -m 8 -f http://paste.demo.example/",
                        "curl -sS -m 8 -f -k https://93.184.216.34/", "curl -sS -m 8 -f -k 'https://[2001:db8::1]/'",
                        "curl -sS -m 8 -f http://api.demo.example:8080/v1/tasks", "curl -sS -m 8 -f http://169.254.169.254/latest/meta-data/",
                        "getent hosts evil.example", "bash -c 'echo x > /dev/udp/93.184.216.34/9'", "ping -c 1 -W 2 93.184.216.34",
                        f"curl -sS -m 8 -f http://127.0.0.1:{self.origin.http_port}/"):
            self.sh("run", f"command -v {attempt.split()[0]} >/dev/null || exit 7; {attempt} >/dev/null 2>&1 || exit 7", status=7)
        self.assertEqual([r for r in self.origin.requests() if r["host"] == HOSTS[2]], [])

    def test_a_raw_connection_is_captured_and_judged_too(self):
        out = self.sh("run", "bash -c 'exec 3<>/dev/tcp/93.184.216.34/80; printf \"GET / HTTP/1.1\\r\\nHost: evil.example\\r\\nConnection: close\\r\\n\\r\\n\" >&3; timeout 5 cat <&3'")
        self.assertIn("403", out.splitlines()[0])

    def test_the_perimeter_refuses_what_only_the_policy_lists(self):
        error = self.refusal("https://x.listed-by-policy.example/")
        self.assertEqual(error["code"], "perimeter.not_listed")
        self.assertEqual(error["layer"], "perimeter")

    def test_the_secret_is_injected_outside_and_never_seen_inside(self):
        self.assertIn('"user":"forge-bot"', self.curl("https://api.demo.example/v1/tasks"))
        inside = self.sh("run", "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; cat /etc/* 2>/dev/null; true")
        self.assertNotIn(TOKEN, inside)
        self.assertIn("FORGE_TOKEN=", inside)  # a placeholder

    def test_what_the_agent_sends_as_a_credential_is_replaced(self):
        self.assertIn('"user":"forge-bot"', self.curl("-H", "'Authorization: Bearer of-my-own'", "https://api.demo.example/v1/tasks"))

    def test_a_placeholder_sent_elsewhere_is_refused(self):
        before = len(self.arrived("api.demo.example", "GET"))
        done = self.sh("run", "curl -sS -m 8 -o /dev/null -w '%{http_code}' -H \"X-Leak: $FORGE_TOKEN\" http://api.demo.example/v1/tasks")
        self.assertEqual(done, "403")
        self.assertEqual(len(self.arrived("api.demo.example", "GET")), before)

    def test_a_push_to_the_agents_branch_goes_through(self):
        self.sh("run", """cd /tmp && git clone -q https://git.demo.example/team/wordcount.git w && cd w &&
            git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git push -q origin HEAD:refs/heads/agent/e2e""")
        self.assertTrue(self.origin.ref("refs/heads/agent/e2e"))


class Review(EgressCase):
    hold = "15s"

    def post(self):
        """A POST that waits for a person, in another thread: (thread, dict with its output)."""
        out = {}
        thread = threading.Thread(target=lambda: out.update(done=self.saw(
            "run", "dev", "--", "curl", "-sS", "-m", "60", "-w", "\n%{http_code}", "-d", "payload", "https://api.demo.example/v1/notes")))
        thread.start()
        return thread, out

    def waiting(self):
        return wait_for("a request that waits for a person", lambda: self.saw.json("review", "list").get("reviews"))[0]

    def answer(self, thread, out):
        thread.join(60)
        body, _, status = out["done"].stdout.rpartition("\n")
        return status, body

    def test_an_approved_request_is_sent_once(self):
        before = len(self.arrived("api.demo.example", "POST"))
        thread, out = self.post()
        review = self.waiting()
        self.assertEqual((review["method"], review["host"], review["target"]), ("POST", "api.demo.example", "/v1/notes"))
        self.assertEqual(len(self.arrived("api.demo.example", "POST")), before)
        self.saw.ok("review", "approve", review["id"])
        self.assertEqual(self.answer(thread, out)[0], "200")
        self.assertEqual(len(self.arrived("api.demo.example", "POST")), before + 1)
        self.assertNotEqual(self.saw("review", "approve", review["id"]).returncode, 0)  # single use

    def test_denied_and_timed_out_are_told_apart(self):
        before = len(self.arrived("api.demo.example", "POST"))
        thread, out = self.post()
        self.saw.ok("review", "deny", self.waiting()["id"], "--why", "not today")
        status, body = self.answer(thread, out)
        self.assertEqual((status, json.loads(body)["error"]["code"]), ("403", "review.denied"))
        thread, out = self.post()
        status, body = self.answer(thread, out)
        self.assertEqual((status, json.loads(body)["error"]["code"]), ("403", "review.timed_out"))
        self.assertEqual(len(self.arrived("api.demo.example", "POST")), before)

    def test_the_agent_cannot_decide_itself(self):
        self.sh("run", "find / -name saw.sock 2>/dev/null | grep -q . && exit 1; exit 0")


if __name__ == "__main__":
    unittest.main()

"""What protocols mean on the way out: real clients in a sandbox, real servers outside (docs/egress.md)."""
import json, pathlib, tempfile, unittest

import setup_path  # noqa: F401
from support.case import POLICY, SawCase, wait_for
from support.protocols_origin import API, CHAT, ProtocolsOrigin
from origin import Origin, missing_programs

NETWORK = f"""
network:
  - name: graph
    to: {{hosts: [{API}], paths: [/graphql]}}
    protocol: graphql
    allow: [{{types: [query], fields: [viewer]}}]
  - name: rpc
    to: {{hosts: [{API}], paths: [/rpc]}}
    protocol: jsonrpc
    allow: [{{methods: [eth_*]}}]
  - name: tools
    to: {{hosts: [{API}], paths: [/mcp]}}
    protocol: mcp
    allow:
      - {{methods: [initialize, ping, "notifications/*", tools/list]}}
      - {{methods: [tools/call], tools: ["search_*"]}}
    review: [{{methods: [tools/call], tools: [create_ticket]}}]
  - name: npm
    to: {{hosts: [{API}], paths: ["/npm/**"]}}
    protocol: registry
    allow: [{{ecosystem: npm, op: read, minAgeDays: 7}}]
  - name: pypi
    to: {{hosts: [{API}], paths: ["/pypi/**"]}}
    protocol: registry
    allow: [{{ecosystem: pypi, op: read, minAgeDays: 7}}]
  - name: chat
    to: {{hosts: [{CHAT}]}}
    protocol: websocket
    allow: [{{paths: [/chat], messages: ["hello*"]}}]
review: {{hold: 1s, expires: 1h}}
"""
CHATTING = """
import asyncio, sys, websockets
async def main():
    async with websockets.connect("wss://%s/chat") as socket:
        for text in sys.argv[1:]:
            await socket.send(text)
            try:
                print(await asyncio.wait_for(socket.recv(), 10))
            except websockets.ConnectionClosed as closed:
                print("closed", closed.code, closed.reason)
                return
asyncio.run(main())
""" % CHAT


class Protocols(SawCase):
    @classmethod
    def prepare(cls):
        if lacking := missing_programs():
            raise unittest.SkipTest(f"missing: {', '.join(lacking)}")
        directory = tempfile.TemporaryDirectory(prefix="saw-protocols-")
        cls.addClassCleanup(directory.cleanup)
        pathlib.Path(directory.name).chmod(0o755)
        certificates = Origin(pathlib.Path(directory.name))
        certificates._make_certificates()
        cls.origin = ProtocolsOrigin(certificates.dir)
        cls.origin.start()
        cls.addClassCleanup(cls.origin.stop)
        connectors = [f'  - {{host: {c["host"]}, port: {c["port"]}, to: "{c["to"]}"}}' for c in cls.origin.connectors()]
        cls.perimeter = "\n".join(["apiVersion: saw/v1", "kind: Perimeter", f"trust: [{certificates.ca_file}]", "connectors:", *connectors, ""])
        cls.policy = POLICY + NETWORK

    def post(self, path, body, kind="application/json"):
        return self.sh("run", f"curl -sS -m 30 -H 'Content-Type: {kind}' -H 'Accept: application/json, text/event-stream' --data-binary '{body}' https://{API}{path}")

    def refusal(self, path, body):
        return json.loads(self.post(path, body))["error"]

    def arrived(self, path):
        return [json.loads(body) for _, p, body in self.origin.received if p == path]

    def test_graphql_passes_field_by_field(self):
        self.assertIn("echo", self.post("/graphql", '{"query":"{ a: viewer { login } }"}'))
        error = self.refusal("/graphql", '{"query":"{ viewer: secrets }"}')
        self.assertEqual((error["code"], error["reason"]), ("policy.default_deny", "default-deny"))
        self.assertIn("query: secrets", error["ask"])
        self.assertEqual(len(self.arrived("/graphql")), 1)

    def test_one_denied_call_denies_a_batch(self):
        good, bad = '{"jsonrpc":"2.0","id":1,"method":"eth_call"}', '{"jsonrpc":"2.0","id":2,"method":"admin"}'
        self.assertIn("echo", self.post("/rpc", f"[{good},{good}]"))
        self.assertEqual(self.refusal("/rpc", f"[{good},{bad}]")["code"], "policy.default_deny")
        self.assertEqual(self.refusal("/rpc", good + bad)["reason"], "malformed:json")

    def test_an_mcp_client_sees_and_calls_only_what_the_policy_lists(self):
        listed = self.post("/mcp", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
        self.assertNotIn("sampling", listed)
        answer = json.loads(listed.split("data: ", 1)[1])
        self.assertEqual([t["name"] for t in answer["result"]["tools"]], ["search_code", "create_ticket"])
        call = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"%s","arguments":{"q":"x"}}}'
        self.assertIn("called search_code", self.post("/mcp", call % "search_code"))
        self.assertEqual(self.refusal("/mcp", call % "delete_repo")["code"], "policy.default_deny")
        self.assertEqual(self.refusal("/mcp", call % "create_ticket")["code"], "review.timed_out")
        self.assertEqual([m["params"]["name"] for m in self.arrived("/mcp") if m["method"] == "tools/call"], ["search_code"])
        self.assertIn("tools/call delete_repo", self.saw.ok("audit", "tail"))

    def test_a_websocket_client_is_judged_message_by_message(self):
        if not self.origin.chats() or self.saw("run", "dev", "--", "/usr/bin/python3", "-c", "import websockets").returncode:
            self.skipTest("missing: python3-websockets, for this Python or for /usr/bin/python3")
        out = self.saw("run", "dev", "--", "/usr/bin/python3", "-c", CHATTING, "hello", "hello again", "rm -rf")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(out.stdout.splitlines(), ["echo hello", "echo hello again", "closed 1008 policy.default_deny: default-deny"])
        wait_for("what was said", lambda: len(self.origin.said) >= 2)
        self.assertEqual(self.origin.said, ["hello", "hello again"])

    def installed(self, script):
        return self.sh("run", script).strip().splitlines()[-1]

    def test_npm_installs_the_newest_version_that_is_old_enough(self):
        if not pathlib.Path("/usr/bin/npm").exists():
            self.skipTest("missing: npm")
        ask = f"--registry https://{API}/npm/ --no-audit --no-fund --no-update-notifier --cache /tmp/c"
        for name in ("left-pad", "@acme/ui"):
            version = self.installed(f"mkdir /tmp/p && cd /tmp/p && echo '{{}}' >package.json && npm install {ask} {name} >&2 && node -p 'require(\"./node_modules/{name}/package.json\").version'")
            self.assertEqual(version, "1.0.0")
            self.assertNotEqual(self.saw("run", "dev", "--", "sh", "-c", f"mkdir /tmp/p && cd /tmp/p && echo '{{}}' >package.json && npm install {ask} {name}@2.0.0").returncode, 0)
        refused = json.loads(self.sh("run", f"curl -sS https://{API}/npm/left-pad/-/left-pad-2.0.0.tgz"))["error"]
        self.assertEqual(refused["reason"], "registry-too-young")
        self.assertFalse([p for _, p, _ in self.origin.received if p.endswith("2.0.0.tgz")])

    def test_pip_installs_the_newest_version_that_is_old_enough(self):
        if not pathlib.Path("/usr/bin/pip3").exists():
            self.skipTest("missing: python3-pip")
        ask = f"--index-url https://{API}/pypi/simple --no-cache-dir --disable-pip-version-check --target /tmp/t"
        version = self.installed(f"/usr/bin/pip3 install {ask} leftpad >&2 && PYTHONPATH=/tmp/t /usr/bin/python3 -c 'import leftpad; print(leftpad.version)'")
        self.assertEqual(version, "1.0")
        self.assertNotEqual(self.saw("run", "dev", "--", "sh", "-c", f"/usr/bin/pip3 install {ask} leftpad==2.0").returncode, 0)


if __name__ == "__main__":
    unittest.main()

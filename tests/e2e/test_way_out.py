"""Ways out that are not inspected HTTP: TLS that passes through, raw TCP, resolvers of a program's own; and how much of it all."""
import os, signal, unittest

import setup_path  # noqa: F401
from support.case import POLICY, descendants, wait_for
import test_egress

NETWORK = """
network:
  - name: sealed
    to: {hosts: [git.demo.example]}
    tls: passthrough
    allow: all
  - name: db
    to: {hosts: [db.demo.example], ports: [5432]}
    protocol: tcp
    allow: all
  - name: few
    to: {hosts: [api.demo.example], ports: [80]}
    tls: none
    limits: {requestsPerMinute: 3}
    allow: [{methods: [GET], paths: ["/v1/**"]}]
budget: {perDay: {calls: 1000, uploadBytes: 10MiB}}
"""

# Speaks DNS itself to any resolver it likes, as a static binary would: UDP and TCP.
ASK = r"""
import socket, struct, sys
name, transport = sys.argv[1], sys.argv[2]
question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0\0\1\0\1"
if transport == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.sendto(question, ("8.8.8.8", 53)); reply, who = s.recvfrom(512)
    assert who == ("8.8.8.8", 53), who
else:
    s = socket.create_connection(("8.8.8.8", 53), 5); s.sendall(struct.pack("!H", len(question)) + question); reply = s.recv(514)[2:]
print(reply[3] & 15, ".".join(map(str, reply[-4:])) if reply[7] else "-")
"""


class WayOut(test_egress.EgressCase):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.perimeter += f'  - {{host: db.demo.example, port: 5432, to: "127.0.0.1:{cls.origin.http_port}"}}\n'

    @classmethod
    def setUpClass(cls):
        super(test_egress.EgressCase, cls).setUpClass()
        cls.ca = cls.origin.ca_file.read_text()
        cls.saw.workspace("dev", POLICY + NETWORK)

    def test_tls_that_passes_through_is_the_origins_own(self):
        out = self.sh("run", f"cat > /tmp/ca.pem <<'E'\n{self.ca}\nE\ncurl -sS -m 20 --cacert /tmp/ca.pem -o /dev/null -w '%{{http_code}}' "
                             "'https://git.demo.example/team/wordcount.git/info/refs?service=git-upload-pack'")
        self.assertEqual(out, "200")
        events = self.saw.ok("audit", "query", "--host", "git.demo.example")
        self.assertIn("ALLOWED  tls to git.demo.example:443 (network.sealed.allow)", events)
        wait_for("the end of the connection in the record", lambda: "(network.sealed.allow): closed" in self.saw.ok("audit", "query", "--host", "git.demo.example"))

    def test_another_name_does_not_pass_through(self):
        for name in ("api.demo.example", "paste.demo.example"):
            self.sh("run", f"curl -sS -k -m 10 -o /dev/null --connect-to {name}:443:git.demo.example:443 https://{name}/ 2>/dev/null && exit 3; exit 0")
        self.assertEqual([r for r in self.origin.requests() if r["host"] == "paste.demo.example"], [])

    def test_raw_tcp_reaches_what_is_listed_and_nothing_else(self):
        talk = "bash -c 'exec 3<>/dev/tcp/%s && printf \"GET /v1/tasks HTTP/1.0\\r\\nHost: api.demo.example\\r\\n\\r\\n\" >&3 && timeout 10 cat <&3'"
        self.assertIn("make the tests pass", self.sh("run", talk % "db.demo.example/5432"))
        for other in ("93.184.216.34/5432", "127.0.0.1/5432", "169.254.169.254/5432"):
            self.assertNotIn("make the tests", self.sh("run", talk % other + " 2>/dev/null; exit 0"))
        self.sh("run", "command -v psql >/dev/null || exit 7; PGCONNECT_TIMEOUT=5 psql -h 93.184.216.34 -c 'select 1' postgres 2>/dev/null && exit 3; exit 7", status=7)

    def test_a_resolver_of_its_own_gets_the_same_answers(self):
        def ask(name, transport):
            return self.sh("run", f"cat > /tmp/ask.py <<'E'\n{ASK}\nE\n/usr/bin/python3 /tmp/ask.py {name} {transport}").split()
        for transport in ("udp", "tcp"):
            code, address = ask("db.demo.example", transport)
            self.assertEqual(code, "0")
            self.assertTrue(address.startswith("198.18."), address)
            self.assertEqual(ask("data.exfil.example", transport), ["3", "-"])

    def test_udp_icmp_and_raw_sockets_go_nowhere_and_loopback_servers_inside_work(self):
        self.sh("run", "/usr/bin/python3 - <<'E'\nimport socket\nfor family, kind, proto, to in ((socket.AF_INET, socket.SOCK_DGRAM, 0, ('93.184.216.34', 443)),\n"
                       "    (socket.AF_INET6, socket.SOCK_DGRAM, 0, ('2001:db8::1', 443)), (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP, ('93.184.216.34', 0)),\n"
                       "    (socket.AF_INET, socket.SOCK_RAW, 1, ('93.184.216.34', 0)), (40, socket.SOCK_STREAM, 0, (2, 5000))):\n"
                       "    try:\n        s = socket.socket(family, kind, proto); s.settimeout(2)\n        s.connect(to) if family == 40 else s.sendto(b'x', to)\n"
                       "        s.recv(1); raise SystemExit(f'{family} {kind} {proto} got out')\n    except OSError: pass\nE\n")
        out = self.sh("run", "echo x > /tmp/x; /usr/bin/python3 -m http.server 8123 --bind 127.0.0.1 --directory /tmp >/dev/null 2>&1 & for i in 1 2 3 4 5 6 7 8 9 10; do "
                             "curl -s -m 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:8123/x && break; sleep 0.5; done")
        self.assertTrue(out.endswith("200"), out)

    def test_too_many_requests_wait_and_killing_saw_egress_forgives_nothing(self):
        get = "curl -sS -m 20 -D /dev/stderr -o /dev/null -w '%{http_code} ' http://api.demo.example/v1/tasks"
        first = self.saw("run", "dev", "--", "sh", "-c", "; ".join([get] * 4))
        self.assertEqual(first.stdout.split(), ["200", "200", "200", "429"], first.stderr)
        self.assertIn("Retry-After:", first.stderr)
        error = self.refusal("http://api.demo.example/v1/tasks")
        self.assertEqual((error["code"], error["rule"]), ("limit.requests_per_minute", "network.few.limits.requestsPerMinute"))
        killed = [pid for pid, name in descendants().items() if name == "saw-egress"]
        self.assertTrue(killed)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        again = wait_for("saw-egress to be there again", lambda: self.saw("run", "dev", "--", "sh", "-c", get).stdout.strip().removeprefix("000"))
        self.assertEqual(again, "429")


if __name__ == "__main__":
    unittest.main()

"""saw-perimeter as a program: started as saw-node starts it, spoken to as sawd and saw-egress do."""
import os, pathlib, signal, socket, subprocess, tempfile, unittest

import setup_path  # noqa: F401
from support import wire
from support.rig import BIN, wait_for

SECONDS = 15
INLINE = b"i"


def fields_of(pid, *names):
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return [status[n].strip() for n in names]


class Perimeter(unittest.TestCase):
    def setUp(self):
        if not (BIN / "saw-perimeter").exists():
            self.skipTest(f"'{BIN}/saw-perimeter' has not been built")
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.config = pathlib.Path(self.dir.name) / "perimeter.yaml"
        self.log = pathlib.Path(self.dir.name) / "log"
        self.requests = 0

    def start(self, text=None):
        if text is not None:
            self.config.write_text("apiVersion: saw/v1\nkind: Perimeter\n" + text)
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
        (self.control, control), (self.audit, audit), (self.client, client) = pairs
        for ours, theirs in pairs:
            ours.settimeout(SECONDS)
            self.addCleanup(ours.close)

        def place_links():  # on 3 and 4, as saw-node does; via high numbers, so that neither overwrites the other
            high = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate((control, audit))]
            for target, source in zip((3, 4), high):
                os.dup2(source, target)
                os.close(source)

        with self.log.open("a") as log:
            self.process = subprocess.Popen([BIN / "saw-perimeter", "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log, close_fds=False, preexec_fn=place_links)
        self.addCleanup(self.stop)
        self.send(self.control, wire.add_client("ws-1"), [client.fileno()])
        for s in (control, audit, client):
            s.close()
        wait_for("the perimeter to serve its first client", lambda: "serving workspace" in self.log.read_text())

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)

    def send(self, link, payload, fds=()):
        socket.send_fds(link, [INLINE + payload], list(fds))

    def receive(self, link):
        data, fds, _, _ = socket.recv_fds(link, 1 << 16, 8)
        return data[1:], [socket.socket(fileno=fd) for fd in fds]

    def dial(self, host, port=443, ranges=()):
        """The answer's essence ("dialled", address) or ("refused", code), with the socket; its event is acknowledged."""
        self.requests += 1
        self.send(self.client, wire.dial(self.requests, host, port, ranges))
        data, sockets = self.receive(self.client)
        kind, request, *rest = wire.dial_answer(data)
        self.assertEqual(request, self.requests)
        sequence, self.event = wire.audit_record(self.receive(self.audit)[0])
        self.send(self.audit, wire.audit_ack(sequence))
        for s in sockets:
            self.addCleanup(s.close)
        return (kind, rest[0]), sockets

    def test_a_connector_hands_over_a_socket_that_talks_to_the_origin(self):
        with socket.create_server(("127.0.0.1", 0)) as origin:
            port = origin.getsockname()[1]
            self.start(f'connectors: [{{host: git.demo.example, port: 443, to: "127.0.0.1:{port}"}}]\n')
            answer, (ours,) = self.dial("git.demo.example")
            self.assertEqual(answer, ("dialled", f"connector 127.0.0.1:{port}"))
            theirs, _ = origin.accept()
            with theirs:
                theirs.sendall(b"hello")
                ours.setblocking(True)
                self.assertEqual(ours.recv(5), b"hello")
            self.assertIn("git.demo.example", self.event)

    def test_a_missing_file_denies_everything_and_the_log_says_so(self):
        self.start()
        self.assertEqual(self.dial("git.demo.example")[0], ("refused", "perimeter.not_listed"))
        self.assertIn("every destination is refused", self.log.read_text())

    def test_a_broken_file_keeps_it_up_refusing_with_the_place_of_the_error(self):
        self.start("alow: []\n")
        self.requests += 1
        self.send(self.client, wire.dial(self.requests, "git.demo.example", 443))
        kind, _, code, message = wire.dial_answer(self.receive(self.client)[0])
        self.assertEqual((kind, code), ("refused", "perimeter.misconfigured"))
        self.assertIn("perimeter.yaml:3:1", message)

    def test_a_reload_takes_the_good_file_and_keeps_the_last_good_one(self):
        with socket.create_server(("127.0.0.1", 0)) as origin:
            connector = f'connectors: [{{host: a.example, port: 443, to: "127.0.0.1:{origin.getsockname()[1]}"}}]\n'
            self.start("")
            self.assertEqual(self.dial("a.example")[0], ("refused", "perimeter.not_listed"))
            with self.config.open("a") as f:  # in place: the confined process may still open this very file
                f.write(connector)
            self.reload("1 connectors")
            self.assertEqual(self.dial("a.example")[0][0], "dialled")
            with self.config.open("a") as f:
                f.write("rubbish\n")
            self.reload("the one before stays in force")
            self.assertEqual(self.dial("a.example")[0][0], "dialled")

    def reload(self, told):
        self.process.send_signal(signal.SIGHUP)
        wait_for(f"'{told}' in the log", lambda: told in self.log.read_text())

    def test_a_replaced_file_takes_a_fresh_process(self):
        self.start("")
        other = self.config.with_suffix(".new")
        other.write_text("apiVersion: saw/v1\nkind: Perimeter\n")
        other.rename(self.config)
        self.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.process.wait(SECONDS), 0)
        self.assertIn("a fresh process reads it", self.log.read_text())

    def test_it_has_given_up_what_it_does_not_need(self):
        self.start("")
        privileges, filters, capabilities = fields_of(self.process.pid, "NoNewPrivs", "Seccomp", "CapEff")
        self.assertEqual((privileges, filters, int(capabilities, 16)), ("1", "2", 0))

    def test_no_authority_outlives_the_control_plane(self):
        for link in ("control", "audit"):
            with self.subTest(link):
                self.log.unlink(missing_ok=True)
                self.start("")
                getattr(self, link).close()
                self.assertEqual(self.process.wait(SECONDS), 0)

    def test_a_name_server_that_the_operator_names_is_asked_and_its_loopback_answer_refused(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(SECONDS)
            self.start(f'resolver: "127.0.0.1:{server.getsockname()[1]}"\nallow: [{{hosts: ["*.example.com"]}}]\n')
            self.requests += 1
            self.send(self.client, wire.dial(self.requests, "rebind.example.com", 443))
            for _ in range(2):  # A and AAAA
                query, peer = server.recvfrom(4096)
                question = query[12:query.index(b"\0", 12) + 5]
                is_a = question[-3] == 1
                record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01" if is_a else b""
                server.sendto(query[:2] + b"\x81\x80\0\x01" + bytes([0, int(is_a)]) + b"\0\0\0\0" + question + record, peer)
            kind, _, code, message = wire.dial_answer(self.receive(self.client)[0])
            self.assertEqual((kind, code), ("refused", "perimeter.address_class"))
            self.assertIn("127.0.0.1", message)


if __name__ == "__main__":
    unittest.main()

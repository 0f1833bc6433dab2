"""An origin that speaks GraphQL, JSON-RPC, MCP (streamable HTTP), WebSocket, and the registries of npm and PyPI, over HTTPS on loopback, with certificates of demo/origin.py.

    origin = ProtocolsOrigin(certificates=demo_origin.dir); origin.start()
    origin.connectors()     # for the operator's perimeter file
    origin.received         # (host, path, body) of every request that arrived
"""
import asyncio, base64, hashlib, http.server, importlib.util, io, json, ssl, tarfile, threading, time, zipfile

API, CHAT = "api.demo.example", "paste.demo.example"  # names that the demo's certificate has
TOOLS = [{"name": n, "description": f"{n} for the test", "inputSchema": {"type": "object"}} for n in ("search_code", "create_ticket", "delete_repo")]


OLD, NEW = "2020-01-01T00:00:00.000Z", time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def npm_tarball(name, version):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        text = json.dumps({"name": name, "version": version}).encode()
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return out.getvalue()


def wheel(name, version):
    out, info = io.BytesIO(), f"{name}-{version}.dist-info"
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(f"{name}.py", f"version = '{version}'\n")
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "")
    return out.getvalue()


def packages():
    """path → (type, bytes): an npm package, one in a scope, and a PyPI project, each with an old version and one of today."""
    out = {}
    for name in ("left-pad", "@acme/ui"):
        versions = {}
        for version in ("1.0.0", "2.0.0"):
            path, data = f"/npm/{name}/-/{name.split('/')[-1]}-{version}.tgz", npm_tarball(name, version)
            out[path] = ("application/octet-stream", data)
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            versions[version] = {"name": name, "version": version, "dist": {"tarball": f"https://{API}{path}", "integrity": integrity}}
        document = {"name": name, "dist-tags": {"latest": "2.0.0"}, "versions": versions, "time": {"1.0.0": OLD, "2.0.0": NEW}}
        out[f"/npm/{name}"] = ("application/json", json.dumps(document).encode())
    files = []
    for version, when in (("1.0", OLD), ("2.0", NEW)):
        file, data = f"leftpad-{version}-py3-none-any.whl", wheel("leftpad", version)
        out[f"/pypi/packages/{file}"] = ("application/octet-stream", data)
        files.append({"filename": file, "url": f"../../packages/{file}", "hashes": {"sha256": hashlib.sha256(data).hexdigest()}, "upload-time": when})
    simple = {"meta": {"api-version": "1.1"}, "name": "leftpad", "versions": ["1.0", "2.0"], "files": files}
    out["/pypi/simple/leftpad/"] = ("application/vnd.pypi.simple.v1+json", json.dumps(simple).encode())
    return out


PACKAGES = packages()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append((self.headers["Host"], self.path, body))
        if self.path == "/mcp":
            return self.mcp(json.loads(body))
        self.answer({"data": {"echo": self.path}})

    def do_GET(self):
        self.server.received.append((self.headers["Host"], self.path, b""))
        if self.path in PACKAGES:
            kind, body = PACKAGES[self.path]
            return self.send(kind, body)
        if self.path.startswith(("/npm/", "/pypi/")):
            return self.answer({"error": "not found"}, 404)
        self.answer({"data": {"echo": self.path}})

    def mcp(self, message):
        if "id" not in message:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        result = {"initialize": {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}},
                  "tools/list": {"tools": TOOLS}}.get(message["method"], {"content": [{"type": "text", "text": "called " + str(message.get("params", {}).get("name"))}]})
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        if message["method"] != "tools/list":
            return self.answer(answer)
        asked = {"jsonrpc": "2.0", "id": "s-1", "method": "sampling/createMessage", "params": {"messages": []}}
        text = "".join(f"event: message\r\ndata: {json.dumps(m)}\r\n\r\n" for m in (asked, answer)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self, value, status=200):
        self.send("application/json", json.dumps(value).encode(), status)

    def send(self, kind, text, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class ProtocolsOrigin:
    def __init__(self, certificates):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates / "leaf.pem", certificates / "leaf.key")
        self.received, self.said = [], []

    def start(self):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.received = self.received
        self.http.socket = self.context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.chat_port = None
        if not self.chats():
            return
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._serve_chat, args=(ready,), daemon=True).start()
        if not ready.wait(10):
            raise RuntimeError("the WebSocket origin did not start")

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        if self.chat_port:
            self.loop.call_soon_threadsafe(self.loop.stop)

    @staticmethod
    def chats():
        """Whether this Python has what WebSocket needs (Debian: python3-websockets)."""
        return importlib.util.find_spec("websockets") is not None

    def connectors(self):
        ports = {API: self.http.server_address[1], CHAT: self.chat_port}
        return [{"host": host, "port": 443, "to": f"127.0.0.1:{port}"} for host, port in ports.items() if port]

    def _serve_chat(self, ready):
        import websockets

        async def echo(socket, *_):
            async for message in socket:
                self.said.append(message)
                await socket.send("echo " + message if isinstance(message, str) else message)

        async def serve():
            server = await websockets.serve(echo, "127.0.0.1", 0, ssl=self.context)
            self.chat_port = server.sockets[0].getsockname()[1]
            ready.set()

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(serve())
        self.loop.run_forever()

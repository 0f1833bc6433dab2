"""An origin that speaks GraphQL, JSON-RPC, MCP (streamable HTTP) and WebSocket, over HTTPS on loopback, with certificates of demo/origin.py.

    origin = ProtocolsOrigin(certificates=demo_origin.dir); origin.start()
    origin.connectors()     # for the operator's perimeter file
    origin.received         # (host, path, body) of every request that arrived
"""
import asyncio, http.server, json, ssl, threading

API, CHAT = "api.demo.example", "paste.demo.example"  # names that the demo's certificate has
TOOLS = [{"name": n, "description": f"{n} for the test", "inputSchema": {"type": "object"}} for n in ("search_code", "create_ticket", "delete_repo")]


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
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
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
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._serve_chat, args=(ready,), daemon=True).start()
        if not ready.wait(10):
            raise RuntimeError("the WebSocket origin did not start")

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.loop.call_soon_threadsafe(self.loop.stop)

    def connectors(self):
        return [{"host": API, "port": 443, "to": f"127.0.0.1:{self.http.server_address[1]}"}, {"host": CHAT, "port": 443, "to": f"127.0.0.1:{self.chat_port}"}]

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

#!/usr/bin/env python3
"""SAW in under a minute: an unattended agent does its job in a governed workspace, then everything it must not do.

usage: demo.py [--bin DIR] [--keep]

Uses the `saw` command line only. Brings up SAW in a temporary directory, a real git server beside it, gives the agent one repository, holds
its push to main until "a person in another terminal" approves, and ends with a table made from the audit log. Exit status 0 if everything
that was to be allowed was, everything that was to be denied was, and the log verifies.
"""
import argparse, json, os, pathlib, shutil, subprocess, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from origin import HOSTS, TOKEN, Origin, missing_programs  # noqa: E402

COLOUR = sys.stdout.isatty()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def title(text):
    print(f"\n{paint('1;36', '▌ ' + text)}", flush=True)


class Saw:
    """The command line, pointed at this demo's own instance."""

    def __init__(self, binaries, directory):
        self.program = str(binaries / "saw")
        self.env = dict(os.environ, SAW_DIR=str(directory / "saw"), SAW_SOCKET=str(directory / "run" / "saw.sock"))

    def __call__(self, *args, **options):
        print(paint("2", "$ saw " + " ".join(args)), flush=True)
        done = self.quiet(*args, **options)
        for text in (done.stdout, done.stderr):
            if text:
                print("  " + text.strip().replace("\n", "\n  "), flush=True)
        return done

    def quiet(self, *args, input=None, timeout=60):
        return subprocess.run([self.program, *args], env=self.env, input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)

    def need(self, *args, **options):
        done = self(*args, **options)
        if done.returncode != 0:
            raise SystemExit(f"saw {' '.join(args)} ended with status {done.returncode}; its programs' logs are in {self.env['SAW_DIR']}/log")
        return done

    def json_lines(self, *args):
        return [json.loads(line) for line in self.quiet("--json", *args).stdout.splitlines() if line.startswith("{")]


class Approver(threading.Thread):
    """The person in the other terminal: looks at what waits and approves it."""

    def __init__(self, saw):
        super().__init__(daemon=True)
        self.saw, self.done, self.approved = saw, threading.Event(), []

    def run(self):
        while not self.done.wait(0.3):
            for document in self.saw.json_lines("review", "list"):
                for review in document.get("reviews", [document] if "id" in document else []):
                    if review.get("state", "pending") == "pending" and review["id"] not in self.approved:
                        self.approve(review)

    def approve(self, review):
        what = f"{review.get('method')} {review.get('host')}{review.get('target')}"
        print(paint("1;33", f"\n  ⏸  waits for a person: {what}  ({review['id']})"), flush=True)
        done = self.saw.quiet("review", "approve", review["id"])
        print(paint("1;33", f"  ✔  saw review approve {review['id']}" if done.returncode == 0 else f"  approve failed: {done.stderr}"), flush=True)
        self.approved.append(review["id"])


def perimeter_file(origin):
    """The operator's half: two names lead to the demo's origins. paste.demo.example has no connector, so it exists for nobody."""
    lines = ["apiVersion: saw/v1", "kind: Perimeter", f"trust: [{origin.ca_file}]", "connectors:"]
    for connector in origin.connectors():
        if not connector["host"].startswith("paste."):
            lines.append(f'  - {{host: {connector["host"]}, port: {connector["port"]}, to: "{connector["to"]}"}}')
    return "\n".join(lines) + "\n"


# ---- the summary ---------------------------------------------------------------------------------------------------------------------

def ours(event, name):
    return event.get("unmapped", {}).get("saw", {}).get(name) or ""


def row_of(event):
    """One line of the table for an event about the network, or None."""
    kind = event.get("class_uid")
    if kind not in (4001, 4002, 4003) or not ours(event, "verdict"):
        return None
    request, endpoint, query = event.get("http_request", {}), event.get("dst_endpoint", {}), event.get("query", {})
    url = request.get("url", {})
    host = url.get("hostname") or endpoint.get("hostname") or query.get("hostname") or endpoint.get("ip") or "?"
    if kind == 4002 and request.get("http_method"):
        what = f"{request['http_method']} {host}{url.get('path', '')}"
    elif kind == 4003:
        what = f"DNS {host}"
    else:
        what = f"connect {host}:{endpoint.get('port', '')}"
    why = "approved by a person" if ours(event, "review") and ours(event, "verdict") == "allowed" else ours(event, "reason")
    return (ours(event, "verdict"), ours(event, "layer"), what, why)


def table(events):
    rows = {}
    for event in events:
        if row := row_of(event):
            rows[row] = rows.get(row, 0) + 1
    colours = {"allowed": "32", "reviewing": "33", "denied": "31"}
    print(f"  {'verdict':<10} {'layer':<11} {'what':<62} {'why':<34} times")
    for verdict in ("allowed", "reviewing", "denied"):
        for (v, layer, what, why), count in rows.items():
            if v == verdict:
                print("  " + paint(colours[v], f"{v:<10}") + f" {layer:<11} {what[:62]:<62} {why[:34]:<34} {count}")
    return rows


def verdict(ok, text):
    print("  " + (paint("1;32", "✔ ") if ok else paint("1;31", "✘ ")) + text, flush=True)
    return ok


def judge(origin, rows, agent_status, approver, verified):
    """The demo checks its own claims against what the origins saw, not against what the agent says."""
    arrived = origin.requests()
    denied = " ".join(what for (v, _, what, _), _ in rows.items() if v == "denied")
    pushes = [r for r in arrived if r["method"] == "POST" and r["uri"].endswith("git-receive-pack") and r["status"] == 200]
    return all([
        verdict(agent_status == 0, "the agent did its job: cloned, fixed, tested, committed, pushed"),
        verdict(bool(origin.ref("refs/heads/agent/fix")), "its branch is on the server"),
        verdict(bool(pushes) and all(r["user"] == "forge-bot" for r in pushes), "pushes arrived with the credential that the sandbox never held"),
        verdict(bool(approver.approved) and origin.ref("main") == origin.ref("refs/heads/agent/fix"), "main moved after a person approved, and not before"),
        verdict(not any(r["host"] == HOSTS[2] for r in arrived), "nothing reached paste.demo.example, which listens"),
        verdict(not any(r["method"] == "PUT" for r in arrived), "no upload reached anybody"),
        verdict(all(name in denied for name in ("paste.demo.example", "93.184.216.34", "169.254.169.254", "tunnel.example")),
                "each attempt that the kernel let get as far as SAW is in the audit log"),
        verdict(verified, "the audit log verifies"),
    ])


def run(arguments, directory):
    saw = Saw(arguments.bin, directory)
    with Origin(directory / "origin") as origin:
        (directory / "saw").mkdir()
        (directory / "saw" / "perimeter.yaml").write_text(perimeter_file(origin))
        up = False
        try:
            title("Bring it up")
            saw.need("up")
            up = True
            saw.need("secret", "put", "forge-token", input=TOKEN + "\n")
            saw.need("workspace", "create", "dev", "--profile", "local", "--policy", str(HERE / "policy.yaml"))
            saw.need("exec", "dev", "--", "sh", "-c", "cat > /workspace/agent.sh", input=(HERE / "agent.sh").read_text())
            saw.need("session", "start", "dev", "--name", "fix")
            title("The agent works, unattended")
            approver = Approver(saw)
            approver.start()
            agent = subprocess.run([saw.program, "session", "exec", "fix", "--", "bash", "/workspace/agent.sh"], env=saw.env,
                                   stdin=subprocess.DEVNULL, timeout=120)
            approver.done.set()
            approver.join()
            title("What the session changed, before it is thrown away")
            changes = saw.quiet("session", "diff", "fix").stdout.splitlines()
            print("\n".join("  " + line for line in changes[:8]) + (f"\n  … {len(changes) - 8} more" if len(changes) > 8 else ""))
            saw.need("session", "end", "fix")
            title("What happened, from the audit log")
            rows = table(saw.json_lines("audit", "query"))
            title("Checked")
            verified = saw("audit", "verify").returncode == 0
            return judge(origin, rows, agent.returncode, approver, verified)
        finally:
            if up:
                title("Take it down")
                saw("down")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=os.environ.get("SAW_BIN", HERE.parent / "build" / "dev" / "bin"))
    parser.add_argument("--keep", action="store_true", help="leave the directory, with logs and audit log, for inspection")
    arguments = parser.parse_args()
    arguments.bin = arguments.bin.resolve()
    if lacking := missing_programs() + ([] if (arguments.bin / "saw").exists() else [str(arguments.bin / "saw")]):
        raise SystemExit(f"missing: {', '.join(lacking)}")
    began = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="saw-demo-"))
    directory.chmod(0o755)  # saw's programs run under uids of their own
    try:
        ok = run(arguments, directory)
    finally:
        if arguments.keep:
            print(f"\nleft in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"\n{'done' if ok else 'NOT as promised'} in {time.monotonic() - began:.1f} s")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())

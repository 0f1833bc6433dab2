"""One SAW of its own for a test: temporary directory, the `saw` command line, and everything that must be gone afterwards.

    saw = Saw.start(self)                       # as root, or as the user that SAW_E2E_USER names; stopped by the test's cleanup
    saw.ok("workspace", "create", "dev", "--profile", "local", "--policy", saw.file("p.yaml", POLICY))
    done = saw("run", "dev", "--", "true")      # .returncode, .stdout, .stderr

The test process is made the reaper of its descendants, so "what this SAW left behind" is exactly "whatever still descends from us".
Environment: SAW_BIN (where the programs are), SAW_E2E_USER (run as this ordinary user; made if we are root and it is absent).
"""
import ctypes, json, os, pathlib, pwd, shutil, signal, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))
BIN = pathlib.Path(os.environ.get("SAW_BIN", ROOT / "build" / "dev" / "bin")).resolve()
PROGRAMS = ("saw-node", "sawd", "saw-perimeter", "saw-egress", "saw-init")
PR_SET_CHILD_SUBREAPER = 36

# The least policy: no network. Tests add their own `network`.
POLICY = """
apiVersion: saw/v1
kind: Policy
metadata: {name: e2e}
profile: local
isolation: namespace
filesystem:
  read: [/usr, /lib, /lib64, /bin, /sbin, /etc/alternatives, /etc/ssl]
  write: [/workspace, /home/agent, /tmp]
process:
  limits: {memory: 512MiB, pids: 128, openFiles: 512}
"""


def become_reaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "becoming the reaper of descendants")


def wait_for(what, condition, seconds=20):
    """Polls until condition() is true; there is no event to wait for on the far side of a command line."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for: {what}")


def descendants():
    """pid → name of every living process that descends from this one. Zombies that nobody else waits for are reaped on the way."""
    parents, names = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
            parents[int(entry)] = int(rest[1])
            names[int(entry)] = (name, rest[0])
    ours, changed = {os.getpid()}, True
    while changed:
        more = {p for p, parent in parents.items() if parent in ours} - ours
        ours |= more
        changed = bool(more)
    out = {}
    for pid in ours - {os.getpid()}:
        name, state = names[pid]
        if state == "Z":
            if parents[pid] == os.getpid() and name in PROGRAMS + ("sh", "sleep", "bash"):
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
        else:
            out[pid] = name
    return out


def cgroup_directories(instance_names):
    """Every control group directory, of any hierarchy, that bears one of these names."""
    found = set()
    for base, directories, _ in os.walk("/sys/fs/cgroup"):
        found |= {os.path.join(base, d) for d in directories if d in instance_names}
    return found


class User:
    """Who runs SAW in this test run."""

    def __init__(self):
        name = os.environ.get("SAW_E2E_USER")
        if not name or name == "root":
            entry = pwd.getpwuid(os.getuid())
        else:
            entry = self._find_or_make(name)
        self.name, self.uid, self.gid = entry.pw_name, entry.pw_uid, entry.pw_gid

    @staticmethod
    def _find_or_make(name):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            if os.geteuid() != 0:
                raise Missing(f"there is no user '{name}', and only root can make one")
            subprocess.run(["useradd", "--system", "--create-home", "--shell", "/bin/sh", name], check=True)
            return pwd.getpwnam(name)

    @property
    def is_other(self):
        return self.uid != os.geteuid()

    def popen_options(self):
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}


class Missing(Exception):
    """Something of this host that the tests cannot do without; they are skipped with this text."""


class Saw:
    TIMEOUT = 60

    def __init__(self, test):
        if not (BIN / "saw").exists():
            raise Missing(f"'{BIN}/saw' has not been built")
        become_reaper()
        self.user = User()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="saw-e2e-"))
        self.dir.chmod(0o755)
        if self.user.is_other:
            os.chown(self.dir, self.user.uid, self.user.gid)
        self.state = self.dir / "state"
        self.run_directory = self.dir / "run"
        self.state.mkdir()
        if self.user.is_other:
            os.chown(self.state, self.user.uid, self.user.gid)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "USER": self.user.name, "LANG": "C.UTF-8",
                    "SAW_DIR": str(self.state), "SAW_SOCKET": str(self.run_directory / "saw.sock")}
        self.bin = self.programs_for_user()
        self.before = set(descendants())
        test.addClassCleanup(self.close) if isinstance(test, type) else test.addCleanup(self.close)

    def programs_for_user(self):
        """Where the programs are: their own folder, or a copy beside the state when the user cannot reach that (a checkout below /root)."""
        if not self.user.is_other:
            return BIN
        shown = self.dir / "bin"
        shown.mkdir(mode=0o755)
        for program in ("saw", *PROGRAMS):
            shutil.copy(BIN / program, shown / program)
        if subprocess.run([shown / "saw", "help"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          cwd="/", **self.user.popen_options()).returncode != 0:
            raise Missing(f"user '{self.user.name}' cannot run 'saw'")
        return shown

    @classmethod
    def start(cls, test, perimeter=None):
        saw = cls(test)
        if perimeter is not None:
            saw.perimeter(perimeter)
        saw.ok("up")
        return saw

    def __call__(self, *args, input=None, timeout=TIMEOUT, env=None):
        try:
            return subprocess.run([str(self.bin / "saw"), *map(str, args)], env={**self.env, **(env or {})}, cwd="/", timeout=timeout,
                                  input=input if input is not None else "", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  errors="replace", **self.user.popen_options())
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"saw {' '.join(map(str, args))} did not end within {timeout} s\n{late.stdout}\n{late.stderr}\n{self.logs()}")

    def ok(self, *args, **options):
        done = self(*args, **options)
        if done.returncode != 0:
            raise AssertionError(f"saw {' '.join(map(str, args))} ended with {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs()}")
        return done.stdout

    def json(self, *args, **options):
        return json.loads(self.ok("--json", *args, **options))

    def popen(self, *args, **options):
        settings = dict(env=self.env, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen([str(self.bin / "saw"), *map(str, args)], **{**settings, **options}, **self.user.popen_options())

    def file(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def perimeter(self, text):
        (self.state / "perimeter.yaml").write_text(text)
        (self.state / "perimeter.yaml").chmod(0o644)

    def workspace(self, name="dev", policy=POLICY, **options):
        return self.ok("workspace", "create", name, "--profile", "local", "--policy", self.file(f"{name}.yaml", policy), **options)

    def events(self, *filters):
        return [json.loads(line) for line in self.ok("--json", "audit", "query", *filters).splitlines() if line.startswith("{")]

    def programs(self, name):
        """pids of this SAW's processes of this name."""
        return [pid for pid, n in descendants().items() if n == name and pid not in self.before]

    def cgroup_names(self):
        """Names of this SAW's own directory of control groups, as its running sandboxes tell; empty where it may not make any."""
        names = set()
        for pid in self.programs("saw-init"):
            for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
                names |= {part for part in line.split(":", 2)[2].split("/") if part.startswith("saw-")}
        return names

    def kill_program(self, name):
        """kill -9 of one of SAW's own programs."""
        pid = wait_for(f"a running {name}", lambda: self.programs(name))[0]
        os.kill(pid, signal.SIGKILL)
        wait_for(f"the end of {name} {pid}", lambda: pid not in self.programs(name))

    def residue(self):
        """What of this SAW is still there, by kind; all empty after `saw down`."""
        mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.dir) in line]
        sockets = [str(p) for p in self.run_directory.rglob("*") if p.is_socket()] if self.run_directory.exists() else []
        processes = {pid: name for pid, name in descendants().items() if pid not in self.before}
        return {"processes": processes, "mounts": mounts, "sockets": sockets}

    def logs(self):
        """The end of each program's log, for the message of a failed test."""
        out = []
        for path in sorted((self.state / "log").glob("*")) if (self.state / "log").exists() else []:
            out.append(f"---- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:]))
        return "\n".join(out)

    def close(self):
        try:
            subprocess.run([str(self.bin / "saw"), "down"], env=self.env, cwd="/", timeout=30, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           stdin=subprocess.DEVNULL, **self.user.popen_options())
        except subprocess.TimeoutExpired:
            pass
        for pid in self.residue()["processes"]:  # ours by descent; only after a failed test is anything left
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if os.environ.get("SAW_E2E_KEEP"):
            print(f"left in {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

"""What an agent leaves in a workspace that is then forked, kept and committed into: marks of overlayfs, special files, names and trees."""
import json, os, stat, unittest

import setup_path  # noqa: F401
from support.case import SawCase
from support.rig import User

# Run inside; tells what the kernel let it do.
FILL = r"""
import os, json, socket
out = {}
def attempt(name, what):
    try:
        what(); out[name] = "done"
    except OSError as e:
        out[name] = e.strerror
def write(path, text="x"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f: f.write(text)
w = "/workspace/"
for d in ("opaque", "xopaque", "redirect", "origin", "protected", "plain"): write(w + d + "/f", d)
write(w + "metacopy", "metacopy"); write(w + "xopaque/hidden", ""); write(w + "escaped", "escaped")
for space in ("user", "trusted"):
    for path, mark, value in (("opaque", "opaque", b"y"), ("xopaque", "opaque", b"x"), ("xopaque/hidden", "whiteout", b"y"),
                              ("redirect", "redirect", b"/plain"), ("metacopy", "metacopy", b""), ("metacopy", "redirect", b"/plain/f"),
                              ("origin", "origin", b"\0\xfb\x1d\0\1" + bytes(24)), ("plain", "impure", b"y"), ("escaped", "overlay.opaque", b"y")):
        attempt(f"{space}.overlay.{mark} {path}", lambda: os.setxattr(w + path, f"{space}.overlay.{mark}", value))
attempt("whiteout", lambda: os.mknod(w + "whiteout", 0o20644, os.makedev(0, 0)))
attempt("device", lambda: os.mknod(w + "null", 0o20666, os.makedev(1, 3)))
attempt("block", lambda: os.mknod(w + "block", 0o60666, os.makedev(254, 0)))
attempt("fifo", lambda: os.mkfifo(w + "fifo"))
attempt("socket", lambda: socket.socket(socket.AF_UNIX).bind(w + "socket"))
write(w + "setuid"); attempt("setuid", lambda: os.chmod(w + "setuid", 0o6755))
os.mkdir(w + "sticky"); attempt("sticky", lambda: os.chmod(w + "sticky", 0o7777))
attempt("chown", lambda: os.chown(w + "setuid", 0, 0))
for name, to in (("passwd", "/etc/passwd"), ("up", "../../../../../../../../etc"), ("proc", "/proc/self/root")): os.symlink(to, w + name)
write(w + "linked"); os.link(w + "linked", w + "plain/linked")
for name in (b"new\nline", b"\xff\xfe", b"n" * 255, b"-rf", b"\x1b[2J", b"l-aaaa-0", b"record"): open(b"/workspace/" + name, "w").close()
os.mkdir(w + "closed"); write(w + "closed/f"); os.chmod(w + "closed/f", 0); os.chmod(w + "closed", 0)
os.mkdir(w + "deep"); os.chdir(w + "deep")
for i in range(1500): os.mkdir("d" * 20); os.chdir("d" * 20)
print(json.dumps(out))
"""
LOOK = r"""
import os, json
out = {}
w = "/workspace/"
for name in ("opaque/f", "xopaque/f", "xopaque/hidden", "redirect/f", "origin/f", "metacopy", "plain/f", "whiteout", "fifo", "socket", "setuid",
             "sticky", "linked", "closed", "passwd", "null", "block"):
    try:
        s = os.lstat(w + name); out[name] = oct(s.st_mode) + f" {s.st_uid == os.getuid()} {s.st_size}"
    except OSError as e: out[name] = e.strerror
out["names"] = sorted(os.fsencode(n).hex() for n in os.listdir("/workspace"))
print(json.dumps(out))
"""


# In a session on top: every kind of change to every kind of entry.
CHANGE = r"""
import os
w = "/workspace/"
def attempt(what):
    try: what()
    except OSError: pass
def write(name):
    with open(w + name, "w") as f: f.write("new")
for name in ("opaque/f", "xopaque/f", "xopaque/hidden", "redirect/f", "origin/f", "metacopy", "plain/f", "setuid", "linked", "whiteout"): attempt(lambda: write(name))
for name in ("fifo", "passwd", "up"): attempt(lambda: os.remove(w + name))
attempt(lambda: os.mkdir(w + "passwd")); attempt(lambda: write("passwd/x")); attempt(lambda: write("up"))
attempt(lambda: os.setxattr(w + "plain", "user.overlay.opaque", b"y")); attempt(lambda: os.setxattr(w + "opaque/f", "user.overlay.metacopy", b""))
"""
ROOTLESS = User().uid != 0
# Without a user of its own for overlayfs's marks, an agent can set them itself while its workspace is one plain directory. All that
# they do is to hide its own files from then on (docs/decisions/0019-layers-of-storage.md).
HIDDEN = {"xopaque/hidden": "No such file or directory", "metacopy": "Operation not permitted"} if ROOTLESS else {}


class Hostile(SawCase):
    def python(self, kind, code, where="dev"):
        done = self.saw(*kind.split(), where, "--", "python3", "-c", code)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def owners(self):
        """Who owns what in each layer, by the index in the layer's name."""
        found = {}
        for layer in os.listdir(self.saw.state / "node" / "layers"):
            for base, directories, files in os.walk(os.fsencode(self.saw.state / "node" / "layers" / layer / "files")):
                for name in [b"."] + directories + files:
                    if len(os.path.join(base, name)) >= 4000:
                        continue
                    info = os.lstat(os.path.join(base, name))
                    if not stat.S_ISCHR(info.st_mode):  # the mark of a deletion is overlayfs's own
                        found.setdefault(int(layer.rsplit("-", 1)[1]), set()).add((info.st_uid, name if info.st_uid == 0 else b""))
        return found

    def test_what_an_agent_leaves_shows_the_same_in_forks_and_snapshots_and_owns_nothing_elsewhere(self):
        allowed = self.python("exec", FILL)
        self.assertEqual(allowed["fifo"], "done")
        for refused in ("whiteout", "device", "block", "setuid", "sticky", "chown", "trusted.overlay.opaque opaque", "trusted.overlay.redirect redirect"):
            self.assertNotEqual(allowed[refused], "done", refused)
        before = self.python("exec", LOOK)
        self.saw.ok("workspace", "snapshot", "dev", "--name", "kept")
        self.saw.ok("workspace", "fork", "dev", "copy")
        self.saw.ok("session", "start", "copy", "--name", "s")
        frozen = {**before, **HIDDEN}
        for kind, where in (("exec", "dev"), ("exec", "copy"), ("run", "copy"), ("session exec", "copy/s")):
            self.assertEqual(self.python(kind, LOOK, where), frozen, f"{kind} {where}")
        self.assertEqual(self.saw.json("session", "diff", "copy/s")["changes"], [])

        self.python("session exec", CHANGE, "copy/s")
        done = self.saw.json("session", "commit", "copy/s", "--yes")
        self.assertEqual(done["conflicts"], [])
        self.assertEqual(done["left_paths"], ["/workspace/xopaque/hidden"] if ROOTLESS else [])
        after = self.python("exec", LOOK, "copy")
        for name in ("opaque/f", "redirect/f", "origin/f", "plain/f", "setuid", "linked", "whiteout"):
            self.assertEqual(after[name], "0o100644 True 3", name)
        self.assertEqual((after["fifo"], after["passwd"][:7]), ("No such file or directory", "0o40755"))
        self.assertEqual(self.python("exec", LOOK), frozen, "the first has what it had")
        if not ROOTLESS:
            for index, uids in self.owners().items():
                self.assertLessEqual(uids, {(730_000 + index, b"")}, "each layer belongs to whoever wrote it, on the host too")

        self.saw.ok("workspace", "rebuild", "dev", "--snapshot", "kept")
        self.assertEqual(self.python("exec", LOOK), frozen)
        for name in ("copy", "dev"):
            self.saw.ok("workspace", "decommission", name)
        for place in ("layers", "ws", "trash"):
            self.assertEqual(os.listdir(self.saw.state / "node" / place), [])


class Laundering(SawCase):
    def test_no_fork_carries_a_hook_past_its_reviewer(self):
        self.sh("exec", "mkdir -p h/.git/hooks h/tools; echo '[core]' > h/.git/config")
        self.saw.ok("workspace", "snapshot", "dev", "--name", "before")
        self.saw.ok("session", "start", "dev", "--name", "one")
        self.sh("session exec", "echo x > h/.git/hooks/pre-commit; echo x > /home/agent/.profile; echo work > h/a", where="dev/one")
        self.saw.ok("session", "fork", "dev/one", "two")
        self.sh("session exec", "mv h/.git/hooks/pre-commit h/.git/hooks/post-commit; printf '[core]\\nhooksPath = tools\\n' > h/.git/config; echo more > h/b",
                where="dev/two")
        self.saw.ok("session", "fork", "dev/two", "three")
        absent = "test ! -e h/.git/hooks/pre-commit -a ! -e h/.git/hooks/post-commit -a ! -e /home/agent/.profile && ! grep -q hooksPath h/.git/config"
        for session, reviews in (("three", 3), ("one", 2)):
            done = self.saw.json("session", "commit", f"dev/{session}", "--yes")
            self.assertEqual((done["conflicts"], len(done["reviews"])), ([], reviews), session)
            self.sh("exec", absent)
        self.sh("exec", "cat h/a h/b")
        self.saw.ok("workspace", "snapshot", "dev", "--name", "after")
        self.saw.ok("workspace", "fork", "dev", "copy")
        self.addCleanup(self.saw, "workspace", "decommission", "copy")
        self.sh("exec", absent, where="copy")
        self.assertEqual(self.saw.json("session", "list", "copy")["sessions"], [])
        self.saw.ok("workspace", "rebuild", "dev", "--snapshot", "after")
        self.sh("exec", absent)
        self.assertEqual(self.saw.json("review", "list")["reviews"], [])


if __name__ == "__main__":
    unittest.main()

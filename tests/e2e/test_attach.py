"""`saw attach` with a real terminal: it is found again, mirrored, sized, and its owner's alone."""
import fcntl, os, pty, re, select, signal, struct, subprocess, termios, time, unittest

import setup_path  # noqa: F401
from support.case import SawCase, wait_for

LEAVE = b"\x10\x11"


class Screen:
    """A person at a terminal: `saw attach …` on a pty of its own."""

    def __init__(self, saw, *args, rows=24, columns=80):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.process = saw.popen("attach", *args, stdin=slave, stdout=slave, stderr=slave)
        self.slave = slave
        self.shown = b""

    def look(self, seconds=0.1):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self.master], [], [], left)[0]:
            try:
                self.shown += os.read(self.master, 65536)
            except OSError:
                return

    def until(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.shown) and time.monotonic() < end:
            self.look()
        if not re.search(pattern, self.shown):
            raise AssertionError(f"{pattern!r} was never shown; this was: {self.shown[-2000:]!r}")
        return self

    def type(self, keys):
        os.write(self.master, keys)
        return self

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def end(self, seconds=20):
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.look()
        self.look()
        return self.process.wait(1)

    def leave(self):
        self.type(LEAVE)
        return self.end()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Attach(SawCase):
    def screen(self, *args, **size):
        screen = Screen(self.saw, *args, **size)
        self.addCleanup(screen.close)
        return screen

    def shell(self, name, **size):
        """A quiet shell of its own for a test."""
        return self.screen("dev", "--new", name, "--", "sh", "-c", "echo READY; exec sh", **size).until(b"READY")

    def terminals(self):
        return {t["name"]: t for t in self.saw.json("attach", "dev", "--list")["terminals"]}

    def test_detaching_leaves_it_running_and_the_next_attach_finds_the_same_processes(self):
        one = self.shell("again").type(b"PS1=; echo pid=$$; x=kept\n").until(rb"pid=(\d+)\r")
        pid = re.search(rb"pid=(\d+)\r", one.shown)[1]
        self.assertIn(b"Ctrl-P Ctrl-Q detaches", one.shown)
        self.assertEqual(one.leave(), 0)
        self.assertIn(b"goes on", one.shown)
        self.assertEqual(termios.tcgetattr(one.slave), one.before, "the terminal is as it was")
        two = self.screen("dev", "--name", "again").until(b"pid=" + pid)
        two.type(b"echo again=$$ $x\n").until(b"again=" + pid + b" kept")
        self.assertEqual(two.leave(), 0)
        self.assertEqual(self.terminals()["again"]["state"], "running")

    def test_a_login_shell_is_started_on_a_terminal_of_the_sandbox(self):
        shell = self.screen("dev").until(b"attached to terminal 'main'")
        shell.type(b"tty; test -t 0 && echo T''TY; echo F''LAGS=$-$0; ls /proc/1/exe 2>&1 | head -1\n").until(rb"TTY[\s\S]*FLAGS=\S+")
        self.assertRegex(shell.shown, rb"/dev/pts/\d+")
        self.assertRegex(shell.shown, rb"FLAGS=\S*i")
        self.assertEqual(shell.type(b"exit 7\n").end(), 7, shell.shown)
        self.assertNotIn("main", self.terminals())

    def test_the_exit_status_is_passed_on_and_what_ended_unseen_is_told_later(self):
        self.assertEqual(self.screen("dev", "--new", "five", "--", "sh", "-c", "exit 5").end(), 5)
        self.assertEqual(self.screen("dev", "--new", "term", "--", "sh", "-c", "kill -TERM $$").end(), 128 + 15)
        build = self.screen("dev", "--new", "build", "--", "sh", "-c", "echo building; read x; sleep 1; echo $x done; exit 3").until(b"building")
        build.type(b"all\n" + LEAVE)
        self.assertEqual(build.end(), 0)
        wait_for("its end", lambda: self.terminals()["build"]["state"] == "ended")
        self.assertEqual(self.terminals()["build"]["exit"], {"end": "exited", "status": 3})
        late = self.screen("dev", "--name", "build")
        self.assertEqual(late.end(), 3)
        self.assertRegex(late.shown, rb"ended while nobody was attached[\s\S]*building[\s\S]*all done")
        self.assertNotIn("build", self.terminals())
        self.assertEqual(self.saw("attach", "dev", "--end", "--name", "build").returncode, 1)

    def test_it_outlives_the_kill_of_its_client_and_a_closed_terminal(self):
        for number, how in enumerate((signal.SIGKILL, signal.SIGHUP, signal.SIGTERM)):
            one = self.shell(f"killed{number}").type(b"PS1=; echo pid=$$\n").until(rb"pid=(\d+)\r")
            pid = re.search(rb"pid=(\d+)\r", one.shown)[1]
            one.process.send_signal(how)
            self.assertEqual(one.end(), -9 if how == signal.SIGKILL else 0)
            two = self.screen("dev", "--name", f"killed{number}").until(b"pid=" + pid)
            two.type(b"echo alive=$$\n").until(b"alive=" + pid)
            self.assertEqual(two.type(b"exit\n").end(), 0)

    def test_all_who_are_attached_see_the_same_and_the_last_one_decides_the_size(self):
        one = self.shell("mirror", rows=20, columns=70).type(b"stty size\n").until(b"20 70")
        two = self.screen("dev", "--name", "mirror", rows=33, columns=101).until(b"READY")
        one.type(b"stty size\n").until(b"33 101")
        two.until(b"33 101")
        two.type(b"echo f''rom two\n").until(b"from two")
        one.until(b"from two")
        one.resize(9, 9)
        two.resize(34, 102)
        two.type(b"sleep 0.3; stty size\n").until(b"34 102")
        self.assertEqual(two.leave(), 0)
        one.type(b"sleep 0.3; stty size; echo s''ized\n").until(b"sized")
        self.assertIn(b"9 9\r", one.shown)
        self.assertEqual(one.type(b"exit 4\n").end(), 4)

    def test_a_flood_with_nobody_attached_is_bounded_and_its_end_is_shown(self):
        flood = self.screen("dev", "--new", "flood", "--", "sh", "-c", "read x; head -c 20000000 /dev/zero | tr '\\0' z; printf '\\033[31mEND\\n'; sleep 600")
        flood.until(b"attached").type(b"\n" + LEAVE)
        self.assertEqual(flood.end(), 0)
        time.sleep(1)
        late = self.screen("dev", "--name", "flood").until(b"END", 40)
        self.assertLess(len(late.shown), 400_000)
        self.assertEqual(late.leave(), 0)
        self.assertEqual(self.saw("exec", "dev", "--", "true").returncode, 0, "nobody else was held up")
        self.saw.ok("attach", "dev", "--end", "--name", "flood")
        self.assertNotIn("flood", self.terminals())

    def test_much_output_arrives_whole_while_somebody_looks(self):
        shown = self.screen("dev", "--new", "whole", "--", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line-$i-line-line; i=$((i+1)); done; exit 6")
        self.assertEqual(shown.end(60), 6)
        numbers = [int(n) for n in re.findall(rb"line-(\d+)-line-line\r", shown.shown)]
        self.assertEqual(numbers, list(range(20000)))

    def test_the_keys_that_leave_are_the_programs_when_they_come_alone(self):
        cat = self.screen("dev", "--new", "keys", "--", "sh", "-c", "stty raw -echo; echo READY; dd bs=1 count=3 2>/dev/null | od -An -tx1").until(b"READY")
        cat.type(b"\x10")
        time.sleep(0.6)
        cat.type(b"\x11\x10")
        self.assertEqual(cat.end(), 0)
        self.assertRegex(cat.shown, rb"10 11 10")

    def test_ending_it_kills_even_what_does_not_listen(self):
        deaf = self.screen("dev", "--new", "deaf", "--", "sh", "-c", "trap '' HUP TERM; echo READY; while :; do sleep 1; done").until(b"READY")
        self.saw.ok("attach", "dev", "--end", "--name", "deaf")
        self.assertEqual(deaf.end(), 137)

    def test_a_terminal_ends_with_its_workspaces_sandbox(self):
        self.saw.workspace("brief")
        one = self.screen("brief", "--", "sh", "-c", "echo READY; exec sleep 600").until(b"READY")
        self.saw.ok("workspace", "stop", "brief")
        self.assertEqual(one.end(), 137)
        self.assertNotEqual(self.screen("brief").end(), 0)

    def test_one_in_a_session_writes_there(self):
        self.saw.ok("session", "start", "dev", "--name", "s")
        one = self.screen("dev", "--session", "s", "--", "sh", "-c", "echo in > /workspace/in-session; echo READY; sleep 600").until(b"READY")
        self.assertEqual(self.sh("exec", "ls /workspace/in-session || true"), "")
        self.assertEqual(self.sh("session exec", "cat /workspace/in-session", where="s"), "in\n")
        self.assertEqual(one.leave(), 0)
        self.saw.ok("session", "end", "s")
        self.assertNotIn("main", {t["name"] for t in self.terminals().values() if t.get("session")})

    def test_what_makes_no_sense_is_refused_before_anything_starts(self):
        before = set(self.terminals())
        for args in (("--name", "nope"), ("--new", "../x"), ("--new", "a", "--name", "b"), ("--name", "a", "--", "ls"), ("--end", "--list")):
            self.assertNotEqual(self.screen("dev", *args).end(), 0, args)
        self.assertEqual(self.saw("attach", "dev", input="").returncode, 2, "without a terminal")
        self.assertEqual(set(self.terminals()), before)

    def test_attaching_and_leaving_are_in_the_audit_log(self):
        one = self.shell("audited")
        self.assertEqual(one.leave(), 0)
        self.saw.ok("attach", "dev", "--end", "--name", "audited")
        said = [e["message"] for e in self.saw.events() if "terminal 'audited'" in e.get("message", "")]
        for verb in ("attached to", "detached from", "ended"):
            self.assertTrue(any(verb in message for message in said), (verb, said))

    def test_what_survives_the_daemon_is_what_left_the_terminal(self):
        """R10 and its limit: the pty is sawd's, so its end is a hangup; the sandbox and what left the terminal's session live on."""
        one = self.screen("dev", "--new", "daemon", "--", "sh", "-c", "setsid sleep 333 >/dev/null 2>&1 </dev/null & echo $! > /workspace/left; echo $$ > /workspace/stays; echo READY; exec sleep 600").until(b"READY")
        self.saw.kill_program("sawd")
        one.end()
        wait_for("recovery", lambda: self.saw("up").returncode == 0 and self.saw("exec", "dev", "--", "true").returncode == 0, 30)
        self.assertEqual(self.terminals(), {})
        self.sh("exec", "kill -0 $(cat /workspace/left) && kill $(cat /workspace/left)")
        wait_for("the hangup", lambda: self.saw("exec", "dev", "--", "sh", "-c", "kill -0 $(cat /workspace/stays)").returncode != 0)
        self.shell("daemon").leave()


class Stranger(SawCase):
    def as_stranger(self, *args):
        """`saw` as a user that SAW has never heard of, at a terminal."""
        master, slave = pty.openpty()
        os.fchmod(slave, 0o666)
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        program = os.open(self.saw.bin / "saw", os.O_RDONLY)  # a descriptor: the way there may be closed to others
        self.addCleanup(os.close, program)
        return subprocess.run(["saw", *args], executable=f"/proc/self/fd/{program}", pass_fds=[program], user=12345, group=12345,
                              extra_groups=[], env=self.saw.env, cwd="/", stdin=slave, capture_output=True, text=True, timeout=60)

    def test_nobody_but_the_owner_is_let_in_and_the_attempt_is_recorded(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        self.assertEqual(self.as_stranger("help").returncode, 0)
        own = Screen(self.saw, "dev", "--", "sh", "-c", "echo READY; exec sleep 600").until(b"READY")
        self.addCleanup(own.close)
        workspace = self.saw.json("workspace", "show", "dev")["id"]
        for args in ((), ("--new", "theirs"), ("--list",), ("--end",)):
            refused = self.as_stranger("attach", workspace, *args)
            self.assertIn(refused.returncode, (125, 126), (args, refused.stderr))
            self.assertNotIn("READY", refused.stdout)
        self.assertEqual(list({t["name"] for t in self.saw.json("attach", "dev", "--list")["terminals"]}), ["main"])
        if self.saw.user.uid == 0:  # a rootless daemon's socket is not even reachable
            denied = [e["message"] for e in self.saw.events() if "was denied attach" in e.get("message", "")]
            self.assertEqual(len(denied), 2, denied)
        self.assertEqual(own.leave(), 0, "the owner was not disturbed")


if __name__ == "__main__":
    unittest.main()

"""The demo's outside world: a real git server and two small web origins on loopback.

    with Origin(directory) as origin:
        origin.https_port, origin.http_port, origin.ca_file

Debian's nginx in front of git's own http-backend (through fcgiwrap), over HTTP and HTTPS with a CA of its own. Three names are served:

    git.demo.example     bare repository /team/wordcount.git; anybody reads, only the bearer token writes
    api.demo.example     GET /v1/tasks gives JSON and says whose token arrived
    paste.demo.example   takes any upload with 200: what an exfiltration would like to reach

Everything lies in one directory; ports are chosen by the kernel; processes are stopped by their process groups. Works as root and as an ordinary user.
`requests()` says what arrived, from nginx's own log. Alone: python3 demo/origin.py DIRECTORY serves until its standard input ends.
"""
import json, os, pathlib, shutil, signal, socket, subprocess, sys, time

TOKEN = "forge-demo-token-5f2c1"  # what SAW injects; the agent never sees it
HOSTS = ("git.demo.example", "api.demo.example", "paste.demo.example")
HERE = pathlib.Path(__file__).resolve().parent

NGINX = """
daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log warn; worker_processes 1; {user}
events {{ worker_connections 128; }}
http {{
  client_max_body_size 64m; default_type application/json;
  log_format requests escape=json
    '{{"host":"$host","method":"$request_method","uri":"$request_uri","status":$status,"user":"$pusher","authorization":"$has_authorization"}}';
  access_log {dir}/access.log requests;
  client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp; fastcgi_temp_path {dir}/tmp; uwsgi_temp_path {dir}/tmp; scgi_temp_path {dir}/tmp;
  map $http_authorization $pusher {{ default ""; "Bearer {token}" "forge-bot"; }}
  map $http_authorization $has_authorization {{ default "yes"; "" "no"; }}
  ssl_certificate {dir}/leaf.pem; ssl_certificate_key {dir}/leaf.key; ssl_session_cache off;
  server {{
    listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl; server_name git.demo.example;
    location / {{
      fastcgi_pass unix:{dir}/fcgi.sock;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_PROJECT_ROOT {dir}/repos; fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REMOTE_USER $pusher; fastcgi_param REMOTE_ADDR $remote_addr;
    }}
  }}
  server {{
    listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl; server_name api.demo.example;
    location = /v1/tasks {{ return 200 '{{"tasks":["make the tests pass"],"user":"$pusher"}}\\n'; }}
    location / {{ return 200 '{{"method":"$request_method","uri":"$request_uri"}}\\n'; }}
  }}
  server {{
    listen 127.0.0.1:{http} default_server; listen 127.0.0.1:{https} ssl default_server; server_name paste.demo.example;
    location / {{ return 200 '{{"stored":true}}\\n'; }}
  }}
}}
"""


def run(*argv, **kwargs):
    """A helper program; its output is shown only when it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))} failed with {done.returncode}:\n{done.stdout}")
    return done.stdout


def missing_programs():
    """What must be installed for this rig and is not."""
    names = ["nginx", "fcgiwrap", "git", "openssl"]
    lacking = [n for n in names if not find(n)]
    return lacking + ([] if git_backend() else ["git-http-backend"])


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def git_backend():
    path = pathlib.Path(subprocess.run(["git", "--exec-path"], stdout=subprocess.PIPE, text=True).stdout.strip()) / "git-http-backend"
    return path if path.exists() else None


def free_ports(count):
    """Ports that were free a moment ago; start() tries again when somebody was faster."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Origin:
    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.ca_file = self.dir / "ca.pem"
        self.repository = self.dir / "repos" / "team" / "wordcount.git"
        self.http_port = self.https_port = 0
        self._processes = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        (self.dir / "tmp").mkdir(parents=True)
        self._make_certificates()
        self._make_repository()
        with (self.dir / "fcgiwrap.log").open("w") as log:
            self._processes.append(subprocess.Popen([find("fcgiwrap"), "-f", "-c", "4", "-s", f"unix:{self.dir}/fcgi.sock"],
                                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True))
        for _ in range(5):
            if self._start_nginx():
                return
        raise RuntimeError("nginx did not start:\n" + (self.dir / "error.log").read_text())

    def stop(self):
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGTERM)  # fcgiwrap does not stop its workers itself
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()

    def requests(self):
        """What reached the origins, oldest first."""
        log = self.dir / "access.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def ref(self, name):
        """The commit a ref of the repository points at, or None."""
        done = subprocess.run(["git", "-C", self.repository, "rev-parse", "--verify", "-q", name], stdout=subprocess.PIPE, text=True)
        return done.stdout.strip() or None

    def connectors(self):
        """Entries for the operator's perimeter file that lead here."""
        return [{"host": h, "port": p, "to": f"127.0.0.1:{real}"} for h in HOSTS for p, real in ((443, self.https_port), (80, self.http_port))]

    def _make_certificates(self):
        d = self.dir
        names = ",".join(f"DNS:{h}" for h in HOSTS)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        run("openssl", "req", "-x509", *key, "-keyout", d / "ca.key", "-out", self.ca_file, "-days", "2", "-subj", "/CN=SAW demo origin CA",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        run("openssl", "req", *key, "-keyout", d / "leaf.key", "-out", d / "leaf.csr", "-subj", "/CN=git.demo.example")
        (d / "leaf.ext").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", d / "leaf.csr", "-CA", self.ca_file, "-CAkey", d / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", d / "leaf.ext", "-out", d / "leaf.pem")

    def _make_repository(self):
        work = self.dir / "seed"
        shutil.copytree(HERE / "project", work)
        env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "Upstream", f"GIT_{role}_EMAIL": "upstream@demo.example"}
        run("git", "init", "-q", "-b", "main", work, env=env)
        run("git", "-C", work, "add", ".", env=env)
        run("git", "-C", work, "commit", "-q", "-m", "Word count, with a failing test", env=env)
        self.repository.parent.mkdir(parents=True)
        run("git", "clone", "-q", "--bare", work, self.repository, env=env)

    def _start_nginx(self):
        self.http_port, self.https_port = free_ports(2)
        config = self.dir / "nginx.conf"
        config.write_text(NGINX.format(dir=self.dir, http=self.http_port, https=self.https_port, token=TOKEN, backend=git_backend(),
                                       user="user root;" if os.geteuid() == 0 else ""))
        process = subprocess.Popen([find("nginx"), "-p", self.dir, "-c", config, "-e", self.dir / "error.log"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.https_port), 1).close()
                self._processes.append(process)
                return True
            except OSError:
                time.sleep(0.02)  # nginx has no way to tell that it listens
        process.kill()
        process.wait()
        return False


def main():
    with Origin(sys.argv[1]) as origin:
        print(json.dumps({"https": origin.https_port, "http": origin.http_port, "ca": str(origin.ca_file)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

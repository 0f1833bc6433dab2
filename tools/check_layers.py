#!/usr/bin/env python3
"""Checks who includes whom: the table of ARCHITECTURE.md, enforced.

usage: check_layers.py ROOT        exit 1 with one line per violation

Three rules. A component includes only itself and what MAY lists. Linux-only headers appear in src/os alone (and in saw-init's own files).
A third-party library has one home, and is included in .cc files only (fmt is the exception: result.h formats errors).
"""
import pathlib, re, sys

BASE = {"base"}
PURE = BASE
MAY = {
    "base": set(), "os": BASE, "policy": BASE, "identity": BASE, "audit": BASE, "store": BASE,
    "release": {"policy", "base"},
    "review": {"identity", "audit", "store", "base"},
    "sandbox": {"policy", "identity", "audit", "os", "base"},
    "egress": {"policy", "identity", "audit", "os", "base"},
    "control": {"base", "os", "policy", "identity", "audit", "store", "sandbox", "egress", "review", "release"},
    "api": {"control", "identity", "base", "os"},
    "cli": {"policy", "release", "audit", "base"},
}
LINUX = re.compile(r"^(linux/|sched\.h|seccomp\.h|sys/(mount|prctl|epoll|timerfd|eventfd|signalfd|pidfd|syscall|mman|xattr|capability)\.h|pty\.h|mntent\.h)")
HOMES = {
    r"boost/|nghttp2/": {"egress", "api", "cli"},
    r"openssl/(ssl|x509|bio|pem|err)": {"egress", "api", "control"},
    r"openssl/": {"base", "egress", "api", "control", "identity"},
    r"sqlite3\.h|libpq": {"store"}, r"yaml\.h": {"policy"}, r"z3": {"policy"}, r"CLI/": {"cli"}, r"sodium": {"store", "control"}, r"ldns/": {"egress"},
}

SHOWS = {"formula.h"}  # policy/prove: formulas are Z3's, and question.cc is their only reader

def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if m: yield number, m.group(1), m.group(2)

def main():
    root = pathlib.Path(sys.argv[1])
    bad, seen = [], 0
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"): continue
        component, test = path.relative_to(root / "src").parts[0], path.name.endswith("_test.cc")
        seen += 1
        if component not in MAY:
            bad.append(f"{path}: folder src/{component} is not in the table")
            continue
        for number, kind, name in includes(path):
            where = f"{path.relative_to(root)}:{number}"
            if kind == '"':
                other = name.split("/")[0]
                if other not in MAY: bad.append(f"{where}: '{name}' is not below src/")
                elif other != component and other not in MAY[component]: bad.append(f"{where}: {component} may not include {other}")
            elif LINUX.match(name) and component != "os" and not test and not (component == "base" and path.suffix == ".cc"):
                bad.append(f"{where}: <{name}> belongs in src/os")
            else:
                for library, homes in HOMES.items():
                    if re.match(library, name):
                        if component not in homes and not test: bad.append(f"{where}: <{name}> is at home in {sorted(homes)}")
                        elif library == "z3" and path.parent.name != "prove": bad.append(f"{where}: <{name}> is at home in policy/prove")
                        elif path.suffix == ".h" and path.name not in SHOWS: bad.append(f"{where}: <{name}> in a header drags it into every user")
                        break
    for line in bad: print(line)
    print(f"{seen} files, {len(bad)} violations")
    return 1 if bad or not seen else 0

if __name__ == "__main__": sys.exit(main())

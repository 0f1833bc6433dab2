#!/usr/bin/env python3
"""usage: check_schema.py SAW FOLDER…

What `saw policy lint` accepts, the JSON Schema accepts, for every policy in the folders; and for one-field variations of the whole
language, both refuse. Needs python3-jsonschema and python3-yaml."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema
import yaml

SAW, FOLDERS = sys.argv[1], sys.argv[2:]


def schema():
    out = subprocess.run([SAW, "policy", "schema"], check=True, capture_output=True, text=True).stdout
    parsed = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(parsed)
    return jsonschema.Draft202012Validator(parsed)


def lint(path):
    ran = subprocess.run([SAW, "policy", "lint", str(path), "--json"], capture_output=True, text=True)
    return json.loads(ran.stdout)


def at(document, path):
    for key in path[:-1]:
        document = document[key]
    return document, path[-1]


# (path, value): None removes. Each makes a wrong policy.
WRONG = [
    (["apiVersion"], "saw/v2"), (["kind"], "Plan"), (["metadata"], None), (["metadata", "name"], 42),
    (["metadata", "name"], "a b"), (["profile"], "corp"), (["isolation"], "docker"), (["strict"], "true"),
    (["extra"], 1), (["filesystem", "read"], []), (["filesystem", "read"], "/usr"), (["filesystem", "read", 0], "usr"),
    (["filesystem", "labels", 0, "add"], "secret"), (["filesystem", "labels", 0, "path"], None),
    (["process", "limits", "memory"], "2GB"), (["process", "limits", "pids"], 0), (["process", "limits", "cpus"], 0),
    (["process", "limits", "wallClock"], 30), (["dataClassification", "sha256"], "00"), (["dataClassification", "version"], None),
    (["network"], []), (["network", 0, "name"], None), (["network", 0, "to"], None), (["network", 0, "to", "hosts"], []),
    (["network", 0, "to", "ports", 0], 70000), (["network", 0, "protocol"], "htpp"), (["network", 0, "tls"], "off"),
    (["network", 0, "allow"], "everything"), (["network", 0, "allow"], []), (["network", 0, "review"], "all"),
    (["network", 0, "allow", 0, "methods"], ["get"]), (["network", 0, "allow", 0, "op"], "fetch"),
    (["network", 0, "allow", 0, "query"], {}), (["network", 0, "limits", "requestBytes"], "1MB"),
    (["network", 0, "limits", "concurrent"], 0), (["network", 0, "review", 0, "when"], {}),
    (["network", 0, "review", 0, "when", "labels", "all"], ["public"]), (["network", 1, "allow", 0, "op"], None),
    (["network", 1, "allow", 0, "op"], "clone"), (["network", 1, "to", "addresses", 0], "10.0.0.1"),
    (["network", 2, "allow", 0, "types"], ["read"]), (["network", 2, "allow", 0, "paths"], ["/a"]),
    (["network", 3, "allow", 0, "tools"], ["a"]), (["network", 4, "allow", 0, "params"], {"/a": "b"}),
    (["network", 5, "allow", 1, "binary"], "yes"), (["network", 6, "allow", 0, "ecosystem"], None),
    (["network", 6, "allow", 0, "minAgeDays"], 0), (["network", 6, "allow", 0, "op"], "install"),
    (["network", 7, "allow", 0], {}), (["network", 7, "allow", 0, "paths"], ["/a"]),
    (["credentials", "api", "secret"], None), (["credentials", "api", "inject", "header"], None),
    (["credentials", "api", "only"], []), (["trifecta", "privateAndUntrusted"], "allow"), (["review", "hold"], "5"),
    (["review", "approvers"], "anyone"), (["runtimeCredential", "ttl"], 60), (["inference", 0, "via"], None),
    (["inference", 0, "data"], ["secret"]), (["budget", "perDay", "calls"], 0), (["budget", "perDay", "minutes"], 1),
]


def main():
    failures, accepted = [], 0
    check = schema()
    for folder in FOLDERS:
        for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
            document = yaml.safe_load(path.read_text())
            if document.get("kind") != "Policy":
                continue
            report = lint(path)
            problems = [e.message for e in check.iter_errors(document)]
            accepted += 1
            if not report["ok"]:
                failures.append(f"{path}: lint refuses it: {report['diagnostics'][0]['message']}")
            if problems:
                failures.append(f"{path}: the schema refuses it: {problems[0]}")
    whole = yaml.safe_load((pathlib.Path(__file__).parent / "whole-language.yaml").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        for path, value in WRONG:
            document = copy.deepcopy(whole)
            parent, key = at(document, path)
            if value is None:
                del parent[key]
            else:
                parent[key] = value
            file = pathlib.Path(scratch, "wrong.yaml")
            file.write_text(json.dumps(document))  # JSON is YAML, and keeps numbers and texts apart
            if lint(file)["ok"]:
                failures.append(f"{path} = {value!r}: the reader accepts it")
            if check.is_valid(document):
                failures.append(f"{path} = {value!r}: the schema accepts it")
    print("\n".join(failures))
    print(f"{accepted} policies accepted by both, {len(WRONG)} variations, {len(failures)} disagreements")
    return 1 if failures or accepted < 4 else 0


sys.exit(main())

#!/usr/bin/env python3
"""Checks a proof from `saw audit prove` without any of SAW's code: RFC 6962 hashing, signed notes with Ed25519.

usage: verify_proof.py PROOF --key HEX [--origin NAME]

PROOF is the file. The key is the log's public key, and must have come to you another way than the proof did. Prints what is proved;
exit 1 and a sentence if it is not. An absence holds as far as the signed index is true, which anyone with the log can recompute.
"""
import argparse, base64, hashlib, json, os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verify_inclusion import verify_ed25519

SEGMENT = 4096  # entries

def fail(text): sys.exit(f"NOT PROVED: {text}")
def sha(b): return hashlib.sha256(b).digest()
def leaf(b): return sha(b"\0" + b)
def node(left, right): return sha(b"\1" + left + right)
def decode(text): return base64.b64decode(text, validate=True)
def digest(text):
    b = decode(text)
    if len(b) != 32: fail("a hash does not have 32 bytes")
    return b

def open_note(note, key, origin):
    """(size, root, root of the index or None) of a checkpoint that `key` signed."""
    body, gap, signatures = note.encode().partition(b"\n\n")
    lines = body.split(b"\n")
    if not gap or len(lines) < 3: fail("the checkpoint is no signed note")
    name = lines[0].decode()
    if origin and name != origin: fail(f"the checkpoint is of log '{name}'")
    key_id = sha(name.encode() + b"\n\1" + key)[:4]
    for line in signatures.decode().splitlines():
        dash, signer, blob = line.split(" ")
        blob = decode(blob)
        if dash == "\u2014" and signer == name and blob[:4] == key_id and verify_ed25519(key, body + b"\n", blob[4:]):
            index = [digest(l[13:]) for l in lines[3:] if l.startswith(b"saw-index-v1 ")]
            return int(lines[1]), digest(lines[2]), index[0] if index else None
    fail("the checkpoint is not signed by this key")

def split(n): return 1 << ((n - 1).bit_length() - 1)

def root_of(hashes):
    if not hashes: return sha(b"")
    if len(hashes) == 1: return hashes[0]
    k = split(len(hashes))
    return node(root_of(hashes[:k]), root_of(hashes[k:]))

def climb(h, index, size, path):
    """The root to which a leaf hash and its audit path lead (RFC 6962 2.1.1)."""
    if not 0 <= index < size: fail("a position outside its tree")
    turns, first, end = [], 0, size
    while end - first > 1:
        middle = first + split(end - first)
        turns.append(index < middle)
        if index < middle: end = middle
        else: first = middle
    if len(turns) != len(path): fail("an audit path of the wrong length")
    for left, sibling in zip(reversed(turns), path): h = node(h, sibling) if left else node(sibling, h)
    return h

def check_consistency(m, n, old, new, path):
    """RFC 9162 2.1.4.2."""
    if m > n: fail("the earlier checkpoint is the longer one")
    if m == n or m == 0:
        if path or (m == n and old != new) or (m == 0 and old != sha(b"")): fail("the checkpoints contradict each other")
        return
    if m & (m - 1) == 0: path = [old] + path
    fn, sn = m - 1, n - 1
    while fn & 1: fn, sn = fn >> 1, sn >> 1
    if not path: fail("the path is empty")
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0: fail("the path is too long")
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn: fn, sn = fn >> 1, sn >> 1
        else: sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn or fr != old or sr != new: fail("the later checkpoint does not contain the earlier one")

def quoted(text): return json.dumps(text)[1:-1].replace("\x7f", "\\u007f").encode()

def check_absence(p, size, index):
    if index is None: fail("the checkpoint signs no index")
    if p["scope"] not in ("session", "call"): fail("an unknown scope")
    key = sha(p["scope"].encode() + b"\0" + quoted(p["id"]) + b"\0" + quoted(p["destination"]))
    if len(p["segments"]) != (size + SEGMENT - 1) // SEGMENT: fail("a segment of the index is missing")
    commitments = []
    for number, s in enumerate(p["segments"]):
        left, right = digest(s["left"]), digest(s["right"])
        if not left < key < right: fail(f"segment {number}: the neighbours do not enclose the key")
        roots = {climb(leaf(left), s["at"], s["keys"], [digest(h) for h in s["left_path"]]),
                 climb(leaf(right), s["at"] + 1, s["keys"], [digest(h) for h in s["right_path"]])}
        if len(roots) != 1: fail(f"segment {number}: the neighbours are not of one tree")
        commitments.append(leaf(sha(s["keys"].to_bytes(8, "big") + roots.pop())))
    if root_of(commitments) != index: fail("the segments do not lead to the index that was signed")

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proof"); parser.add_argument("--key", required=True, type=bytes.fromhex); parser.add_argument("--origin")
    a = parser.parse_args()
    try:
        p = json.load(open(a.proof, encoding="utf-8"))
        if p["format"] != "saw-audit-proof-v1": fail("not a proof of a format known here")
        size, root, index = open_note(p["checkpoint"], a.key, a.origin)
        if p["kind"] == "inclusion":
            entry, path = decode(p["leaf"]), [digest(h) for h in p["path"]]
            if climb(leaf(entry), p["entry"], size, path) != root: fail("the path does not lead to the root that was signed")
            print(f"proved: entry {p['entry']} of {size} is\n{entry.decode('utf-8', 'backslashreplace')}")
        elif p["kind"] == "consistency":
            m, old, _ = open_note(p["earlier"], a.key, a.origin)
            check_consistency(m, size, old, root, [digest(h) for h in p["path"]])
            print(f"proved: the log of {size} entries begins with the {m} that the earlier checkpoint signs")
        elif p["kind"] == "absence":
            check_absence(p, size, index)
            print(f"proved: none of the {size} entries joins {p['scope']} {p['id']!r} with {p['destination']!r}")
        else: fail("an unknown kind of proof")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as e: fail(f"the file is malformed ({e!r})")

if __name__ == "__main__": main()

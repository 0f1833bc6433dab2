#!/usr/bin/env python3
"""Verifies a whole SAW audit log from its files alone, without any of SAW's code: C2SP tlog-tiles, RFC 6962 hashing, Ed25519 checkpoint.

usage: verify_inclusion.py DIRECTORY --key HEX [--origin NAME] [--entry N]

Reads checkpoint, entry bundles and hash tiles; recomputes every hash from the entries; compares with the tiles, the root and the signature.
With --entry also prints that entry and the inclusion proof that leads from it to the signed root. Exit 1 and a sentence on anything wrong.
"""
import argparse, base64, hashlib, os, subprocess, sys, tempfile

def fail(text): sys.exit(f"NOT OK: {text}")
def sha(b): return hashlib.sha256(b).digest()
def node(left, right): return sha(b"\1" + left + right)

def verify_ed25519(key, message, signature):
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        try: Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except InvalidSignature: return False
        return True
    except ImportError: pass
    with tempfile.TemporaryDirectory() as d:  # DER SubjectPublicKeyInfo of RFC 8410: a fixed prefix and the key
        for name, content in ("k", bytes.fromhex("302a300506032b6570032100") + key), ("m", message), ("s", signature):
            with open(f"{d}/{name}", "wb") as f: f.write(content)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", f"{d}/k", "-in", f"{d}/m", "-sigfile", f"{d}/s"]
        return subprocess.run(command, capture_output=True).returncode == 0

def read_checkpoint(directory, key, origin):
    note = open(f"{directory}/checkpoint", "rb").read()
    body, gap, signatures = note.partition(b"\n\n")
    lines = body.split(b"\n")
    if not gap or len(lines) < 3: fail("the checkpoint is not a signed note of three lines or more")
    name = lines[0].decode()
    if origin and name != origin: fail(f"the checkpoint is of log '{name}'")
    key_id = sha(name.encode() + b"\n\1" + key)[:4]
    for line in signatures.decode().splitlines():
        dash, signer, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash == "\u2014" and signer == name and blob[:4] == key_id and verify_ed25519(key, body + b"\n", blob[4:]):
            return int(lines[1]), base64.b64decode(lines[2], validate=True)
    fail("the checkpoint is not signed by this key")

def path_of(level, index, width):
    digits = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        digits.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(digits)}" + (f".p/{width}" if width < 256 else "")

def load(directory, level, index, width):
    path = path_of(level, index, width)
    try: return path, open(os.path.join(directory, path), "rb").read()
    except OSError as e: fail(f"'{path}' cannot be read ({e.strerror})" + (f": entries from {index * 256} are missing" if level == "entries" else ""))

def entries(directory, size):
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        path, data = load(directory, "entries", index, width)
        _, hashes = load(directory, 0, index, width)
        at = 0
        for i in range(width):
            end = at + 2 + int.from_bytes(data[at:at + 2], "big")
            if at + 2 > len(data) or end > len(data): fail(f"'{path}' ends before entry {index * 256 + i}")
            entry, at = data[at + 2:end], end
            if sha(b"\0" + entry) != hashes[i * 32:i * 32 + 32]: fail(f"entry {index * 256 + i} does not match its hash in the tile")
            yield entry
        if at != len(data): fail(f"'{path}' goes on after entry {index * 256 + width - 1}")

def root_of(hashes):
    """RFC 6962 §2.1 by pairing up level after level; an odd one out moves up unchanged."""
    if not hashes: return sha(b"")
    while len(hashes) > 1:
        hashes = [node(*hashes[i:i + 2]) if i + 1 < len(hashes) else hashes[i] for i in range(0, len(hashes), 2)]
    return hashes[0]

def check_upper_tiles(directory, leaves):
    level, hashes = 0, leaves
    while hashes:
        for index in range((len(hashes) + 255) // 256):
            mine = hashes[index * 256:index * 256 + 256]
            path, stored = load(directory, level, index, len(mine))
            if stored != b"".join(mine): fail(f"the hash tile '{path}' does not match the entries")
        hashes = [root_of(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)]
        level += 1

def proof(leaves, n):
    """The audit path of RFC 6962 §2.1.1, nearest sibling first, as (side, hash)."""
    path = []
    while len(leaves) > 1:
        k = 1
        while k * 2 < len(leaves): k *= 2
        if n < k: path.insert(0, ("right", root_of(leaves[k:]))); leaves = leaves[:k]
        else: path.insert(0, ("left", root_of(leaves[:k]))); leaves, n = leaves[k:], n - k
    return path

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory"); parser.add_argument("--key", required=True, type=bytes.fromhex)
    parser.add_argument("--origin"); parser.add_argument("--entry", type=int)
    a = parser.parse_args()
    try: size, root = read_checkpoint(a.directory, a.key, a.origin)
    except (OSError, ValueError) as e: fail(f"the checkpoint: {e}")
    if a.entry is not None and not 0 <= a.entry < size: fail(f"the log has {size} entries")
    leaves, wanted = [], None
    for i, entry in enumerate(entries(a.directory, size)):
        leaves.append(sha(b"\0" + entry))
        if i == a.entry: wanted = entry
    check_upper_tiles(a.directory, leaves)
    if root_of(leaves) != root: fail("the entries are not those that the checkpoint signs")
    if wanted is not None:
        h = leaves[a.entry]
        print(wanted.decode("utf-8", "backslashreplace"))
        for side, sibling in proof(leaves, a.entry):
            h = node(sibling, h) if side == "left" else node(h, sibling)
            print(f"  {side:5} {sibling.hex()}")
        if h != root: fail("the inclusion proof does not lead to the root")
    print(f"ok: {size} entries, root sha256:{root.hex()}")

if __name__ == "__main__": main()

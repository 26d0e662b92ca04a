"""Hashes of settings and rows, and a pseudo-random order that depends only on a seed."""

import hashlib
import json


def json_digest(value: object) -> str:
    """Return the SHA-256, in hex, of a value's canonical JSON (sorted keys, no blanks, UTF-8)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seeded_hash(seed: int, key: str) -> int:
    """Return a 64-bit number that looks random and depends only on seed and key. It never changes between versions."""
    digest = hashlib.blake2b(
        key.encode("utf-8", "surrogatepass"), digest_size=8, salt=seed.to_bytes(8, "little", signed=True)
    )
    return int.from_bytes(digest.digest(), "big")

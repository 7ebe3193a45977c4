"""Which photographs are copies of others: a function of the whole collection, not of the order in which it came."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from data_tools.flickr.checks import HASH_BITS
from data_tools.flickr.store import BY_ID, Store

NEAR = 10  # bits of 128 by which copies may differ; see `checks.perceptual_hash`
_PLACEHOLDER_OWNERS = 3  # one file under photographs of so many people is no photograph of theirs
_ROWS = 512


def set_copies_aside(store: Store, near: int = NEAR) -> int:
    """Decide anew about every downloaded photograph; gives the number that is set aside as copy or stand-in.

    A photograph is a copy if one with a lower id is the same file, or its perceptual hash differs by `near` bits or
    less. That neither asks whether the other one is a copy itself, nor when it came; more photographs can only turn
    more of them into copies.
    """
    rows = store.rows(
        "SELECT id, owner, sha256, phash, state, reason FROM photos WHERE phash IS NOT NULL AND (state = 'downloaded' "
        f"OR (state = 'set_aside' AND (reason LIKE 'duplicate:%' OR reason LIKE 'stand-in:%'))) {BY_ID}"
    )
    owners = collections.defaultdict(set)
    first: dict[str, str] = {}
    for row in rows:
        owners[row["sha256"]].add(row["owner"])
        first.setdefault(row["sha256"], row["id"])
    nearest = near_copies([row["phash"] for row in rows], near)
    changes, aside = [], 0
    for index, row in enumerate(rows):
        reason = ""
        if len(owners[row["sha256"]]) >= _PLACEHOLDER_OWNERS:
            reason = f"stand-in: the same file for photographs of {len(owners[row['sha256']])} people"
        elif first[row["sha256"]] != row["id"]:
            reason = f"duplicate: the same file as photograph {first[row['sha256']]}"
        elif index in nearest:
            other, bits = nearest[index]
            reason = f"duplicate: nearly photograph {rows[other]['id']}, {bits} of {HASH_BITS} bits differ"
        aside += bool(reason)
        if reason != row["reason"]:
            changes.append(("set_aside" if reason else "downloaded", reason, row["id"]))
    store.write_many("UPDATE photos SET state = ?, reason = ? WHERE id = ?", changes)
    return aside


def near_copies(hashes: Sequence[str], near: int) -> dict[int, tuple[int, int]]:
    """For each hash that has an earlier one within `near` bits: the index of the first such, and the distance."""
    if not hashes:
        return {}
    packed = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), -1)
    signs = np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
    found = {}
    for start in range(0, len(signs), _ROWS):
        block = signs[start : start + _ROWS]
        distances = (HASH_BITS - block @ signs[: start + len(block)].T) / 2  # exact: small integers in float32
        for row in np.flatnonzero((distances <= near).sum(axis=1) > 1):
            earlier = np.flatnonzero(distances[row, : start + row] <= near)
            if len(earlier):
                found[start + int(row)] = (int(earlier[0]), int(distances[row, earlier[0]]))
    return found

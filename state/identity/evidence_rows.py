"""Rows of evidence, with what is not committed yet laid over what is."""

import heapq
from bisect import insort
from collections.abc import Iterator
from operator import itemgetter

from schemas.rows import EvidenceRow, RowDecoder, encode_row, evidence_prefix
from state.engine import Rows


class EvidenceRows:
    """What sources showed of pairs, each under both its ends."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._decoder = RowDecoder(EvidenceRow)
        self._fresh: dict[bytes, EvidenceRow] = {}
        # Keys of fresh rows of each fragment, sorted, to be merged with committed ones.
        self._fresh_keys: dict[str, list[bytes]] = {}

    def fresh(self, key: bytes) -> EvidenceRow | None:
        """The row, where it was written since the last commit."""
        return self._fresh.get(key)

    def committed(self, key: bytes) -> EvidenceRow | None:
        """The row as it was at the last commit, or None."""
        value = self._rows.get(key)
        return None if value is None else self._decoder.decode(value)

    def put(self, fragment: str, key: bytes, row: EvidenceRow) -> None:
        """Write one end's row of a pair."""
        if key not in self._fresh:
            keys = self._fresh_keys.get(fragment)
            if keys is None:
                self._fresh_keys[fragment] = [key]
            else:
                insort(keys, key)
        self._fresh[key] = row

    def of(self, fragment: str) -> Iterator[tuple[bytes, EvidenceRow]]:
        """All rows of one end, in the order of their keys: the best grade first, then neighbours in order."""
        committed = (
            (key, self._decoder.decode(value))
            for key, value in self._rows.scan(evidence_prefix(fragment))
            if key not in self._fresh
        )
        fresh = ((key, self._fresh[key]) for key in self._fresh_keys.get(fragment, ()))
        return heapq.merge(fresh, committed, key=itemgetter(0))

    def drained(self) -> dict[bytes, bytes]:
        """All fresh rows, encoded."""
        return {key: encode_row(row) for key, row in self._fresh.items()}

    def settled(self) -> None:
        """The fresh rows are committed."""
        self._fresh.clear()
        self._fresh_keys.clear()

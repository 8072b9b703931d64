"""The rows that a batch of records changes, over those of the copy."""

from collections.abc import Collection, Iterator

from connectors.serve.layout import pack_count, unpack_count
from state.engine import StoredRows


class ChangedRows:
    """Changed rows over the committed ones; of one batch."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows
        self._at_hand: dict[bytes, bytes | None] = {}
        #: What the batch changes; None deletes.
        self.changes: dict[bytes, bytes | None] = {}

    def have_at_hand(self, keys: Collection[bytes]) -> None:
        """Get rows that will be asked for: together, and in the store's order, they cost half."""
        ordered = sorted(keys)
        self._at_hand.update(zip(ordered, self._rows.get_many(ordered), strict=True))

    def get(self, key: bytes) -> bytes | None:
        """The row as it will be, or None."""
        if key in self.changes:
            return self.changes[key]
        return self._at_hand[key] if key in self._at_hand else self._rows.get(key)

    def committed(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows as they are, in the order of their keys, whatever the batch changes."""
        return self._rows.scan(prefix)

    def recount(self, prefix: bytes, before: str | None, after: str | None) -> None:
        """One of them was counted as `before` and is `after` now; None where it was or is not there."""
        if before != after:
            for name, more in ((before, -1), (after, 1)):
                if name is not None:
                    key = prefix + name.encode()
                    self.changes[key] = pack_count(max(0, unpack_count(self.get(key)) + more))

"""How many records a checkpoint may apply, so that what it writes, and what that takes, stay near their bounds.

What a record makes a checkpoint write can't be told before: one event of an owner of a hundred fragments writes a
context of half a megabyte. So it is taken from the checkpoints before: the first is small, and they grow from there.

An engine may do most of its work when it is drained. What was applied then is not yet work that is done, and a
checkpoint is due so much earlier as its drain will take, going by those before.
"""

from typing import Final

# What a record is taken to write before anything was measured: large contexts at that.
_FIRST_RECORD_SIZE_BYTES: Final = 256 * 1024
# From one checkpoint to the next a record counts for no less than this share: the next ones may be large again.
_LEAST_SHARE: Final = 0.25
# What the newest checkpoint counts for in the time that a record takes when it is drained.
_NEWEST_SHARE: Final = 0.3


class CheckpointSize:
    """Measures one partition's checkpoints.

    Args:
        size_bytes_max: What a checkpoint should write at the most. A partition whose records write far more than those
            of the checkpoint before exceeds it once.
    """

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._record_bytes = float(_FIRST_RECORD_SIZE_BYTES)
        self._record_seconds = 0.0

    @property
    def records_max(self) -> int:
        """So many records may be applied before a checkpoint is due; one at least."""
        return max(1, int(self._size_bytes_max / self._record_bytes))

    def drain_seconds(self, records: int) -> float:
        """What draining so many applied records will take."""
        return records * self._record_seconds

    def wrote(self, size_bytes: int, records: int, drain_seconds: float = 0.0) -> None:
        """A checkpoint of so many applied records wrote so much, and its drain took so long."""
        if records:
            self._record_seconds += _NEWEST_SHARE * (drain_seconds / records - self._record_seconds)
            self._record_bytes = max(size_bytes / records, self._record_bytes * _LEAST_SHARE, 1.0)

"""How many records a checkpoint may apply, so that what it writes stays near a bound.

What a record makes a checkpoint write can't be told before: one event of an owner of a hundred fragments writes a
context of half a megabyte. So it is taken from the checkpoints before: the first is small, and they grow from there.
"""

from typing import Final

# What a record is taken to write before anything was measured: large contexts at that.
_FIRST_RECORD_SIZE_BYTES: Final = 256 * 1024
# From one checkpoint to the next a record counts for no less than this share: the next ones may be large again.
_LEAST_SHARE: Final = 0.25


class CheckpointSize:
    """Measures one partition's checkpoints.

    Args:
        size_bytes_max: What a checkpoint should write at the most. A partition whose records write far more than those
            of the checkpoint before exceeds it once.
    """

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._record_bytes = float(_FIRST_RECORD_SIZE_BYTES)

    @property
    def records_max(self) -> int:
        """So many records may be applied before a checkpoint is due; one at least."""
        return max(1, int(self._size_bytes_max / self._record_bytes))

    def wrote(self, size_bytes: int, records: int) -> None:
        """A checkpoint of so many applied records wrote so much."""
        if records:
            self._record_bytes = max(size_bytes / records, self._record_bytes * _LEAST_SHARE, 1.0)

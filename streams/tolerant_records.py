"""Records whose header names are no UTF-8: read all the same, where aiokafka alone would stop at them for ever.

The broker takes any bytes as the name of a header, and producers in C or Java can send them. aiokafka's record parser
decodes names strictly: one such record ends the consumer, and every worker that takes the partition up after it. Here
the batch that holds one is parsed a second time, and what is no UTF-8 becomes U+FFFD; all others keep the fast parser.
The fetcher finds its parser as a global of its module and hands on nothing that knows the bytes, so there is nothing
of one consumer to replace: `read_tolerantly` sets that global. What is private to aiokafka 0.14.0 here,
tests/streams/test_tolerant_records.py holds it to.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

# All versions of a batch begin with its offset and the number of bytes that follow.
_BATCH_PREFIX: Final = struct.Struct(">qi")


def read_tolerantly() -> None:
    """Have every fetcher of this process read with `TolerantRecords`. A second call changes nothing."""
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords:
    """The batches of one partition in a fetch: aiokafka's own reader, and the bytes of each batch at hand."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._batches = MemoryRecords(data)
        self._position = 0

    def size_in_bytes(self) -> int:
        """Size of all that was fetched, a batch that is cut off at the end included."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """The next batch, or None after the last whole one."""
        batch = self._batches.next_batch()
        if batch is None:
            return None
        start = self._position
        _, size_bytes = _BATCH_PREFIX.unpack_from(self._data, start)
        self._position = start + _BATCH_PREFIX.size + size_bytes
        # Older formats have no headers; the broker alone writes control batches.
        if not isinstance(batch, DefaultRecordBatch) or batch.is_control_batch:
            return batch
        return TolerantBatch(batch, memoryview(self._data)[start : self._position])


class TolerantBatch:
    """A batch as aiokafka's fast parser gives it, read anew where that parser finds a name that it can't decode."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        """All records of the batch in order, each once."""
        given = 0
        try:
            for record in self._batch:
                yield record
                given += 1
        except UnicodeDecodeError:
            yield from islice(_records_of(self._data), given, None)


class _TolerantBytes(bytearray):
    """Bytes whose slices decode whatever they hold."""

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        found = super().__getitem__(index)
        return _TolerantBytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the parser's are strict.
        return super().decode(encoding, "replace")


def _records_of(data: memoryview) -> list[Any]:
    """The records of a batch, by aiokafka's parser in Python: it decodes names as its buffer does."""
    batch = _DefaultRecordBatchPy(data)
    # Only after the batch is unpacked does the buffer hold the records.
    iter(batch)
    batch._buffer = _TolerantBytes(batch._buffer)  # noqa: SLF001 - the parser takes no buffer of ours.
    return list(batch)

"""Every row of a store against its topic, in bounded memory: the topic's newest records go to a scratch folder first.

A store that is behind can't be compared where its topic went on: what a key held before may be compacted away. So each
key's newest offset is kept, and only keys that the store has to know already count.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from schemas.topics import Partition
from state.store import Store
from state.store_cache import StoreCache
from streams.bulk import Record, read_whole
from streams.kafka import KafkaOptions

EXAMPLES_MAX: Final = 5
_DIGEST_SIZE_BYTES: Final = 16
_OFFSET_SIZE_BYTES: Final = 8
# The scratch folder is nobody's; it is removed at the end.
_FINGERPRINT: Final = "comparison"
# What stands for a deletion in the place of a digest.
_DELETED: Final = b""


class Comparison(NamedTuple):
    """How many keys were compared and differ, with the first few of those."""

    compared: int
    differences: int
    examples: tuple[bytes, ...]


def compare(
    kafka: KafkaOptions, place: Partition, next_offset: int, store: Store, *, scratch: Path, cache: StoreCache
) -> Comparison:
    """Compare the store, which holds the partition below an offset, with the partition.

    Raises:
        BrokerUnreachable: no answer in time.
        DiskRefused: the scratch folder has no room.
    """
    folder = scratch / store.path.name
    shutil.rmtree(folder, ignore_errors=True)
    newest = Store.open(folder, secret_fingerprint=_FINGERPRINT, cache=cache)
    try:

        def keep(records: list[Record]) -> None:
            newest.write({record.key: _kept(record) for record in records if record.key is not None}, {})

        read_whole(kafka, *place, keep)
        return _merge(store.rows(), newest.rows(), next_offset)
    finally:
        newest.close()
        shutil.rmtree(folder, ignore_errors=True)


def _kept(record: Record) -> bytes:
    return record.offset.to_bytes(_OFFSET_SIZE_BYTES, "big") + _digest(record.value)


def _digest(value: bytes | None) -> bytes:
    return _DELETED if value is None else hashlib.blake2b(value, digest_size=_DIGEST_SIZE_BYTES).digest()


def _merge(rows: Iterator[tuple[bytes, bytes]], newest: Iterator[tuple[bytes, bytes]], next_offset: int) -> Comparison:
    compared = differences = 0
    examples: list[bytes] = []
    row, logged = next(rows, None), next(newest, None)
    while row is not None or logged is not None:
        key = min(one[0] for one in (row, logged) if one is not None)
        here, there = None, None
        if row is not None and row[0] == key:
            here, row = row[1], next(rows, None)
        if logged is not None and logged[0] == key:
            there, logged = logged[1], next(newest, None)
        if there is not None and int.from_bytes(there[:_OFFSET_SIZE_BYTES], "big") >= next_offset:
            continue
        compared += 1
        if _digest(here) != (_DELETED if there is None else there[_OFFSET_SIZE_BYTES:]):
            differences += 1
            if len(examples) < EXAMPLES_MAX:
                examples.append(key)
    return Comparison(compared, differences, tuple(examples))

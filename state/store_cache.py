"""The memory of all stores of a process: one block cache, and write buffers that are charged to it.

Without the charge every store would fill write buffers of its own, twice over while one is written to disk, and the
bound of the cache would say little about the process.
"""

from typing import Final, NamedTuple

from rocksdict import Cache, WriteBufferManager

#: Blocks, their indexes and filters, and write buffers together.
CACHE_SIZE_BYTES: Final = 192 * 1024 * 1024
# Past this share of the cache the store that is being written to puts its write buffer on disk. Larger buffers make
# fewer files; what they take, blocks can't have.
_WRITE_BUFFERS_SHARE: Final = 0.375


class StoreCache(NamedTuple):
    """What stores share; make one per process and hand it to each."""

    blocks: Cache
    write_buffers: WriteBufferManager


def shared_cache(size_bytes: int = CACHE_SIZE_BYTES) -> StoreCache:
    """One bound for all stores of a process, in bytes. RocksDB exceeds it for moments, by one write buffer at most."""
    blocks = Cache(size_bytes)
    write_buffers = WriteBufferManager.new_write_buffer_manager_with_cache(
        # A writer is never made to wait: a write happens within a checkpoint, which others wait for.
        int(size_bytes * _WRITE_BUFFERS_SHARE), False, blocks,
    )  # fmt: skip
    return StoreCache(blocks, write_buffers)

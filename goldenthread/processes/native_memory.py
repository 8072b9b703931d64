"""Tells the C library's allocator to give memory back: RocksDB and librdkafka have some forty threads.

glibc keeps a heap for each few of them, and after the first large buffer was freed it puts ever larger ones on those
heaps, where one small block that stays keeps all below it. Both are settled before the first thread starts.

What is used again at once should not go back, though: the records of a checkpoint and RocksDB's blocks come and go
several times a second, and each page that the system gives anew costs as much as copying it.
"""

import ctypes
import os
import sys
from typing import Final

_ARENAS_MAX: Final = 2
# From this size on a buffer is a mapping of its own, which goes back to the system when it is freed. RocksDB takes the
# memory of its write buffers in blocks of a megabyte.
_MAPPING_SIZE_BYTES_MIN: Final = 4 * 1024 * 1024
# So much stays free at the end of a heap, and a heap grows by so much at a time.
_FREE_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
_GROWTH_SIZE_BYTES: Final = 2 * 1024 * 1024
# Names and numbers from malloc.h, each with the variable by which whoever starts the process may have set it already.
_OPTIONS: Final = (
    (-8, _ARENAS_MAX, "MALLOC_ARENA_MAX"),
    (-3, _MAPPING_SIZE_BYTES_MIN, "MALLOC_MMAP_THRESHOLD_"),
    (-1, _FREE_SIZE_BYTES_MAX, "MALLOC_TRIM_THRESHOLD_"),
    (-2, _GROWTH_SIZE_BYTES, "MALLOC_TOP_PAD_"),
)


def bound_native_memory() -> None:
    """Set the allocator's options, where the C library is glibc; elsewhere nothing is done."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    for number, value, variable in _OPTIONS:
        if variable not in os.environ:
            mallopt(number, value)

"""Tells the C library's allocator to give memory back: RocksDB and librdkafka have some forty threads.

glibc keeps a heap for each few of them, and after the first large buffer was freed it puts ever larger ones on those
heaps, where one small block that stays keeps all below it. Both are settled before the first thread starts.
"""

import ctypes
import os
import sys
from typing import Final

_ARENAS_MAX: Final = 2
# From this size on a buffer is a mapping of its own, which goes back to the system when it is freed.
_MAPPING_SIZE_BYTES_MIN: Final = 1024 * 1024
# Names and numbers from malloc.h, each with the variable by which whoever starts the process may have set it already.
_OPTIONS: Final = (
    (-8, _ARENAS_MAX, "MALLOC_ARENA_MAX"),
    (-3, _MAPPING_SIZE_BYTES_MIN, "MALLOC_MMAP_THRESHOLD_"),
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

"""A cache of bytes by bytes that costs little more than a dictionary to ask, and forgets what was used longest ago.

It holds two generations. What is made, or found in the older one, is of the younger; once that has its half of the
room, it becomes the older one, and what was older is forgotten. So what is asked for again and again stays, nothing has
to be moved where it is found, and many are looked up at once.
"""

from collections.abc import Callable, Sequence
from typing import Final

# As measured: two objects, and their places in a dictionary.
_ENTRY_SIZE_BYTES: Final = 170


class Recent:
    """What `make` makes of keys, and is the same for ever.

    At most `size_bytes_max` of keys and values are kept; a value of more than half of that is not.
    """

    def __init__(self, make: Callable[[bytes], bytes], size_bytes_max: int) -> None:
        self._make = make
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_size_bytes = 0
        self._half_size_bytes = size_bytes_max // 2

    def get_many(self, keys: Sequence[bytes]) -> list[bytes]:
        """The values in the order of the keys; those that are not at hand are made."""
        found = list(map(self._young.get, keys))
        for place in [place for place, value in enumerate(found) if value is None]:
            found[place] = self._older(keys[place])
        return found  # type: ignore[return-value] # None is none of them any more.

    def _older(self, key: bytes) -> bytes:
        # The same key may have been made a moment ago.
        value = self._young.get(key)
        if value is not None:
            return value
        value = self._old.get(key)
        if value is None:
            value = self._make(key)
        size_bytes = _ENTRY_SIZE_BYTES + len(key) + len(value)
        if size_bytes <= self._half_size_bytes:
            if self._young_size_bytes + size_bytes > self._half_size_bytes:
                self._old, self._young, self._young_size_bytes = self._young, {}, 0
            self._young[key] = value
            self._young_size_bytes += size_bytes
        return value

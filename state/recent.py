"""A cache of bytes by bytes that costs little more than a dictionary to ask, and forgets what was used longest ago.

It holds two generations. What is put, or found in the older one, is of the younger; once that has its half of the room,
it becomes the older one, and what was older is forgotten. So what is asked for again and again stays, nothing has to be
moved where it is found, and many are looked up at once.
"""

from typing import Final

# As measured: two objects, and their places in a dictionary.
_ENTRY_SIZE_BYTES: Final = 170


class Recent:
    """At most `size_bytes_max` of keys and values; a value of more than half of that is not kept."""

    def __init__(self, size_bytes_max: int) -> None:
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_size_bytes = 0
        self._half_size_bytes = size_bytes_max // 2

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values in the order of the keys, None where there is none."""
        found = list(map(self._young.get, keys))
        for place, value in enumerate(found):
            if value is None and (older := self._old.get(keys[place])) is not None:
                self.put(keys[place], older)
                found[place] = older
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, which is the same for ever."""
        size_bytes = _ENTRY_SIZE_BYTES + len(key) + len(value)
        if size_bytes > self._half_size_bytes or key in self._young:
            return
        if self._young_size_bytes + size_bytes > self._half_size_bytes:
            self._old, self._young, self._young_size_bytes = self._young, {}, 0
        self._young[key] = value
        self._young_size_bytes += size_bytes

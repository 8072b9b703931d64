"""A cache that forgets what was used longest ago."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """At most `entries_max` values."""

    def __init__(self, entries_max: int) -> None:
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self._entries_max = entries_max

    def get(self, key: Key) -> Value | None:
        """The value, which counts as used, or None."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep the value, forgetting another where there is no room."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    def discard(self, key: Key) -> None:
        """Forget the value, if it is here."""
        self._entries.pop(key, None)

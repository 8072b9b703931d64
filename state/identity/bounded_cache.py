"""A cache that forgets what was used longest ago."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Values that weigh at most `weight_max` together; by default each weighs 1."""

    def __init__(self, weight_max: int, weigh: Callable[[Any], int] = lambda _value: 1) -> None:
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._weight_max = weight_max
        self._weigh = weigh

    def __contains__(self, key: Key) -> bool:
        """Whether the value is here, which does not count as used."""
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """The value, which counts as used, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value) -> None:
        """Keep the value, forgetting others where there is no room; one that grew is put again."""
        weight = self._weigh(value)
        held = self._entries.pop(key, None)
        if held is not None:
            self._weight -= held[1]
        self._entries[key] = value, weight
        self._weight += weight
        while self._weight > self._weight_max:
            _, (_, forgotten) = self._entries.popitem(last=False)
            self._weight -= forgotten

    def discard(self, key: Key) -> None:
        """Forget the value, if it is here."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry[1]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._weight = 0

"""Two engines, one of which goes by the compiled library: whatever they are given, they must say the same."""

import struct
from collections.abc import Callable, Sequence

from state.context.engine import ContextEngine
from state.engine import MemoryRows, Output
from state.native.answer import read_answer
from state.native.loading import Library

#: Makes an engine over rows, by the library or without one.
Make = Callable[[MemoryRows, Library | None], ContextEngine]


class Watched(Library):
    """A library, and of how many fragments it took in what came."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.taken = self.refused = 0

    def plan(self, settings: bytes, request: bytes) -> bytes | None:
        """As the library does."""
        return self._library.plan(settings, request)

    def step(self, settings: bytes, request: bytes, supply: bytes) -> bytes | None:
        """As the library does, counted."""
        answer = self._library.step(settings, request, supply)
        (fragments,) = struct.unpack_from("<I", request)
        refused = fragments if answer is None else len(read_answer(answer).refused)
        self.taken += fragments - refused
        self.refused += refused
        return answer


class Twins:
    """The general way, and the library's."""

    def __init__(self, library: Library, make: Make) -> None:
        self.library = Watched(library)
        self._make = make
        self._rows = (MemoryRows(), MemoryRows())
        self._offset = 0
        self.restart()

    def restart(self) -> None:
        """New engines over the committed rows."""
        self._engines = (self._make(self._rows[0], None), self._make(self._rows[1], self.library))

    def exchange(self) -> None:
        """Each goes on from the rows of the other, as where the library comes or goes between two starts."""
        self._rows = self._rows[::-1]
        self.restart()

    def publish(self, values: Sequence[bytes], *, again: int = 0) -> list[Output]:
        """One checkpoint of records at the next offsets, or at offsets from `again` before them on; what both said."""
        start = max(0, self._offset - again)
        self._offset = start + len(values)
        said = []
        for engine, rows in zip(self._engines, self._rows, strict=True):
            engine.apply_many(values, range(start, self._offset))
            drained = engine.drain()
            rows.write(drained.rows)
            engine.settled()
            said.append((list(drained.outputs), drained.rows, +engine.counts))
            engine.counts.clear()
        general, compiled = said
        assert general[0] == compiled[0]
        assert general[1] == compiled[1]
        assert general[2] == compiled[2]
        assert self._rows[0].rows == self._rows[1].rows
        return general[0]

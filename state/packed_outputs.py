"""Outputs that the compiled library made, as they lie in its answers: whoever writes them to Kafka needs no objects.

Most of a checkpoint's records go from the library to the client of Kafka. As Python's objects each would be cut out of
the answer, wrapped and handed over one by one under the interpreter's lock; packed, they are handed over together. To
everybody else they are a sequence of outputs like any other.
"""

import ctypes
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Final, NamedTuple, TypeVar, overload

from state.engine import Output
from state.native.answer import MARK_NUMBERS, cut
from state.native.loading import Library

#: Of one message of the client, as `client.rs` lays it out.
MESSAGE_SIZE_BYTES: Final = 72

_Made = TypeVar("_Made")
_output = partial(tuple.__new__, Output)


class Piece(NamedTuple):
    """Records of one sort in one answer: where they are, and what their numbers begin at."""

    answer: bytes
    marks: "array[int]"
    first: int


class Destination(NamedTuple):
    """Where records go: each to the partition of its key among `partitions`; all to `partition` where these are 0."""

    partitions: int
    partition: int
    #: How large a batch of one partition may be, uncompressed.
    batch_size_bytes_max: int


class Packed:
    """A topic's records, in the order of the numbers of what they came of."""

    __slots__ = ("_library", "_pieces", "topic")

    def __init__(self, topic: str, library: Library, pieces: Sequence[Piece]) -> None:
        self.topic = topic
        self._library = library
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(len(piece.marks) for piece in self._pieces) // MARK_NUMBERS

    @property
    def size_bytes(self) -> int:
        """The bytes of all keys and values."""
        return sum(sum(marks[3::MARK_NUMBERS]) - sum(marks[1::MARK_NUMBERS]) for _, marks, _ in self._pieces)

    def numbered(self) -> tuple[list[int], list[Output]]:
        """The outputs as they lie, and the number of what each came of."""
        numbers: list[int] = []
        outputs: list[Output] = []
        for answer, marks, first in self._pieces:
            numbers += [first + number for number in marks[::MARK_NUMBERS]]
            outputs += _outputs(self.topic, *cut(answer, marks))
        return numbers, outputs

    def unpacked(self) -> list[Output]:
        """The outputs, in their order."""
        return in_order(*self.numbered())

    def handed_over(self, to: Destination, take: Callable[[int, "array[int]"], _Made]) -> _Made | None:
        """What `take` makes of the messages of the client; None where the library can't make them.

        It is given the address of them, and how many of them at a time are no more than a batch of each partition. They
        are there for as long as that takes.
        """
        parts = [struct.pack("<III", *to)]
        for piece in self._pieces:
            parts += struct.pack("<II", len(piece.marks) // MARK_NUMBERS, piece.first), piece.marks.tobytes()
        with self._library.messages([piece.answer for piece in self._pieces], b"".join(parts)) as made:
            if made is None:
                return None
            address, size_bytes = made
            messages_bytes = len(self) * MESSAGE_SIZE_BYTES
            counts = array("I", ctypes.string_at(address + messages_bytes, size_bytes - messages_bytes))
            return take(address, counts)


class Numbered:
    """Outputs of a topic, packed and others, and the numbers of what they came of."""

    __slots__ = ("_library", "_numbers", "_outputs", "_pieces", "_topic")

    def __init__(self, topic: str, library: Library | None) -> None:
        self._topic = topic
        self._library = library
        self._numbers: list[int] = []
        self._outputs: list[Output] = []
        self._pieces: list[Piece] = []

    def add(self, number: int, outputs: list[Output]) -> None:
        """Move outputs here."""
        self._numbers += repeat(number, len(outputs))
        self._outputs += outputs
        outputs.clear()

    def hold(self, piece: Piece) -> None:
        """Take what the library made."""
        if piece.marks:
            self._pieces.append(piece)

    def ordered(self) -> Packed | list[Output]:
        """The outputs in the order of the numbers; packed where all of them are."""
        numbers, outputs = self._numbers, self._outputs
        if self._pieces and self._library is not None:
            packed = Packed(self._topic, self._library, self._pieces)
            if not outputs:
                return packed
            more_numbers, more_outputs = packed.numbered()
            numbers, outputs = numbers + more_numbers, outputs + more_outputs
        return in_order(numbers, outputs)


class PackedOutputs(Sequence[Output]):
    """A checkpoint's outputs, in runs of one topic that are packed and others that are not."""

    __slots__ = ("runs",)

    def __init__(self, runs: Iterable[Packed | list[Output]]) -> None:
        #: In the order in which they are written; none is empty.
        self.runs = tuple(run for run in runs if run)

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def __iter__(self) -> Iterator[Output]:
        return chain.from_iterable(run if isinstance(run, list) else run.unpacked() for run in self.runs)

    @overload
    def __getitem__(self, place: int) -> Output: ...

    @overload
    def __getitem__(self, place: slice) -> list[Output]: ...

    def __getitem__(self, place: int | slice) -> Output | list[Output]:
        return list(self)[place]


def together(runs: Iterable[Packed | list[Output]]) -> Sequence[Output]:
    """The outputs of all runs, one after the other."""
    kept = list(runs)
    if any(isinstance(run, Packed) for run in kept):
        return PackedOutputs(kept)
    return [output for run in kept if isinstance(run, list) for output in run]


def in_order(numbers: Sequence[int], outputs: list[Output]) -> list[Output]:
    """The outputs in the order of their numbers."""
    return [outputs[place] for place in sorted(range(len(numbers)), key=numbers.__getitem__)]


def _outputs(topic: str, keys: list[bytes], values: list[bytes]) -> Iterator[Output]:
    # An empty value is a tombstone.
    given: Iterable[bytes | None] = values
    if b"" in values:
        given = [value or None for value in values]
    return map(_output, zip(repeat(topic), keys, given, repeat(())))

"""What `IntakeLibrary.take` answers, as `intake/slice.rs` writes it."""

import struct
from array import array
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

_NUMBER: Final = struct.Struct("<I")
_NUMBER_SIZE_BYTES: Final = _NUMBER.size
_LONG_SIZE_BYTES: Final = 8
#: Outcomes of looks are numbered below it.
OUTCOMES_MAX: Final = 64
# The last numbers of an answer: how many messages there are, pieces of evidence, and things that are asked for.
_FOOTER = struct.Struct("<III")
# Of a message: the number of its record, and where its key, itself and its end are.
_ROUTED_NUMBERS: Final = 4
# Of a piece of evidence: the number of its record, and where its parts and their end are.
_EVIDENCE_NUMBERS: Final = 6


class Asked(NamedTuple):
    """What has to be known of the records of a slice, and is not."""

    #: A byte that says what sort of thing it is, and more.
    names: list[bytes]
    #: All of them, as they came: how many, and each after its size.
    packed: bytes


class Evidence(NamedTuple):
    """What one record says to identity."""

    number: int
    time_us: int
    #: By which it is known whether it was said: the identifiers' fragment ids, the grade and the source.
    name: bytes
    #: The key of the pair's row where there is one pair; else empty.
    pair: bytes
    #: The event's.
    id: bytes
    #: The message; without its pairs where they are several.
    message: bytes


class Slice(NamedTuple):
    """What became of a slice; records that are in none of it are left to the general way."""

    #: The numbers of records with a message, and the keys and values of those.
    numbers: Sequence[int]
    routed: list[tuple[bytes, bytes]]
    evidence: list[Evidence]
    #: How often each outcome of a look was met, by its number.
    outcomes: "array[int]"


_evidence = partial(tuple.__new__, Evidence)


def read_asked(answer: bytes) -> Asked | None:
    """What is asked for; None where nothing is, and the slice is made."""
    end = len(answer) - _FOOTER.size
    _, _, count = _FOOTER.unpack_from(answer, end)
    if not count:
        return None
    names = []
    start = _NUMBER_SIZE_BYTES
    for _ in range(count):
        (size_bytes,) = _NUMBER.unpack_from(answer, start)
        start += _NUMBER_SIZE_BYTES + size_bytes
        names.append(answer[start - size_bytes : start])
    return Asked(names, answer[:end])


def read_slice(answer: bytes) -> Slice:
    """The parts of a slice that is made."""
    end = len(answer) - _FOOTER.size
    routed_count, evidence_count, _ = _FOOTER.unpack_from(answer, end)
    start = end - OUTCOMES_MAX * _NUMBER_SIZE_BYTES
    outcomes = array("I", answer[start:end])
    start, end = start - evidence_count * _LONG_SIZE_BYTES, start
    times = array("q", answer[start:end])
    start, end = start - evidence_count * _EVIDENCE_NUMBERS * _NUMBER_SIZE_BYTES, start
    evidence = array("I", answer[start:end])
    start, end = start - routed_count * _ROUTED_NUMBERS * _NUMBER_SIZE_BYTES, start
    routed = array("I", answer[start:end])
    numbers, keys, values, ends = (routed[column::_ROUTED_NUMBERS] for column in range(_ROUTED_NUMBERS))
    return Slice(
        numbers,
        [(answer[key:value], answer[value:end]) for key, value, end in zip(keys, values, ends, strict=True)],
        [
            # As `Evidence` makes itself, but for what naming its fields takes.
            _evidence(
                (number, time_us, answer[name:pair], answer[pair:event], answer[event:message], answer[message:end])
            )
            for time_us, (number, name, pair, event, message, end) in zip(
                times, zip(*[iter(evidence)] * _EVIDENCE_NUMBERS, strict=True), strict=True
            )
        ],
        outcomes,
    )

"""What `Library.intake_plan` and `intake_step` answer, as `intake/slice.rs` writes it."""

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

_NUMBER_SIZE_BYTES: Final = 4
_LONG_SIZE_BYTES: Final = 8
#: Outcomes of looks are numbered below it.
OUTCOMES_MAX: Final = 64
# The last numbers of an answer: how many messages there are, and how many pieces of evidence.
_FOOTER = struct.Struct("<II")
# Of each: the number of its record, and where its key, itself and its end are.
_MARK_NUMBERS: Final = 4


class Asked(NamedTuple):
    """What has to be known of the records of a slice."""

    #: How many things of all, and of each record, as they came.
    counts: bytes
    #: Their names: a byte that says what sort of thing it is, and more.
    names: list[bytes]


class Evidence(NamedTuple):
    """What one record says to identity."""

    number: int
    time_us: int
    #: By which it is known whether it was said.
    name: bytes
    #: The message, without its pairs.
    message: bytes


class Slice(NamedTuple):
    """What became of a slice; records that are in none of it are left to the general way."""

    #: The numbers of records with a message, and the keys and values of those.
    numbers: Sequence[int]
    routed: list[tuple[bytes, bytes]]
    evidence: list[Evidence]
    #: How often each outcome of a look was met, by its number.
    outcomes: "array[int]"


def read_asked(answer: bytes, records: int) -> Asked:
    """What the plan of so many records asks for."""
    (count,) = struct.unpack_from("<I", answer)
    start = (1 + records) * _NUMBER_SIZE_BYTES
    middle = start + count * _NUMBER_SIZE_BYTES
    ends = accumulate(array("I", answer[start:middle]), initial=middle)
    return Asked(answer[:start], [answer[one:other] for one, other in pairwise(ends)])


def read_slice(answer: bytes) -> Slice:
    """The parts of a step's answer."""
    end = len(answer) - _FOOTER.size
    routed_count, evidence_count = _FOOTER.unpack_from(answer, end)
    start = end - OUTCOMES_MAX * _NUMBER_SIZE_BYTES
    outcomes = array("I", answer[start:end])
    start, end = start - evidence_count * _LONG_SIZE_BYTES, start
    times = array("q", answer[start:end])
    start, end = start - evidence_count * _MARK_NUMBERS * _NUMBER_SIZE_BYTES, start
    evidence = array("I", answer[start:end])
    start, end = start - routed_count * _MARK_NUMBERS * _NUMBER_SIZE_BYTES, start
    routed = array("I", answer[start:end])
    return Slice(
        routed[::_MARK_NUMBERS],
        [(answer[key:value], answer[value:end]) for key, value, end in _places(routed)],
        [
            Evidence(number, time_us, answer[name:message], answer[message:end])
            for number, time_us, (name, message, end) in zip(
                evidence[::_MARK_NUMBERS], times, _places(evidence), strict=True
            )
        ],
        outcomes,
    )


def _places(marks: "array[int]") -> "zip[tuple[int, int, int]]":
    return zip(marks[1::_MARK_NUMBERS], marks[2::_MARK_NUMBERS], marks[3::_MARK_NUMBERS], strict=True)

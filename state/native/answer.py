"""What `Library.step` answers, as `output.rs` writes it: outputs and rows, by the numbers of what they came of."""

import struct
from array import array
from typing import Final, NamedTuple

# The last numbers of an answer: how many marks each section has, how many fragments are refused, and the counts.
_SECTIONS: Final = 7
_COUNTED: Final = ("applied", "duplicate", "skipped", "own", "add", "drop", "snapshot")
_FOOTER = struct.Struct(f"<{_SECTIONS + 1 + len(_COUNTED)}I")
# Of each record: the number of what it came of, and where its key, its value and their end are.
_MARK_NUMBERS: Final = 4
_NUMBER_SIZE_BYTES: Final = 4


class Section(NamedTuple):
    """Records of one sort: the numbers of the places or fragments that they came of, their keys and their values."""

    numbers: "array[int]"
    keys: list[bytes]
    values: list[bytes]


NOTHING: Final = Section(array("I"), [], [])


class Answer(NamedTuple):
    """What became of a piece; interactions are numbered by the places of their events, all else by the fragments."""

    interactions: Section
    contexts: Section
    changes: Section
    snapshots: Section
    records: Section
    entries: Section
    members: Section
    #: The fragments that are left to the general way.
    refused: "array[int]"
    #: What there was to count, where there was any.
    counts: dict[str, int]


def read_answer(answer: bytes) -> Answer:
    """The parts of an answer."""
    footer = _FOOTER.unpack_from(answer, len(answer) - _FOOTER.size)
    marked, refused = footer[:_SECTIONS], footer[_SECTIONS]
    counts = {name: count for name, count in zip(_COUNTED, footer[_SECTIONS + 1 :], strict=True) if count}
    end = len(answer) - _FOOTER.size
    numbers = array("I", answer[end - (_MARK_NUMBERS * sum(marked) + refused) * _NUMBER_SIZE_BYTES : end])
    sections = []
    start = 0
    for count in marked:
        end = start + _MARK_NUMBERS * count
        sections.append(_section(answer, numbers[start:end]) if count else NOTHING)
        start = end
    interactions, contexts, changes, snapshots, records, entries, members = sections
    refused_numbers = numbers[start:]
    return Answer(interactions, contexts, changes, snapshots, records, entries, members, refused_numbers, counts)


def _section(answer: bytes, marks: "array[int]") -> Section:
    starts, middles, ends = marks[1::_MARK_NUMBERS], marks[2::_MARK_NUMBERS], marks[3::_MARK_NUMBERS]
    return Section(
        marks[::_MARK_NUMBERS],
        [answer[start:end] for start, end in zip(starts, middles, strict=True)],
        [answer[start:end] for start, end in zip(middles, ends, strict=True)],
    )

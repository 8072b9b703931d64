"""What `Library.step` answers, as `output.rs` writes it: outputs and rows, by the numbers of what they came of."""

import struct
from array import array
from typing import Final, NamedTuple

# The last numbers of an answer: how many marks each section has, how many fragments are refused, and the counts.
_SECTIONS: Final = 7
_COUNTED: Final = ("applied", "duplicate", "skipped", "own", "add", "drop", "snapshot")
_FOOTER = struct.Struct(f"<{_SECTIONS + 1 + len(_COUNTED)}I")
#: Of each record: the number of what it came of, and where its key, its value and their end are.
MARK_NUMBERS: Final = 4
_NUMBER_SIZE_BYTES: Final = 4


class Section(NamedTuple):
    """Rows of one sort: their marks, the numbers of the fragments that they came of, their keys and their values."""

    marks: "array[int]"
    numbers: "array[int]"
    keys: list[bytes]
    values: list[bytes]


NOTHING: Final = Section(array("I"), array("I"), [], [])


class Answer(NamedTuple):
    """What became of a piece; interactions are numbered by the places of their events, all else by the fragments."""

    #: The marks of outputs, which stay where they are.
    interactions: "array[int]"
    contexts: "array[int]"
    changes: "array[int]"
    snapshots: "array[int]"
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
    numbers = array("I", answer[end - (MARK_NUMBERS * sum(marked) + refused) * _NUMBER_SIZE_BYTES : end])
    sections: list[array[int]] = []
    start = 0
    for count in marked:
        end = start + MARK_NUMBERS * count
        sections.append(numbers[start:end])
        start = end
    interactions, contexts, changes, snapshots, *rows = sections
    records, entries, members = (_section(answer, marks) for marks in rows)
    refused_numbers = numbers[start:]
    return Answer(interactions, contexts, changes, snapshots, records, entries, members, refused_numbers, counts)


def cut(answer: bytes, marks: "array[int]") -> tuple[list[bytes], list[bytes]]:
    """The keys and the values of the records that are marked."""
    starts, middles, ends = marks[1::MARK_NUMBERS], marks[2::MARK_NUMBERS], marks[3::MARK_NUMBERS]
    return (
        [answer[start:end] for start, end in zip(starts, middles, strict=True)],
        [answer[start:end] for start, end in zip(middles, ends, strict=True)],
    )


def _section(answer: bytes, marks: "array[int]") -> Section:
    return Section(marks, marks[::MARK_NUMBERS], *cut(answer, marks)) if marks else NOTHING

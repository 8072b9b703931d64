"""Dead letters: the headers that say what was wrong with a record, and where it came from."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.errors import EventError
from schemas.topics import DeadHeader, Header, headers_size_bytes

#: A header holds a line, not a document.
MESSAGE_LENGTH_MAX: Final = 512
# A raw record may be larger than any record of ours, by a broker's own limit or unpacked from a small batch. Its dead
# letter holds as much as fits under the limit of a record, and says how much there was.
VALUE_SIZE_BYTES_MAX: Final = 896 * 1024
KEY_SIZE_BYTES_MAX: Final = 16 * 1024
ORIGINAL_HEADERS_SIZE_BYTES_MAX: Final = 64 * 1024
ORIGINAL_HEADERS_MAX: Final = 256

#: What each header says, for documents.
HEADER_MEANINGS: Final = {
    DeadHeader.CODE: "Why, as a code that stays the same for ever.",
    DeadHeader.MESSAGE: "What was wrong, for people.",
    DeadHeader.POINTER: "JSON pointer into the event as sent; empty when the whole of it is meant.",
    DeadHeader.STAGE: "Who set it aside.",
    DeadHeader.TOPIC: "Topic of the record that it is about.",
    DeadHeader.PARTITION: "Partition of that record.",
    DeadHeader.OFFSET: "Offset of that record.",
    DeadHeader.TIMESTAMP: "Timestamp of that record, milliseconds since 1970.",
    DeadHeader.CUT_FROM: "Size of the original value in bytes, where not all of it fits.",
    DeadHeader.HEADERS_DROPPED: "How many headers the original had, where they are left out.",
}

# A partition, an offset or a time has at most 64 bits; more digits are no number of ours.
_DIGITS_MAX: Final = 19
_OUR_NAMES: Final = frozenset(str(header) for header in DeadHeader)


class DeadLetter(NamedTuple):
    """A record of `dead`, in the order that an output has it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def dead_letter(
    error: EventError,
    *,
    stage: str,
    key: bytes | None,
    value: bytes | None,
    topic: str = "",
    partition: int | None = None,
    offset: int | None = None,
    timestamp_ms: int | None = None,
    original: Sequence[Header] = (),
) -> DeadLetter:
    """The original key, bytes and headers, and what was wrong.

    What is too large is cut, and the size of a value told. Headers are code, message, pointer, stage, the origin where
    there is one, then the original's own but for those that are called as ours: of a letter that is sent again, the
    former reason is none of the new one's. Too many or too large ones are left out, and their number told. A record
    that is repeated after a crash has the same origin again, by which readers tell that it is one.
    """
    dropped = len(original) > ORIGINAL_HEADERS_MAX or headers_size_bytes(original) > ORIGINAL_HEADERS_SIZE_BYTES_MAX
    kept = () if dropped else ((name, content or b"") for name, content in original if name not in _OUR_NAMES)
    own: list[tuple[DeadHeader, bytes]] = [
        (DeadHeader.CODE, error.code.encode()),
        (DeadHeader.MESSAGE, error.message[:MESSAGE_LENGTH_MAX].encode(errors="replace")),
        (DeadHeader.POINTER, error.pointer.encode(errors="replace")),
        (DeadHeader.STAGE, stage.encode()),
    ]
    if topic:
        own.append((DeadHeader.TOPIC, topic.encode(errors="replace")))
    for name, number in (
        (DeadHeader.PARTITION, partition),
        (DeadHeader.OFFSET, offset),
        (DeadHeader.TIMESTAMP, timestamp_ms),
        (DeadHeader.CUT_FROM, None if value is None or len(value) <= VALUE_SIZE_BYTES_MAX else len(value)),
        (DeadHeader.HEADERS_DROPPED, len(original) if dropped else None),
    ):
        if number is not None:
            own.append((name, str(number).encode()))
    return DeadLetter(
        None if key is None else key[:KEY_SIZE_BYTES_MAX],
        None if value is None else value[:VALUE_SIZE_BYTES_MAX],
        (*((str(name), content) for name, content in own), *kept),
    )


def number_in(text: str | None) -> int | None:
    """The number that a header says, None where it says none: anybody may write to a topic."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS_MAX:
        return None
    return int(text)

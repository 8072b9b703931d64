"""Dead letters: the headers that say what was wrong with a record, and where it came from."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from schemas.errors import EventError
from schemas.topics import DeadHeader

#: A header holds a line, not a document.
MESSAGE_LENGTH_MAX: Final = 512
# A raw record may be larger than any record of ours, by a broker's own limit or unpacked from a small batch. Its dead
# letter holds as much as fits under the limit of a record, and says how much there was.
VALUE_SIZE_BYTES_MAX: Final = 896 * 1024
KEY_SIZE_BYTES_MAX: Final = 16 * 1024
ORIGINAL_HEADERS_SIZE_BYTES_MAX: Final = 64 * 1024

Header = tuple[str, bytes]


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
    """The original key, bytes and headers, and what was wrong; what is too large is cut, and its size told."""
    headers = dead_letter_headers(
        error, stage=stage, topic=topic, partition=partition, offset=offset, timestamp_ms=timestamp_ms
    )
    cut = value is not None and len(value) > VALUE_SIZE_BYTES_MAX
    if cut or len(key or b"") > KEY_SIZE_BYTES_MAX:
        headers += ((str(DeadHeader.CUT_FROM), str(len(value or b"")).encode()),)
    if sum(len(name.encode()) + len(content or b"") for name, content in original) <= ORIGINAL_HEADERS_SIZE_BYTES_MAX:
        headers += tuple((name, content or b"") for name, content in original)
    return DeadLetter(
        None if key is None else key[:KEY_SIZE_BYTES_MAX],
        None if value is None else value[:VALUE_SIZE_BYTES_MAX],
        headers,
    )


def dead_letter_headers(
    error: EventError,
    *,
    stage: str,
    topic: str = "",
    partition: int | None = None,
    offset: int | None = None,
    timestamp_ms: int | None = None,
    original: Iterable[Header] = (),
) -> tuple[Header, ...]:
    """Headers of a dead letter: code, message, pointer, stage, the origin where there is one, then the original's own.

    A record that is repeated after a crash has the same origin again, by which readers tell that it is one.
    """
    own: list[Header] = [
        (DeadHeader.CODE, error.code.encode()),
        (DeadHeader.MESSAGE, error.message[:MESSAGE_LENGTH_MAX].encode(errors="replace")),
        (DeadHeader.POINTER, error.pointer.encode(errors="replace")),
        (DeadHeader.STAGE, stage.encode()),
    ]
    if topic:
        own.append((DeadHeader.TOPIC, topic.encode()))
    for name, number in (
        (DeadHeader.PARTITION, partition),
        (DeadHeader.OFFSET, offset),
        (DeadHeader.TIMESTAMP, timestamp_ms),
    ):
        if number is not None:
            own.append((name, str(number).encode()))
    return (*((str(name), value) for name, value in own), *original)

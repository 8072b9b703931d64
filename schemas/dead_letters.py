"""Dead letters: the headers that say what was wrong with a record, and where it came from."""

from collections.abc import Iterable
from typing import Final

from schemas.errors import EventError
from schemas.topics import DeadHeader

#: A header holds a line, not a document.
MESSAGE_LENGTH_MAX: Final = 512

Header = tuple[str, bytes]


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

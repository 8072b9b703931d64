"""Bad events on their way in become dead letters: one form for rows of files and for messages over HTTP."""

from schemas.dead_letters import dead_letter
from schemas.errors import EventError
from schemas.topics import Catalogue, Header, Topic
from streams.producer import Record


def set_aside(
    catalogue: Catalogue,
    error: EventError,
    *,
    stage: str,
    original: bytes,
    origin: str,
    line: int | None = None,
    headers: tuple[Header, ...] = (),
) -> Record:
    """The record of `dead` that holds what was sent, and why it is no event.

    Args:
        catalogue: Names the topic.
        error: What was wrong; the code and pointer stay as they are.
        stage: Who sets it aside, `import` or `collect`.
        original: The bytes of this one row or message.
        origin: Where it came from, such as `import:complaints.csv`; takes the place of a topic.
        line: Its line in a file, from 1: by origin and line readers tell that a repeated letter is one.
        headers: What was said beside the original, such as its content type.
    """
    if line is not None:
        error = EventError(error.code, f"line {line}: {error.message}", error.pointer)
    letter = dead_letter(
        error,
        stage=stage,
        key=None,
        value=original,
        topic=origin,
        partition=None if line is None else 0,
        offset=line,
        original=headers,
    )
    return Record(catalogue.name(Topic.DEAD), *letter)

"""What is known of letters that were sent again before: by the notes of former retries, and by later letters."""

from typing import NamedTuple

import msgspec

from schemas.errors import TopicError
from schemas.topics import Catalogue
from streams.dead import DeadLetterRecord
from streams.dead_retries import Retry, read_retries
from streams.kafka import KafkaOptions


class Former(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a letter."""

    #: `accepted`, `duplicate`, or the code for which it was refused again.
    outcome: str
    #: The letter that it became, where it was refused again.
    letter: int | None = None
    #: When that was noted, milliseconds since 1970.
    time_ms: int | None = None

    def __str__(self) -> str:
        """For a table."""
        return self.outcome if self.letter is None else f"{self.outcome}: {self.letter}"


class _Became(NamedTuple):
    offset: int
    code: str
    time_ms: int


class History:
    """Collects what is known; letters are shown to it in their order.

    Args:
        notes: Of former retries, by the offsets of letters.
    """

    def __init__(self, notes: dict[int, Retry]) -> None:
        self._notes = notes
        self._became: dict[int, _Became] = {}

    def see(self, letter: DeadLetterRecord) -> None:
        """Note whether it is what another one became."""
        old = letter.retry_of
        # A letter becomes a later one; what says otherwise was written by somebody else.
        if old is not None and old < letter.offset:
            self._became[old] = _Became(letter.offset, letter.code, letter.timestamp_ms)

    def of(self, offset: int) -> Former | None:
        """What became of a letter; None where it was not sent again, or what became of it is not known."""
        became = self._became.get(offset)
        if became is not None:
            return Former(became.code, became.offset, became.time_ms)
        note = self._notes.get(offset)
        return None if note is None else Former(note.outcome, None, note.time_ms)


def read_history(kafka: KafkaOptions, catalogue: Catalogue) -> History:
    """The notes of former retries. An installation that has no topic for them yet has none."""
    try:
        return History(read_retries(kafka, catalogue))
    except TopicError:
        return History({})

"""Which letters are meant: by offset, code, stage, source and time."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from schemas.errors import DeadCode, EventError, UsageError
from schemas.times import MICROSECONDS_PER_MILLISECOND, parse_time
from schemas.yaml_files import suggestion
from streams.dead import DeadLetterRecord
from streams.metrics import STAGES

_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Selection:
    """What is asked of a letter; whatever is not given is not asked."""

    offsets: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    stage: str | None = None
    source: str | None = None
    #: When it was written: from the first to before the second, in milliseconds since 1970.
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether it asks nothing."""
        return self == Selection()

    @property
    def start(self) -> int:
        """No letter before this offset is meant."""
        return min(self.offsets, default=0)

    def takes(self, letter: DeadLetterRecord) -> bool:
        """Whether the letter is meant."""
        return (
            (not self.offsets or letter.offset in self.offsets)
            and (not self.codes or letter.code in self.codes)
            and (self.stage is None or letter.stage == self.stage)
            and (self.since_ms is None or letter.timestamp_ms >= self.since_ms)
            and (self.until_ms is None or letter.timestamp_ms < self.until_ms)
            and (self.source is None or letter.source == self.source)
        )


def select(
    *,
    now_ms: int,
    offsets: Iterable[int] = (),
    codes: Iterable[str] = (),
    stage: str | None = None,
    source: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Selection:
    """The selection of a command line. Times are RFC 3339, or how long ago: `30s`, `15m`, `2h`, `7d`.

    Raises:
        UsageError: there is no such code or stage, or a time is none.
    """
    known = [code.value for code in DeadCode]
    for code in codes:
        if code not in known:
            raise UsageError(f"there is no code {code!r}{suggestion(code, known)}")
    if stage is not None and stage not in STAGES:
        raise UsageError(f"there is no stage {stage!r}{suggestion(stage, list(STAGES))}")
    since_ms, until_ms = _moment_ms("--since", since, now_ms), _moment_ms("--until", until, now_ms)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError("--since is not before --until")
    return Selection(frozenset(offsets), frozenset(codes), stage, source, since_ms, until_ms)


def _moment_ms(option: str, text: str | None, now_ms: int) -> int | None:
    if text is None:
        return None
    if (ago := _AGO.fullmatch(text)) is not None:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        # Milliseconds are all that Kafka keeps: from a part of one on, the next is the first.
        return -(-parse_time(text) // MICROSECONDS_PER_MILLISECOND)
    except EventError:
        raise UsageError(
            f"{option} {text!r} is no time: write one such as 2026-11-22T10:00:00Z, or how long ago, such as 2h"
        ) from None

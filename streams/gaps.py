"""Gaps: what a worker would go on with is no longer, or not any more, in the log. Found by looking, and said in words.

Three things have to agree about every partition that workers read: the log itself, the offset that the group
committed, and, of a stateful stage, the position row that its changelog ends with. Where they don't, a worker stops;
`streams.acceptance` is how an operator goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.rows import PositionRow
from schemas.times import format_time
from schemas.topics import Partition
from streams.group import GroupOffset

ACCEPT_COMMAND: Final = "goldenthread state accept-gap"
_DOCS: Final = "docs/gaps.md"


class Cause(StrEnum):
    """What happened, as far as it can be told."""

    #: The topic was deleted and made again under its name.
    MADE_AGAIN = "made_again"
    #: The log ends before the position: the broker lost its tail.
    SHORTER = "shorter"
    #: The log begins after the position: retention or a deletion of records was faster.
    OVERTAKEN = "overtaken"
    #: The group's offset expired, was deleted or is older than the log; of a stateful stage nothing is lost by it.
    OFFSET_GONE = "offset_gone"
    #: The changelog holds nothing: it was made again, or lost everything.
    STATE_GONE = "state_gone"
    #: The changelog ends before what the group committed: it lost its tail.
    STATE_BEHIND = "state_behind"
    #: The state was made with another number of partitions: nothing that can be accepted.
    PARTITIONS = "partitions"
    #: An acceptance was cut short before its last step.
    UNFINISHED = "unfinished"


#: After these, messages between identity, fragments and owners may be missing.
TELLING: Final = frozenset({Cause.MADE_AGAIN, Cause.SHORTER, Cause.OVERTAKEN, Cause.STATE_GONE, Cause.STATE_BEHIND})
#: Of these nothing is lost; an offset is to be committed, and no more.
HARMLESS: Final = frozenset({Cause.OFFSET_GONE, Cause.UNFINISHED})


class Log(NamedTuple):
    """A partition on the broker: its topic's id and partition count, its first offset, and its end."""

    topic_id: str
    partitions: int
    low: int
    high: int


class StageTopics(NamedTuple):
    """A stateful stage by its full topic names."""

    stage: str
    input: str
    changelog: str


class Changelog(NamedTuple):
    """How a changelog's partition ends."""

    topic: str
    position: PositionRow | None
    #: When the position was written, in milliseconds since 1970; 0 where there is none.
    time_ms: int = 0
    #: The position was written by an acceptance, and nothing was applied since.
    accepted: bool = False


@dataclass(frozen=True)
class Gap:
    """One partition that can't be gone on with as it is."""

    cause: Cause
    stage: str
    topic: str
    partition: int
    log: Log
    #: Where work would have gone on; None where that is not known.
    stored: int | None
    #: Where it goes on once the gap is accepted.
    goes_on: int
    #: Of a stateful stage.
    changelog: Changelog | None = None
    #: When the log's first record was written, in milliseconds since 1970; 0 where that is not known.
    first_ms: int = 0

    @property
    def where(self) -> str:
        """Topic and partition."""
        return f"{self.topic}/{self.partition}"

    @property
    def is_harmless(self) -> bool:
        """Whether nothing is lost, so that an offset is committed and no more."""
        return self.changelog is not None and self.cause in HARMLESS

    @property
    def is_acceptable(self) -> bool:
        """Whether accepting it is a way to go on."""
        return self.cause is not Cause.PARTITIONS

    @property
    def era(self) -> int:
        """The era that accepting it begins; 0 of a partition without state."""
        if self.changelog is None:
            return 0
        position = self.changelog.position
        return (0 if position is None else position.era) + (not self.is_harmless)

    @property
    def gone(self) -> str:
        """What is gone, with topic, partition and offsets."""
        low, high, stored = self.log.low, self.log.high, self.stored
        holds = f"the log holds offsets {low} to {high}"
        changelog = "the changelog" if self.changelog is None else f"{self.changelog.topic}/{self.partition}"
        since = self._since()
        text = {
            Cause.MADE_AGAIN: f"{self.where} was made again: what was not read of the former topic, from offset "
            f"{stored}, is gone, and its offsets mean nothing in the new one ({holds})",
            Cause.SHORTER: f"{self.where} lost its tail: {holds}, work would go on at {stored}",
            Cause.OVERTAKEN: f"{self.where}: offsets {stored} to {low - 1} are gone unread, by retention or because "
            f"somebody deleted records ({holds})",
            Cause.OFFSET_GONE: f"{self.where}: the group's offset is gone: it expired, was deleted, or went with a "
            f"topic that was made again ({holds})",
            Cause.STATE_GONE: f"{changelog} holds no position, but {self.where} was read to offset {stored}: the state "
            "is gone, the changelog was made again or emptied",
            Cause.STATE_BEHIND: f"{changelog} knows {self.where} to offset {stored}, the group committed a later one: "
            "the changelog lost its tail",
            Cause.PARTITIONS: f"the state of {self.where} was made with {self._made_with} partitions, now there are "
            f"{self.log.partitions}",
            Cause.UNFINISHED: f"{self.where}: a gap was accepted, but the group's offset was not committed any more",
        }[self.cause]
        return text + since

    @property
    def consequence(self) -> str:
        """What accepting it does."""
        if self.is_harmless:
            return f"nothing is lost: the state goes on at offset {self.goes_on}, and the group's offset is committed"
        if self.cause is Cause.PARTITIONS:
            return (
                "set GOLDENTHREAD_PARTITIONS back to what it was, or begin anew under another GOLDENTHREAD_TOPIC_PREFIX"
            )
        text = f"goes on at offset {self.goes_on}"
        if self.changelog is None:
            return text + "; what is read twice is recognised and not counted again"
        if self.cause is Cause.STATE_GONE:
            return text + ": contexts are made anew from what the log still holds, and outputs appear again"
        if self.cause is Cause.STATE_BEHIND:
            return text + ", where the changelog ends; consumers may see outputs again"
        return text + f", in era {self.era}; what is read twice is recognised and not counted again"

    @property
    def _made_with(self) -> int:
        position = None if self.changelog is None else self.changelog.position
        return self.log.partitions if position is None else position.partitions

    def _since(self) -> str:
        times = []
        if self.changelog is not None and self.changelog.time_ms:
            times.append(f"the last checkpoint is of {format_time(self.changelog.time_ms * 1000)}")
        if self.first_ms:
            times.append(f"the log's first record of {format_time(self.first_ms * 1000)}")
        return f"; {', '.join(times)}" if times else ""


def judge(
    stage: str, place: Partition, log: Log, group: GroupOffset | None, changelog: Changelog | None = None
) -> Gap | None:
    """The gap in a partition, None where all agrees.

    Args:
        stage: Who reads it.
        place: The partition.
        log: The partition as the broker has it.
        group: What the group committed.
        changelog: The end of its changelog; None where its stage has none.
    """
    if changelog is None:
        return _judge_stateless(stage, place, log, group)
    position = changelog.position
    if position is not None:
        return _judge_position(stage, place, log, group, changelog, position)
    cause = None
    if group is None:
        cause = Cause.OFFSET_GONE
    elif group.offset:
        cause = Cause.STATE_GONE
    elif log.low:
        cause = Cause.OVERTAKEN
    stored = None if group is None else group.offset
    return None if cause is None else Gap(cause, stage, *place, log, stored, log.low, changelog)


def _judge_position(  # noqa: PLR0917 - what is known of one partition.
    stage: str, place: Partition, log: Log, group: GroupOffset | None, changelog: Changelog, position: PositionRow
) -> Gap | None:
    stored = position.next_offset
    cause, goes_on = None, log.low
    if position.partitions != log.partitions:
        cause = Cause.PARTITIONS
    elif position.topic_id != log.topic_id:
        cause = Cause.MADE_AGAIN
    elif group is not None and group.offset > stored:
        cause = Cause.UNFINISHED if changelog.accepted else Cause.STATE_BEHIND
        goes_on = max(log.low, stored)
    elif stored > log.high:
        cause = Cause.SHORTER
    elif stored < log.low:
        cause = Cause.OVERTAKEN
    elif group is None or group.offset < log.low:
        cause, goes_on = Cause.OFFSET_GONE, stored
    return None if cause is None else Gap(cause, stage, *place, log, stored, goes_on, changelog)


def _judge_stateless(stage: str, place: Partition, log: Log, group: GroupOffset | None) -> Gap | None:
    cause = None
    if group is None:
        cause = Cause.OFFSET_GONE
    elif group.topic_id and group.topic_id != log.topic_id:
        cause = Cause.MADE_AGAIN
    elif group.offset > log.high:
        cause = Cause.SHORTER
    elif group.offset < log.low:
        cause = Cause.OVERTAKEN
    return None if cause is None else Gap(cause, stage, *place, log, group.offset if group else None, log.low)


def told(gaps: Sequence[Gap], *, shown_max: int = 5) -> str:
    """What is gone and what to do, for an error."""
    lines = [gap.gone for gap in gaps[:shown_max]]
    if len(gaps) > shown_max:
        lines.append(f"and {len(gaps) - shown_max} partitions more")
    text = ". ".join(lines)
    final = next((gap for gap in gaps if not gap.is_acceptable), None)
    if final is not None:
        return f"{text}: {final.consequence} ({_DOCS})"
    return (
        f"{text}. Stop all workers, look at what would be given up with `{ACCEPT_COMMAND}`, and go on with "
        f"`{ACCEPT_COMMAND} --yes --reason TEXT` ({_DOCS})"
    )

"""Which fault happens when: a pure function of a seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from streams.faults import STAGES, FaultPoint

WORKERS: Final = ("worker-0", "worker-1")
#: The one that joins and leaves.
EXTRA_WORKER: Final = "worker-2"
COLLECT: Final = "collect"
LOOKUP: Final = "lookup"
BROKER: Final = "broker"
# Passes of a point before the fault: the first ones belong to a start, later ones to work under way.
_PASSES_MAX: Final = 12


class FaultKind(StrEnum):
    """What may happen. All but `stop-worker`, the pauses and `extra-worker` are kill -9."""

    KILL_WORKER = "kill-worker"
    #: Both at once.
    KILL_WORKERS = "kill-workers"
    #: And its disk is empty when it comes back.
    WIPE_WORKER = "wipe-worker"
    #: And its next start kills itself between two steps of a checkpoint, of a restore, or of intake.
    KILL_AT_POINT = "kill-at-point"
    STOP_WORKER = "stop-worker"
    #: Shorter than its session timeout.
    PAUSE_WORKER = "pause-worker"
    #: Longer than its session timeout: another has its partitions when it wakes up.
    ZOMBIE_WORKER = "zombie-worker"
    #: A third worker comes, stays for a while, and leaves.
    EXTRA_WORKER = "extra-worker"
    KILL_COLLECT = "kill-collect"
    KILL_LOOKUP = "kill-lookup"
    KILL_BROKER = "kill-broker"
    PAUSE_BROKER = "pause-broker"


#: How often each kind comes, in a hundred.
WEIGHTS: Final = {
    FaultKind.KILL_WORKER: 40,
    FaultKind.KILL_WORKERS: 6,
    FaultKind.WIPE_WORKER: 7,
    FaultKind.KILL_AT_POINT: 14,
    FaultKind.STOP_WORKER: 5,
    FaultKind.PAUSE_WORKER: 6,
    FaultKind.ZOMBIE_WORKER: 4,
    FaultKind.EXTRA_WORKER: 3,
    FaultKind.KILL_COLLECT: 5,
    FaultKind.KILL_LOOKUP: 4,
    FaultKind.KILL_BROKER: 3,
    FaultKind.PAUSE_BROKER: 3,
}
#: In seconds, by kind, for those that last; a zombie's is in session timeouts.
_LASTS: Final = {
    FaultKind.PAUSE_WORKER: (0.2, 4.0),
    FaultKind.ZOMBIE_WORKER: (1.3, 2.5),
    FaultKind.EXTRA_WORKER: (8.0, 20.0),
    FaultKind.PAUSE_BROKER: (0.5, 6.0),
}


class Fault(NamedTuple):
    """One fault of a schedule."""

    #: From 1.
    number: int
    #: Since the first event was sent.
    at_seconds: float
    kind: FaultKind
    #: Names of the processes that it hits.
    targets: tuple[str, ...]
    #: How long it lasts; 0 for what happens at once.
    lasts_seconds: float = 0.0
    #: The fault plan of the target's next start, for `kill-at-point`.
    plan: str = ""

    def __str__(self) -> str:
        """The fault in one line, for people."""
        lasting = f" for {self.lasts_seconds:.1f} s" if self.lasts_seconds else ""
        return f"{self.kind} {' '.join(self.targets)}{lasting}{f' {self.plan}' if self.plan else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How close faults follow each other, and what a pause is measured by.

    Attributes:
        gap_seconds: Shortest and longest time from a fault to the next. A worker is back after some seconds, so with
            the default some are killed while they start or restore.
        session_timeout_seconds: Of the workers' group.
    """

    gap_seconds: tuple[float, float] = (0.5, 8.0)
    session_timeout_seconds: float = 6.0


def schedule(seed: int, kinds: Sequence[FaultKind] = (), timing: Timing | None = None) -> Iterator[Fault]:
    """Faults without end, in the order of their times; the same for the same arguments, for ever.

    Args:
        seed: any number.
        kinds: only these, as often as each other; none given: all of them, in the shares of `WEIGHTS`.
        timing: how close they follow each other.
    """
    timing = timing or Timing()
    dice = random.Random(f"faults/{seed}")
    names = list(dict.fromkeys(kinds)) or list(WEIGHTS)
    weights = [1] * len(names) if kinds else list(WEIGHTS.values())
    at_seconds, number = 0.0, 0
    while True:
        number += 1
        at_seconds += dice.uniform(*timing.gap_seconds)
        (kind,) = dice.choices(names, weights)
        yield Fault(number, at_seconds, kind, _targets(kind, dice), _lasts(kind, timing, dice), _plan(kind, dice))


def _targets(kind: FaultKind, dice: random.Random) -> tuple[str, ...]:
    worker = dice.choice(WORKERS)
    return {
        FaultKind.KILL_WORKERS: WORKERS,
        FaultKind.EXTRA_WORKER: (EXTRA_WORKER,),
        FaultKind.KILL_COLLECT: (COLLECT,),
        FaultKind.KILL_LOOKUP: (LOOKUP,),
        FaultKind.KILL_BROKER: (BROKER,),
        FaultKind.PAUSE_BROKER: (BROKER,),
    }.get(kind, (worker,))


def _lasts(kind: FaultKind, timing: Timing, dice: random.Random) -> float:
    if kind not in _LASTS:
        return 0.0
    seconds = dice.uniform(*_LASTS[kind])
    return seconds * timing.session_timeout_seconds if kind is FaultKind.ZOMBIE_WORKER else seconds


def _plan(kind: FaultKind, dice: random.Random) -> str:
    if kind is not FaultKind.KILL_AT_POINT:
        return ""
    point = dice.choice(list(FaultPoint))
    # Points of a start are passed once by each partition, those of a checkpoint again and again.
    passes = dice.choice((1, 1, 2, dice.randint(1, _PASSES_MAX)))
    intake, *stateful = STAGES
    stage = intake if point.startswith(intake) else dice.choice(stateful)
    return f"{stage}/{point}:{passes}"

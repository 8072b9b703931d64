"""How long partitions stand still with something to do: pure, told of time and of what is seen, and knows no clock."""

from collections.abc import Iterable, Mapping
from typing import Final

from schemas.topics import Partition
from streams.partition import Step

# A partition of which nothing is in hand may wait for its turn: while others move it has so many times the timeout.
TURN_RATIO: Final = 15


class Standstill:
    """Adds up, pass by pass.

    Work in hand that does not move is overdue after the timeout. Records that wait unfetched are overdue when nothing
    else moved for as long either; while other partitions go on they may wait for their turn, for `TURN_RATIO` times
    the timeout.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._steps: dict[Partition, tuple[Step, int | None]] = {}
        self._stood_s: dict[Partition, float] = {}
        # Since when nothing at all moved.
        self._all_stood_s = 0.0

    @property
    def longest_s(self) -> float:
        """How long the oldest standstill lasts."""
        return max(self._stood_s.values(), default=0.0)

    def unmoved(self, steps: Mapping[Partition, Step], positions: Mapping[Partition, int]) -> list[Partition]:
        """The partitions that are where they were at the last pass."""
        return [place for place, step in steps.items() if self._steps.get(place) == (step, positions.get(place))]

    def add(
        self,
        passed_s: float,
        steps: Mapping[Partition, Step],
        positions: Mapping[Partition, int],
        waiting: Iterable[Partition],
    ) -> None:
        """Count the time since the last pass for unmoved partitions with something to do, and forget it for others."""
        unmoved = set(self.unmoved(steps, positions))
        gone_on = [place for place in self._steps if place in steps and place not in unmoved]
        self._all_stood_s = 0.0 if gone_on else self._all_stood_s + passed_s
        self._stood_s = {place: self._stood_s.get(place, 0.0) + passed_s for place in waiting if place in unmoved}
        self._steps = {place: (step, positions.get(place)) for place, step in steps.items()}

    def forget(self, place: Partition) -> None:
        """Nothing waits there after all."""
        self._stood_s.pop(place, None)

    def start_anew(self) -> None:
        """What was seen so far says nothing any more."""
        self._steps.clear()
        self._stood_s.clear()
        self._all_stood_s = 0.0

    def overdue(self) -> list[tuple[Partition, float]]:
        """The partitions that stand still for too long, with the seconds."""
        return [(place, stood_s) for place, stood_s in self._stood_s.items() if self._is_overdue(place, stood_s)]

    def _is_overdue(self, place: Partition, stood_s: float) -> bool:
        step, _ = self._steps[place]
        if step.in_hand or stood_s >= self._timeout_s * TURN_RATIO:
            return stood_s >= self._timeout_s
        return min(stood_s, self._all_stood_s) >= self._timeout_s

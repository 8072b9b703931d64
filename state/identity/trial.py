"""What would these messages do? The engine itself, over a copy of the rows that is thrown away.

A dry run of an order and the rehearsal of a policy both ask this. What is predicted is what happens, since the same
code decides, the repair's steps included; what comes in meanwhile is not in it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from schemas.identity_changes import IdentityChange
from schemas.identity_policy import Policy
from schemas.messages import Repair, decode_identity
from schemas.topics import DeadHeader, Topic
from state.engine import Output, Rows
from state.identity.cache_bounds import CacheBounds
from state.identity.engine import IdentityEngine
from state.identity.link_rows import Unseal
from state.identity.moves import Move, MoveCounts, count_moves, moves
from state.identity.overlay import OverlayRows, SortedRows, WritableRows
from state.identity.repair import RepairRuns

#: Decisions, and moves, that an outcome lists; it counts all of them.
LISTED_MAX: Final = 1_000
#: Steps of a repair that a dry run of an order takes: a quarter of a million fragments, some minutes. Whoever needs
#: more says so.
STEPS_MAX: Final = 500

_CHANGES: Final = msgspec.json.Decoder(IdentityChange)


@dataclass(frozen=True)
class Outcome:
    """What the messages would do, all of it."""

    counts: MoveCounts
    #: The first LISTED_MAX, in the order of fragment ids.
    moves: tuple[Move, ...]
    #: The first LISTED_MAX, in the order in which they would be made.
    decisions: tuple[IdentityChange, ...]
    #: How many there are.
    decided: int
    #: What is said of messages that would go to `dead`.
    refused: tuple[str, ...]
    #: Whether repairs came to their end within the bound, and none that was under way before kept one waiting.
    complete: bool


class Trial:
    """An engine over a copy of rows.

    Args:
        rows: those of `identity.links`; they are only read, and should not change meanwhile.
        unseal: as the engine's.
        policy: as the engine's: what holds where the rows name none.
        above: where the copy's changes go; in memory where none is given.
        era: as the engine's.
        bounds: as the engine's.
    """

    def __init__(
        self,
        rows: Rows,
        unseal: Unseal,
        policy: Policy,
        *,
        above: WritableRows | None = None,
        era: int = 0,
        bounds: CacheBounds | None = None,
    ) -> None:
        #: The rows as they would be.
        self.rows = OverlayRows(rows, SortedRows() if above is None else above)
        self._engine = IdentityEngine(self.rows, unseal, policy, era=era, bounds=bounds)
        self._decisions: list[IdentityChange] = []
        self._decided = 0
        self._refused: list[str] = []
        self._repairs: deque[bytes] = deque()
        self._foreign: str | None = None

    def run(
        self,
        messages: Sequence[bytes],
        *,
        offset: int = 0,
        steps_max: int | None = STEPS_MAX,
        on_step: Callable[[int], None] | None = None,
    ) -> Outcome:
        """Apply encoded messages, and then what they make identity say to itself.

        1. Apply each.
        2. Go on with the repairs that they begin, to the end.
        3. Compare with what was.

        Args:
            messages: `Order`, `Undo` or `PolicyChange`, as they stand in `identity.evidence`.
            offset: where the first would stand.
            steps_max: steps of repairs that are taken, None for all.
            on_step: told after each step how many fragments the repair has looked at.
        """
        # A repair that is under way is no doing of these messages; one that they begin may take its place.
        before = RepairRuns(self.rows).row
        self._foreign = None if before is None else before.run
        self._commit()
        # 1. Apply.
        for place, message in enumerate(messages):
            self._engine.apply(message, offset + place)
            self._commit()
        # 2. Go on.
        steps = 0
        while self._repairs and (steps_max is None or steps < steps_max):
            self._engine.apply(self._repairs.popleft(), offset + len(messages) + steps)
            self._commit()
            steps += 1
            row = RepairRuns(self.rows).row
            if on_step is not None and row is not None:
                on_step(row.looked_at)
        # 3. Compare.
        left = RepairRuns(self.rows).row
        return Outcome(
            counts=count_moves(self.rows),
            moves=tuple(islice(moves(self.rows), LISTED_MAX)),
            decisions=tuple(self._decisions),
            decided=self._decided,
            refused=tuple(self._refused),
            complete=left is None or left == before,
        )

    def _commit(self) -> None:
        drained = self._engine.drain()
        self.rows.write(drained.rows)
        self._engine.settled()
        for output in drained.outputs:
            if output.topic == Topic.EVIDENCE:
                self._go_on_with(output)
            elif output.topic == Topic.DEAD:
                self._refused.append(dict(output.headers)[DeadHeader.MESSAGE].decode())
            elif output.topic == Topic.IDENTITY_CHANGES and output.value is not None:
                self._decided += 1
                if len(self._decisions) < LISTED_MAX:
                    self._decisions.append(_CHANGES.decode(output.value))

    def _go_on_with(self, output: Output) -> None:
        value = output.value or b""
        message = decode_identity(value)
        if isinstance(message, Repair) and message.run != self._foreign:
            self._repairs.append(value)

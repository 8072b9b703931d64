"""Deciding again, bit by bit, what is too large for one transaction: under another policy, or without a source's word.

1. The change is recorded and holds at once, and a run begins. That of a source waits until the one under way has ended;
   that of a policy takes the place of all others, since it places everything again.
2. A run of a policy whose `unlinkable` differs first marks, fragment by fragment, what that splits off, and what no
   more.
3. Then whatever the change may touch is placed again, in the order of fragment ids; what depends on it follows, as
   always. What is not reached yet is *stale*.
4. At the end the row of the run goes, and the next one begins.

Each step answers one `Repair` message and gives the next, in one transaction, so that a crash goes on where it was,
and new evidence comes between the steps. It is decided under what holds now, by neighbours that may be stale; these
are placed again in their turn, and whatever looks at them then. So at the end each identifier was placed after
everything that it looks at, and that is the whole partition, whatever came between.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from schemas.messages import Repair
from schemas.orders import Authority
from schemas.rows import (
    LINK_ROW_PREFIX,
    REPAIR_ROW_KEY,
    RepairRow,
    RowDecoder,
    encode_row,
    evidence_prefix,
    link_row_key,
    pair_orders_prefix,
    split_evidence_key,
    split_pair_order_key,
)
from state.engine import Rows
from state.identity.overlay import OverlayRows, SortedRows

#: Fragments that one step looks at, at the most: about a tenth of a second, in which nothing else is decided.
FRAGMENTS_PER_STEP: Final = 500
#: A step ends with the batch that brought the placements it changed to this number: a transaction of about 1 MB.
MOVES_PER_STEP: Final = 1_000
#: Fragments that are placed again together. Those of one customer have ids far apart, so that larger batches hardly
#: save anything.
FRAGMENTS_PER_BATCH: Final = 25
#: Runs that wait. Past this they become one over all fragments, which does what each of them would do.
WAITING_RUNS_MAX: Final = 100

_ROWS: Final = RowDecoder(RepairRow)
# Greater than every fragment id.
_PAST_ALL: Final = "~"


class Again(NamedTuple):
    """What is to be placed again together."""

    fragments: list[str]
    #: Pairs among which an order may have come to stand or to fall.
    ordered: list[tuple[str, str]]


class RepairRuns:
    """The run under way and those that wait, as their row says; the engine applies what it is given here.

    Args:
        rows: the committed ones.
        fresh: gives what is not committed yet, so that a step does the same wherever checkpoints lie.
    """

    def __init__(self, rows: Rows, fresh: Callable[[], Mapping[bytes, bytes | None]] = dict) -> None:
        value = rows.get(REPAIR_ROW_KEY)
        self._committed = rows
        self._fresh = fresh
        # What a step reads: all that came before it.
        self._rows: Rows = rows
        self._row = None if value is None else _ROWS.decode(value)
        self._changed = False

    @property
    def row(self) -> RepairRow | None:
        """How far the run under way is; None where there is none."""
        return self._row

    def begin_policy(self, run: str, time: int, *, marks: bool) -> Repair | None:
        """Begin the run of a policy change.

        Args:
            run: the change's id.
            time: of the change, in microseconds since 1970.
            marks: whether `unlinkable` differs.
        """
        marks = marks or (self._row is not None and self._row.marking)
        self._put(RepairRow(run, "", "", 0, 0, time, marking=marks))
        return self.pending()

    def begin_source(self, run: str, source: str, time: int) -> Repair | None:
        """Begin the run of a split source, or of its undo; None where it waits.

        Args:
            run: the id of the order, or of the undo.
            source: whose word counts no more, or again.
            time: of the change, in microseconds since 1970.
        """
        if self._row is not None:
            self._put(msgspec.structs.replace(self._row, waiting=_queued(self._row.waiting, run, source)))
            return None
        self._put(RepairRow(run, source, "", 0, 0, time))
        return self.pending()

    def pending(self) -> Repair | None:
        """The message that makes the run go on, for an engine that begins: nobody knows whether it is in the log."""
        return None if self._row is None else Repair(self._row.run, self._row.cursor)

    def is_stale(self, fragment: str) -> bool:
        """Whether the run under way has not reached the fragment yet."""
        return self._row is not None and (self._row.marking or fragment > self._row.cursor)

    def step(
        self, message: Repair, *, mark: Callable[[str], None], place_again: Callable[[Again], int]
    ) -> tuple[bool, Repair | None]:
        """Do one step.

        Args:
            message: what asks for it.
            mark: splits a fragment off, or no more, as the policy's `unlinkable` says.
            place_again: places, writes and tells; returns how many fragments were placed otherwise.

        Returns:
            Whether the message was the run's own, and if so the message that asks for the next step, if there is one.
        """
        row = self._row
        if row is None or (message.run, message.cursor) != (row.run, row.cursor):
            return False, None
        overlay = OverlayRows(self._committed, SortedRows())
        overlay.write(self._fresh())
        self._rows = overlay
        fragments = self._fragments(row.cursor)
        if row.marking:
            part = list(islice(fragments, FRAGMENTS_PER_STEP))
            for fragment in part:
                mark(fragment)
            done = len(part) < FRAGMENTS_PER_STEP
            self._put(msgspec.structs.replace(row, cursor="" if done else part[-1], marking=not done))
            return True, self.pending()
        looked_at = moved = 0
        cursor = _PAST_ALL
        while looked_at < FRAGMENTS_PER_STEP and moved < MOVES_PER_STEP:
            part = list(islice(fragments, FRAGMENTS_PER_BATCH))
            again = self._touched(part, row.source)
            if again.fragments:
                moved += place_again(again)
            looked_at += len(part)
            cursor = part[-1] if len(part) == FRAGMENTS_PER_BATCH else _PAST_ALL
            if cursor == _PAST_ALL:
                break
        self._put(
            msgspec.structs.replace(row, cursor=cursor, looked_at=row.looked_at + looked_at, moved=row.moved + moved)
        )
        return True, self.pending() if cursor != _PAST_ALL else self._end()

    def drained(self) -> dict[bytes, bytes | None]:
        """The row, where it changed since the last drain."""
        if not self._changed:
            return {}
        self._changed = False
        return {REPAIR_ROW_KEY: None if self._row is None else encode_row(self._row)}

    def _end(self) -> Repair | None:
        row = self._row
        if row is None or not row.waiting:
            self._put(None)
            return None
        (run, source), *waiting = row.waiting
        self._put(RepairRow(run, source, "", 0, 0, row.started, tuple(waiting)))
        return self.pending()

    def _put(self, row: RepairRow | None) -> None:
        self._row = row
        self._changed = True

    def _fragments(self, after: str) -> Iterator[str]:
        """The ids of the fragments past this one."""
        start = link_row_key(after) + b"\x00" if after else None
        return (key.removeprefix(LINK_ROW_PREFIX).decode() for key, _ in self._rows.scan(LINK_ROW_PREFIX, start))

    def _touched(self, fragments: list[str], source: str) -> Again:
        """Those that the change may concern at first hand."""
        if not source:
            return Again(fragments, [])
        ordered = {fragment: list(self._ordered_by(fragment, source)) for fragment in fragments}
        touched = [each for each in fragments if ordered[each] or self._is_shown_by(each, source)]
        return Again(touched, [pair for pairs in ordered.values() for pair in pairs])

    def _is_shown_by(self, fragment: str, source: str) -> bool:
        return any(split_evidence_key(key)[3] == source for key, _ in self._rows.scan(evidence_prefix(fragment)))

    def _ordered_by(self, fragment: str, source: str) -> Iterator[tuple[str, str]]:
        for key, _ in self._rows.scan(pair_orders_prefix(fragment)):
            _, neighbour, authority, name = split_pair_order_key(key)
            if authority == Authority.RECORD and name == source:
                yield fragment, neighbour


def _queued(waiting: tuple[tuple[str, str], ...], run: str, source: str) -> tuple[tuple[str, str], ...]:
    """The runs that wait, with one more, unless one of them will do what it would do."""
    if any(each in {"", source} for _, each in waiting):
        return waiting
    return (*waiting, (run, source)) if len(waiting) < WAITING_RUNS_MAX else ((run, ""),)

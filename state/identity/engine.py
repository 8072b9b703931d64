"""The engine behind agents/identity: evidence and orders in; rows, ownership messages and decisions out."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from schemas.dead_letters import dead_letter
from schemas.errors import EventError
from schemas.identity_changes import Cause
from schemas.identity_policy import GRADE_LABELS, Grade, Policy
from schemas.messages import Evidence, IdentityMessage, Order, PolicyChange, SealedIdentifier, Undo
from schemas.orders import OPERATOR_SOURCE, UNDO
from schemas.rows import LinkRow
from schemas.times import format_time, sight_bucket
from schemas.topics import Topic
from state.engine import Drained, Output, Rows, apply_each
from state.identity.cache_bounds import CacheBounds
from state.identity.deciding import Deciding
from state.identity.eras import FORMED_ERA_BITS
from state.identity.guard import Watch
from state.identity.link_rows import LinkRows, Unseal
from state.identity.ordering import SPLIT_NEIGHBOURS_MAX, Ordering
from state.identity.policy_in_force import PolicyInForce
from state.identity.reading import Reading
from state.identity.repair import RepairRuns
from state.identity.repairing import Repairing
from state.identity.strangers import Strangers
from state.identity.telling import Telling
from state.identity.touched import ChangedPair, Touched


class IdentityEngine:
    """The partition of `identity.evidence` and its rows of `identity.links`.

    Deterministic: the same log gives the same rows and outputs, and what is applied again gives none. `watch` is
    told all decisions, for those who count them. `era` is how many gaps of this log were accepted
    (`state.identity.eras`). `policy` is what holds where the rows name none; from then on the rows do. A repair that
    was under way goes on with the first drain.
    """

    def __init__(
        self,
        rows: Rows,
        unseal: Unseal,
        policy: Policy,
        *,
        watch: Watch | None = None,
        bounds: CacheBounds | None = None,
        origin_topic: str = Topic.EVIDENCE,
        partition: int = 0,
        era: int = 0,
        split_neighbours_max: int = SPLIT_NEIGHBOURS_MAX,
    ) -> None:
        #: Records by what became of them: `applied`, `duplicate`, or a code of dead letters.
        self.counts: Counter[str] = Counter()
        self._links = LinkRows(rows, unseal, bounds)
        self._reading = Reading(self._links)
        self._ordering = Ordering(self._links, split_neighbours_max)
        self._telling = Telling(self._links, era, watch)
        in_force = PolicyInForce(rows, policy)
        self._deciding = Deciding(self._links, self._telling, in_force.policy)
        self._repairing = Repairing(self._deciding, in_force, RepairRuns(rows, self._links.drained))
        self._origin_topic = origin_topic
        self._partition = partition
        self._formed_floor = era << FORMED_ERA_BITS
        self._strangers = Strangers(self._deciding, self._formed_floor)

    def apply(self, value: bytes, offset: int) -> None:
        """Take in one record of `identity.evidence`; one that can't be read becomes a dead letter."""
        try:
            new = self._take(self._reading.read(value), offset)
        except EventError as error:
            self._bury(value, offset, error)
        else:
            self.counts["applied" if new else "duplicate"] += 1

    def apply_many(self, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Take in records one by one: most are new pairs, and have little in common."""
        apply_each(self, values, offsets)

    def _take(self, message: IdentityMessage, offset: int) -> bool:
        """Do what the message says; False where that is no news. Raises EventError before it has changed anything."""
        if isinstance(message, Evidence):
            return self._see(message, offset)
        if isinstance(message, Order):
            return self._obey(message, offset)
        if isinstance(message, Undo):
            return self._undo(message, offset)
        if isinstance(message, PolicyChange):
            return self._repairing.change_policy(message, offset)
        return self._repairing.go_on(message, offset)

    def drain(self) -> Drained:
        """All outputs and changed rows since the last drain."""
        return Drained(self._telling.drain(), self._links.drained() | self._repairing.drained())

    def settled(self) -> None:
        """The drained rows are committed."""
        self._links.settled()

    def _bury(self, value: bytes, offset: int, error: EventError) -> None:
        self.counts[error.code] += 1
        letter = dead_letter(
            error,
            stage="identity",
            key=None,
            value=value,
            topic=self._origin_topic,
            partition=self._partition,
            offset=offset,
        )
        self._telling.outputs.append(Output(Topic.DEAD, *letter))

    # Evidence

    def _see(self, evidence: Evidence, offset: int) -> bool:
        """Take in evidence; False where nothing of it is new.

        0. Two strangers are dealt with at once.
        1. Record its pairs, and when each identifier was seen.
        2. Decide what new pairs touch.
        3. Tell those whose sight moved, and nothing else.
        """
        # 0. Two strangers.
        if self._strangers.see(evidence, offset):
            return True
        # 1. Record.
        touched, sighted = self._record(evidence, offset)
        if not sighted:
            return False
        # 2. Decide.
        told: set[str] = set()
        if touched:
            cause = Cause(evidence.source, evidence.id, format_time(evidence.time), GRADE_LABELS[evidence.grade])
            told = self._deciding.decide(touched, cause, offset)
        # 3. Tell.
        for fragment, moved in sighted.items():
            if moved and fragment not in told:
                self._telling.tell(fragment, self._links.known(fragment))
        return True

    def _record(self, evidence: Evidence, offset: int) -> tuple[Touched, dict[str, bool]]:
        """What evidence touches, and for each identifier with news whether its sight moved."""
        changed: list[ChangedPair] = []
        formed: list[str] = []
        sighted: dict[str, bool] = {}
        bucket = sight_bucket(evidence.time)
        for place, other_place in evidence.pairs:
            one, other = evidence.identifiers[place], evidence.identifiers[other_place]
            held = self._links.evidence(one.fragment, other.fragment, evidence.grade, evidence.source)
            first = (evidence.time, evidence.id)
            if held is not None:
                first = min(first, (held.first_time, held.first_id))
                if first == (held.first_time, held.first_id) and bucket <= held.last:
                    continue
            news = held is None or first != (held.first_time, held.first_id)
            if news and not self._deciding.stands(one, other, evidence.grade):
                changed.append(ChangedPair(one.fragment, other.fragment, evidence.grade))
            last = bucket if held is None else max(bucket, held.last)
            for here in (one, other):
                moved = self._sight(here, evidence.time, bucket, offset, formed)
                sighted[here.fragment] = moved or sighted.get(here.fragment, False)
            self._links.show(one, other, evidence, first, last)
        return Touched(changed=tuple(changed), formed=tuple(formed)), sighted

    def _sight(self, identifier: SealedIdentifier, time: int, bucket: int, offset: int, formed: list[str]) -> bool:
        """Write when an identifier was seen, and for the first time its row; whether anything moved.

        `formed` is given those that only orders had named before.
        """
        fragment = identifier.fragment
        row = self._links.row(fragment)
        if row is None:
            at = self._formed_floor + offset
            row = LinkRow(identifier.kind, identifier.sealed, "", fragment, 0, 0, at, time, bucket)
            self._links.found(fragment, row)
            return True
        if row.first is None or row.last is None:
            row = msgspec.structs.replace(row, formed=self._formed_floor + offset, first=time, last=bucket)
            formed.append(fragment)
        elif row.first <= time and bucket <= row.last:
            return False
        else:
            row = msgspec.structs.replace(row, first=min(row.first, time), last=max(row.last, bucket))
        self._links.put_row(fragment, row)
        return True

    # Orders

    def _obey(self, order: Order, offset: int) -> bool:
        """Take in an order; False where it is no news."""
        ordered = self._ordering.take(order, offset)
        if ordered is None:
            return False
        cause = Cause(order.source, order.id, format_time(order.time), Grade.RECORD.label, order.verb)
        self._deciding.decide(ordered.touched, cause, offset)
        if ordered.repairs is not None:
            self._repairing.withdraw(order.id, ordered.repairs, order.time)
        return True

    def _undo(self, undo: Undo, offset: int) -> bool:
        """Take in an undo; False where the order was undone before."""
        ordered = self._ordering.undo(undo, offset)
        if ordered is None:
            return False
        cause = Cause(OPERATOR_SOURCE, undo.order, format_time(undo.time), Grade.RECORD.label, UNDO)
        self._deciding.decide(ordered.touched, cause, offset)
        if ordered.repairs is not None:
            self._repairing.withdraw(undo.order, ordered.repairs, undo.time, undone=True)
        return True

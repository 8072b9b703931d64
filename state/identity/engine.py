"""The engine behind agents/identity: evidence in; rows, ownership messages and decisions out."""

from collections import Counter
from collections.abc import Callable

import msgspec

from schemas.dead_letters import dead_letter
from schemas.errors import DeadCode, EventError, SecretError
from schemas.identity_changes import Cause, ChangeName, encode_identity_change
from schemas.identity_policy import Grade, Policy
from schemas.limits import IDENTIFIERS_MAX
from schemas.messages import Add, Drop, Evidence, Own, SealedIdentifier, decode_identity, encode
from schemas.roles import ATTACHED, JOINED
from schemas.rows import EvidenceRow, LinkRow
from schemas.strict_json import UNREADABLE
from schemas.times import TIME_MAX_US, format_time, sight_bucket
from schemas.topics import Topic
from state.engine import Drained, Output, Rows
from state.identity.attaching import Attaching
from state.identity.changes import Transition, changes_of, veto_change
from state.identity.eras import FORMED_ERA_BITS, epoch_floor
from state.identity.joining import Joining, Veto
from state.identity.kinds import KindOrder
from state.identity.link_rows import CacheBounds, LinkRows, Unseal
from state.identity.placement import Placement
from state.identity.recomputation import ChangedPair, Decisions, Recomputation


class IdentityEngine:
    """The partition of `identity.evidence` and its rows of `identity.links`.

    Deterministic: the same evidence in the same order gives the same rows and outputs, and evidence that is applied
    again gives none. `on_decision` is told each decision, for those who count them. `era` is how many gaps of this log
    were accepted (`state.identity.eras`).
    """

    def __init__(
        self,
        rows: Rows,
        unseal: Unseal,
        policy: Policy,
        *,
        on_decision: Callable[[ChangeName], None] | None = None,
        bounds: CacheBounds | None = None,
        origin_topic: str = Topic.EVIDENCE,
        partition: int = 0,
        era: int = 0,
    ) -> None:
        #: Evidence by what became of it: `applied`, `duplicate`, or a code of dead letters.
        self.counts: Counter[str] = Counter()
        self._links = LinkRows(rows, unseal, bounds)
        self._kinds = KindOrder(policy)
        self._joining = Joining(self._links, self._kinds, policy.cluster_limit)
        self._attaching = Attaching(self._links, self._kinds, policy.cluster_limit)
        self._origin_topic = origin_topic
        self._partition = partition
        self._epoch_floor = epoch_floor(era)
        self._formed_floor = era << FORMED_ERA_BITS
        self._outputs: list[Output] = []
        self._on_decision = on_decision

    def apply(self, value: bytes, offset: int) -> None:
        """Take in one record of `identity.evidence`; one that can't be read becomes a dead letter.

        1. Read it and check what it says of itself.
        2. Record its pairs, and when each identifier was seen.
        3. Recompute what new pairs touch.
        4. Write and announce every fragment that is placed otherwise, or was seen earlier or later.
        """
        # 1. Read.
        try:
            evidence = self._read(value)
        except EventError as error:
            self._bury(value, offset, error)
            return
        # 2. Record.
        changed, sighted = self._record(evidence, offset)
        if not sighted:
            self.counts["duplicate"] += 1
            return
        self.counts["applied"] += 1
        # 3. Recompute.
        decisions = Decisions({}, [])
        if changed:
            recomputation = Recomputation(
                self._links, self._kinds, self._joining, self._attaching, self._links.placement
            )
            decisions = recomputation.decide(changed)
        # 4. Write and announce.
        self._explain(evidence, changed, decisions, offset)
        told = {fragment for fragment, place in sorted(decisions.placements.items()) if self._move(fragment, place)}
        for fragment, moved in sighted.items():
            if moved and fragment not in told:
                self._tell(fragment, self._links.known(fragment))

    def drain(self) -> Drained:
        """All outputs and changed rows since the last drain."""
        drained = Drained(self._outputs, dict(self._links.drained()))
        self._outputs = []
        return drained

    def settled(self) -> None:
        """The drained rows are committed."""
        self._links.settled()

    # 1. Read

    def _read(self, value: bytes) -> Evidence:
        try:
            evidence = decode_identity(value)
        except UNREADABLE as error:
            raise EventError(DeadCode.UNREADABLE_MESSAGE, f"no readable evidence: {error}") from None
        if not isinstance(evidence, Evidence):
            raise EventError(DeadCode.UNREADABLE_MESSAGE, f"{type(evidence).__name__} is no evidence")
        count = len(evidence.identifiers)
        if count > IDENTIFIERS_MAX:
            raise EventError(DeadCode.UNREADABLE_MESSAGE, f"{count} identifiers, {IDENTIFIERS_MAX} are the most")
        if evidence.grade not in tuple(Grade) or not 0 <= evidence.time <= TIME_MAX_US:
            raise EventError(DeadCode.UNREADABLE_MESSAGE, f"grade {evidence.grade} or time {evidence.time} is none")
        for one, other in evidence.pairs:
            if not (0 <= one < count and 0 <= other < count):
                raise EventError(DeadCode.UNREADABLE_MESSAGE, f"pair {one}, {other} is not among {count} identifiers")
            if evidence.identifiers[one].fragment == evidence.identifiers[other].fragment:
                raise EventError(DeadCode.UNREADABLE_MESSAGE, f"pair {one}, {other} is one identifier")
        for identifier in evidence.identifiers:
            self._check(identifier)
        return evidence

    def _check(self, identifier: SealedIdentifier) -> None:
        """A new identifier has to open under its fragment and be of its kind; a known one did so once."""
        row = self._links.row(identifier.fragment)
        if row is None:
            try:
                kind = self._links.unseal(identifier.sealed, identifier.fragment).kind
            except (SecretError, ValueError) as error:
                raise EventError(DeadCode.UNREADABLE_MESSAGE, str(error)) from None
        else:
            kind = row.kind
        if kind != identifier.kind:
            raise EventError(
                DeadCode.UNREADABLE_MESSAGE, f"fragment {identifier.fragment} is of kind {kind}, not {identifier.kind}"
            )

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
        self._outputs.append(Output(Topic.DEAD, *letter))

    # 2. Record

    def _record(self, evidence: Evidence, offset: int) -> tuple[list[ChangedPair], dict[str, bool]]:
        """The pairs whose best link may have changed, and for each identifier with news whether its sight moved."""
        changed: list[ChangedPair] = []
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
            if held is None or first != (held.first_time, held.first_id):
                changed.append(ChangedPair(one.fragment, other.fragment, evidence.grade))
            last = bucket if held is None else max(bucket, held.last)
            for here, there in ((one, other), (other, one)):
                sighted[here.fragment] = self._sight(here, evidence.time, bucket, offset) or sighted.get(
                    here.fragment, False
                )
                row = EvidenceRow(*first, last, there.kind)
                self._links.put_evidence(here.fragment, there.fragment, evidence.grade, evidence.source, row)
        return changed, sighted

    def _sight(self, identifier: SealedIdentifier, time: int, bucket: int, offset: int) -> bool:
        """Write when an identifier was seen, and for the first time its row; whether anything moved."""
        fragment = identifier.fragment
        row = self._links.row(fragment)
        if row is None:
            self._links.found(
                fragment,
                LinkRow(
                    identifier.kind, identifier.sealed, "", fragment, 0, 0, self._formed_floor + offset, time, bucket
                ),
            )
            return True
        if row.first <= time and bucket <= row.last:
            return False
        self._links.put_row(
            fragment, msgspec.structs.replace(row, first=min(row.first, time), last=max(row.last, bucket))
        )
        return True

    # 4. Write and announce

    def _explain(self, evidence: Evidence, changed: list[ChangedPair], decisions: Decisions, offset: int) -> None:
        """Publish the decisions, before rows are written: they speak of what was before."""
        cause = Cause(evidence.source, evidence.id, format_time(evidence.time), Grade(evidence.grade).label)
        transitions = [
            Transition(fragment, self._links.kind(fragment), self._links.placement(fragment), place)
            for fragment, place in sorted(decisions.placements.items())
        ]
        changes = list(changes_of(transitions, cause, offset))
        new_pairs = {(min(pair[:2]), max(pair[:2])) for pair in changed}
        for veto in decisions.vetoed:
            if veto.pair in new_pairs or self._were_together(veto):
                place = decisions.placements.get(veto.one) or self._links.placement(veto.one)
                customer = veto.one if place is None else place.owner
                changes.append(veto_change(veto, self._links.kind(veto.one), customer, cause, offset))
        for change in changes:
            self._outputs.append(
                Output(Topic.IDENTITY_CHANGES, change.customer.encode(), encode_identity_change(change))
            )
            if self._on_decision is not None:
                self._on_decision(change.change)

    def _were_together(self, veto: Veto) -> bool:
        one, other = (self._links.placement(end) for end in veto.pair)
        return one is not None and other is not None and one.owner == other.owner

    def _move(self, fragment: str, place: Placement) -> bool:
        """Write a placement and tell whom it concerns; False when it concerns nobody, only readers of the row."""
        row = self._links.known(fragment)
        transition = Transition(fragment, row.kind, self._links.placement(fragment), place)
        row = msgspec.structs.replace(
            row,
            state=place.state,
            owner=place.owner,
            grade=int(place.grade),
            epoch=max(row.epoch, self._epoch_floor) + 1 if transition.moved else row.epoch,
            candidates=place.candidates,
            stage=int(place.stage),
        )
        self._links.put_row(fragment, row)
        if not transition.moved:
            return False
        self._tell(fragment, row)
        if place.state in (JOINED, ATTACHED):
            self._route(Add(place.owner, fragment, row.kind, row.sealed, place.state, row.grade, row.epoch))
        if transition.former_owner not in (place.owner, fragment):
            self._route(Drop(transition.former_owner, fragment, row.epoch))
        return True

    def _tell(self, fragment: str, row: LinkRow) -> None:
        self._route(
            Own(fragment, row.kind, row.sealed, row.owner, row.state, row.grade, row.epoch, row.first, row.last)
        )

    def _route(self, message: Own | Add | Drop) -> None:
        self._outputs.append(Output(Topic.ROUTED, message.target.encode(), encode(message)))

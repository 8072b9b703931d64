"""What identity says: decisions to `identity.changes`, ownership to fragments and owners, rows to their readers."""

from collections.abc import Iterator, Mapping

import msgspec

from schemas.identity_changes import Cause, IdentityChange, encode_identity_change
from schemas.messages import Add, Drop, Own, encode
from schemas.roles import ATTACHED, JOINED
from schemas.rows import LinkRow
from schemas.topics import Topic
from state.engine import Output
from state.identity.changes import Transition, changes_of, veto_change
from state.identity.eras import epoch_floor
from state.identity.guard import Watch
from state.identity.joining import Veto
from state.identity.link_rows import LinkRows
from state.identity.recomputation import Decisions
from state.identity.touched import Touched


class Telling:
    """Writes placements into rows, and collects what is to be said of them.

    Attributes:
        epoch_floor: what all epochs of this era are above.
        outputs: all since the last `drain`, in the order in which they have to be produced.
    """

    def __init__(self, links: LinkRows, era: int, watch: Watch | None = None) -> None:
        self._links = links
        self.epoch_floor = epoch_floor(era)
        self._watch = watch
        self.outputs: list[Output] = []

    def drain(self) -> list[Output]:
        """All outputs since the last time."""
        outputs, self.outputs = self.outputs, []
        return outputs

    def explain(self, decisions: Decisions, touched: Touched, cause: Cause, offset: int) -> list[Transition]:
        """Publish the decisions, before rows are written: they speak of what was before.

        Args:
            decisions: what was recomputed.
            touched: what the cause is about: a veto of one of its pairs is news.
            cause: the evidence or the order.
            offset: where it stands.

        Returns:
            Those that are placed otherwise, in the order of their ids.
        """
        transitions = [
            Transition(fragment, self._links.kind(fragment), self._links.placement(fragment), place)
            for fragment, place in sorted(decisions.placements.items())
        ]
        changes = list(changes_of(transitions, cause, offset))
        pairs = touched.pairs if decisions.vetoed else ()
        for veto in decisions.vetoed:
            if veto.pair in pairs or self._were_together(veto):
                place = decisions.placements.get(veto.one) or self._links.placement(veto.one)
                customer = veto.one if place is None else place.owner
                changes.append(veto_change(veto, self._links.kind(veto.one), customer, cause, offset))
        self.publish(cause, transitions, changes, decisions.clusters)
        return transitions

    def publish(
        self, cause: Cause, moves: list[Transition], changes: list[IdentityChange], clusters: Mapping[str, int]
    ) -> None:
        """Say decisions to those who read them, and to those who watch; see `Watch`."""
        for change in changes:
            self.outputs.append(
                Output(Topic.IDENTITY_CHANGES, change.customer.encode(), encode_identity_change(change))
            )
        if self._watch is not None:
            self._watch(cause, moves, changes, clusters)

    def _were_together(self, veto: Veto) -> bool:
        one, other = (self._links.placement(end) for end in veto.pair)
        return one is not None and other is not None and one.owner == other.owner

    def move(self, transition: Transition) -> bool:
        """Write a placement and tell whom it concerns; False when it concerns nobody, only readers of the row."""
        fragment, place = transition.fragment, transition.after
        row = self._links.known(fragment)
        # Nobody asks for orders where the row says that there are none.
        former = row.ordered != 0 and self._links.former(fragment)
        moved = transition.moved or former != row.former
        row = msgspec.structs.replace(
            row,
            state=place.state,
            owner=place.owner,
            grade=int(place.grade),
            epoch=max(row.epoch, self.epoch_floor) + 1 if moved else row.epoch,
            candidates=place.candidates,
            stage=int(place.stage),
            former=former,
        )
        self._links.put_row(fragment, row)
        if not moved:
            return False
        self.announce(fragment, row)
        if transition.former_owner not in (place.owner, fragment):
            self._route(Drop(transition.former_owner, fragment, row.epoch))
        return True

    def announce(self, fragment: str, row: LinkRow) -> None:
        """Say to a fragment, and to the owner where that is another, what its row says."""
        for message in ownership(fragment, row):
            self._route(message)

    def tell(self, fragment: str, row: LinkRow) -> None:
        """Say to a fragment what its row says."""
        self._route(_own(fragment, row))

    def _route(self, message: Own | Add | Drop) -> None:
        self.outputs.append(Output(Topic.ROUTED, message.target.encode(), encode(message)))


def ownership(fragment: str, row: LinkRow) -> Iterator[Own | Add]:
    """What a row says to its fragment, and to the owner where that is another."""
    yield _own(fragment, row)
    if row.state in (JOINED, ATTACHED):
        yield Add(row.owner, fragment, row.kind, row.sealed, row.state, row.grade, row.epoch)


def _own(fragment: str, row: LinkRow) -> Own:
    return Own(
        fragment,
        row.kind,
        row.sealed,
        row.owner,
        row.state,
        row.grade,
        row.epoch,
        row.first,
        row.last,
        row.former,
    )

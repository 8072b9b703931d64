"""Decisions as people and downstream read them: what a recomputation did, said customer by customer."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from schemas.identity_changes import Cause, ChangeName, IdentityChange
from schemas.identity_policy import GRADE_LABELS
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from state.identity.joining import Veto
from state.identity.placement import Placement

_ARRIVALS: Final = {JOINED: ChangeName.LINKED, ATTACHED: ChangeName.ATTACHED}


class Transition(NamedTuple):
    """One fragment's placement before and after; before its first it owned itself, unknown to identity."""

    fragment: str
    kind: str
    before: Placement | None
    after: Placement

    @property
    def former_owner(self) -> str:
        """Who owned it before."""
        return self.fragment if self.before is None else self.before.owner

    @property
    def moved(self) -> bool:
        """Whether state, owner or grade changed: all that messages tell."""
        before, after = self.before, self.after
        return before is None or before[:3] != after[:3]


def changes_of(transitions: Iterable[Transition], cause: Cause, offset: int) -> Iterator[IdentityChange]:
    """The decisions in transitions of one cause, in the transitions' order."""
    moves = {move.fragment: move for move in transitions}
    bereft = {move.former_owner for move in moves.values() if move.former_owner != move.fragment}
    for move in moves.values():
        change = _change_of(move, moves, had_members=move.fragment in bereft)
        if change is None:
            continue
        former = "" if move.former_owner == move.after.owner else move.former_owner
        keeps_former = change in (ChangeName.MERGED, ChangeName.SPLIT, ChangeName.SHARED)
        yield IdentityChange(
            change=change,
            customer=move.after.owner,
            fragment=move.fragment,
            kind=move.kind,
            # A home that only orders have named was seen by nobody.
            grade=GRADE_LABELS[move.after.grade],
            offset=offset,
            evidence=cause,
            former=former if keeps_former else "",
        )


def _change_of(move: Transition, moves: dict[str, Transition], *, had_members: bool) -> ChangeName | None:
    before, after = move.before, move.after
    was_shared = before is not None and before.state == SHARED
    if (after.state == SHARED) != was_shared:
        return ChangeName.UNSHARED if was_shared else ChangeName.SHARED
    arrival = _ARRIVALS.get(after.state)
    if before is None or before.owner == move.fragment:
        return ChangeName.MERGED if arrival and had_members else arrival
    if before.owner == after.owner:
        return arrival if before.state != after.state else None
    # Who goes where its home went was carried along: the home's own record says it. That of one which was shared, as
    # homes of what a repair has not come to yet may be, says nothing of others.
    home = moves.get(before.owner)
    if home is not None and _is_home(home.before) and home.after.state != SHARED and home.after.owner == after.owner:
        return None
    return ChangeName.SPLIT if after.state in (HOME, JOINED, ATTACHED) else None


def _is_home(place: Placement | None) -> bool:
    return place is None or place.state == HOME


def veto_change(veto: Veto, kind: str, customer: str, cause: Cause, offset: int) -> IdentityChange:
    """The decision that a link joins nothing."""
    return IdentityChange(
        change=ChangeName.VETOED,
        customer=customer,
        fragment=veto.one,
        kind=kind,
        grade=GRADE_LABELS[veto.link.grade],
        offset=offset,
        evidence=cause,
        other=veto.link.neighbour,
        reason=veto.reason,
    )

"""What the admin service answers: orders, what they do or would do, the policy in force, suspicious identifiers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from connectors.admin.customers import Moves, Places, ShownIdentifier
from connectors.admin.order_book import BookedOrder
from schemas.identity_changes import IdentityChange
from schemas.orders import Verb
from schemas.rows import PolicyRow, RepairRow
from schemas.times import format_time
from state.identity.clusters import LargeCustomer
from state.identity.suspects import Suspect

#: Leading digits of a fragment id, which tell how far a repair is.
_SHARE_DIGITS: Final = 8


class Undone(msgspec.Struct, frozen=True):
    """Who took an order back."""

    id: str
    author: str
    reason: str
    time: str


class ShownOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order as it was given, and whether it stands."""

    id: str
    #: require, forbid or split.
    order: str
    author: str
    reason: str
    time: str
    #: waiting, stands, overruled or undone.
    standing: str
    identifiers: tuple[ShownIdentifier, ...] = ()
    #: The source that is split off.
    source: str | None = None
    undone: Undone | None = None
    #: The id of the newer order of the same pair that holds instead.
    overruled_by: str | None = None


class OrdersPage(msgspec.Struct, frozen=True):
    """Orders, newest first."""

    orders: tuple[ShownOrder, ...]
    #: The cursor of the next page; null at the end.
    next: str | None


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision that would be published on `identity.changes`."""

    change: str
    identifier: ShownIdentifier
    customer: str
    grade: str
    #: The customer that it left, or that ended.
    former: str | None = None
    #: The other end of a vetoed link.
    other: ShownIdentifier | None = None
    #: Of a veto.
    reason: str | None = None


class OrderAnswer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="result", tag="given"):
    """What became of an order, or of its undo."""

    order: ShownOrder
    #: In words, what it did; of one that waits, what happens next.
    words: tuple[str, ...]
    #: What it did, as far as the copy showed it when the answer was made; absent while it waits.
    moves: Moves | None = None
    #: The repair that it began and that goes on.
    repair: "Repair | None" = None


class DryRunAnswer(msgspec.Struct, frozen=True, tag_field="result", tag="dry_run"):
    """What an order, or an undo, would do."""

    #: Whether any identifier would move.
    changes: bool
    words: tuple[str, ...]
    moves: Moves
    decisions: tuple[Decision, ...]
    #: By what is decided; of very many decisions, of the first thousand.
    decision_counts: Mapping[str, int]
    #: How many decisions there would be.
    decided: int
    #: Whether all that it would do was looked at.
    complete: bool


class Repair(msgspec.Struct, frozen=True):
    """How far a repair has come."""

    #: The id of the order or policy that began it.
    run: str
    #: `marking` what a policy splits off, then `deciding` again.
    step: str
    #: From 0 to 1, by how far it is in the order of fragment ids.
    share: float
    looked_at: int
    moved: int
    started: str
    #: Ids of the orders whose repair waits for this one to end.
    waiting: tuple[str, ...]


class PolicyAnswer(msgspec.Struct, frozen=True):
    """The policy in force."""

    #: As in `identity.yaml`, but complete, and strengths are numbers from 0 (none) to 3 (identifying).
    policy: Any
    #: The id of the change that put it in force; empty where it came with the first start.
    change: str
    time: str
    author: str
    reason: str
    #: The repair under way, or null.
    repair: Repair | None


class ShownSuspect(msgspec.Struct, frozen=True):
    """An identifier that looks like several people's."""

    identifier: ShownIdentifier
    customer: str
    role: str
    neighbours: int
    telling: int
    customers: int
    vetoed: int
    unique_values: int
    forbidden: int
    conflicts: int
    #: Null where only orders have named it.
    first: str | None
    last: str | None
    why: tuple[str, ...]


class ShownLargeCustomer(msgspec.Struct, frozen=True):
    """A customer with many identifiers."""

    customer: str
    #: The identifier that the customer's id is of.
    home: ShownIdentifier
    #: All of its identifiers, and those of them that links or orders joined.
    identifiers: int
    joined: int
    #: How many of each kind, the most frequent first.
    kinds: Mapping[str, int]


class LargeCustomersAnswer(msgspec.Struct, frozen=True):
    """The largest of them."""

    customers: tuple[ShownLargeCustomer, ...]


class SuspectsAnswer(msgspec.Struct, frozen=True):
    """The foremost of them."""

    suspects: tuple[ShownSuspect, ...]


def shown_order(booked: BookedOrder, places: Places) -> ShownOrder:
    """An order for people."""
    row, undone = booked.row, booked.undone
    return ShownOrder(
        row.id,
        row.verb,
        row.author,
        row.reason,
        format_time(row.time),
        booked.standing.value,
        tuple(places.shown(fragment) for fragment in row.fragments),
        row.withdrawn_source or None,
        None if undone is None else Undone(undone.id, undone.author, undone.reason, format_time(undone.time)),
        booked.overruled_by,
    )


def shown_decision(change: IdentityChange, places: Places) -> Decision:
    """A decision for people."""
    return Decision(
        change.change.value,
        places.shown(change.fragment),
        change.customer,
        change.grade,
        change.former or None,
        places.shown(change.other) if change.other else None,
        change.reason or None,
    )


def shown_repair(row: RepairRow | None) -> Repair | None:
    """How far a repair has come, for people."""
    if row is None:
        return None
    share = int(row.cursor[:_SHARE_DIGITS] or "0", 16) / 16**_SHARE_DIGITS
    waiting = tuple(run for run, _ in row.waiting)
    step = "marking" if row.marking else "deciding"
    return Repair(row.run, step, round(share, 4), row.looked_at, row.moved, format_time(row.started), waiting)


def shown_policy(row: PolicyRow, repair: RepairRow | None) -> PolicyAnswer:
    """The policy in force, for people."""
    return PolicyAnswer(
        msgspec.Raw(row.policy), row.change, format_time(row.time), row.author, row.reason, shown_repair(repair)
    )


def shown_suspect(suspect: Suspect, places: Places) -> ShownSuspect:
    """A suspicious identifier for people; the value of a hidden kind stays hidden."""
    return ShownSuspect(
        places.shown(suspect.fragment),
        suspect.owner,
        suspect.state,
        suspect.neighbours,
        suspect.telling,
        suspect.customers,
        suspect.vetoed,
        suspect.unique_values,
        suspect.forbidden,
        suspect.conflicts,
        None if suspect.first is None else format_time(suspect.first),
        None if suspect.last is None else format_time(suspect.last),
        suspect.why,
    )


def shown_large_customer(large: LargeCustomer, places: Places) -> ShownLargeCustomer:
    """A customer with many identifiers, for people."""
    return ShownLargeCustomer(
        large.customer, places.shown(large.customer), large.members, large.joined, dict(large.kinds)
    )


def words_of(verb: str, fragments: Sequence[str], moved: Moves, places: Places) -> tuple[str, ...]:
    """What an order does, or would do, in words.

    Args:
        verb: the order's; `undo` of one that takes an order back.
        fragments: its identifiers.
        moved: what it moves.
        places: where its identifiers are before it.
    """
    words = []
    pair = len(fragments) == 2
    together = pair and places.together(fragments[0], fragments[1])
    if verb == Verb.SPLIT and pair and not together:
        words.append("The two are not in one customer now: there is nothing to split.")
    if verb == Verb.REQUIRE and together:
        words.append("The two are in one customer already.")
    if verb == Verb.FORBID and pair and not together:
        words.append("The two are not in one customer now; from now on they never are.")
    if moved.identifiers_moved:
        words.append(
            f"{_customers(moved.customers_before, moved.shared_before)} before; "
            f"{_customers(moved.customers_after, moved.shared_after)} after; "
            f"{_number(moved.identifiers_moved, 'identifier')} moved."
        )
    else:
        words.append("This changes nothing now.")
    return tuple(words)


def _customers(customers: int, shared: int) -> str:
    """How many there are; shared identifiers are nobody's, so they are no customers."""
    counts = ((customers, "customer"), (shared, "shared identifier"))
    return " and ".join(_number(count, noun) for count, noun in counts if count)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

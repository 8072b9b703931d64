"""What changed between rows and the rows laid over them: who moved, and what that comes to for customers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.roles import HOME, SHARED
from schemas.rows import LINK_ROW_PREFIX, LinkRow, RowDecoder, link_row_key
from state.identity.overlay import OverlayRows

_ROWS: Final = RowDecoder(LinkRow)


class Seat(NamedTuple):
    """Where a fragment is."""

    #: The customer; of a shared fragment, itself.
    owner: str
    #: "home", "joined", "attached" or "shared".
    state: str


class Move(NamedTuple):
    """A fragment whose customer or state changes."""

    fragment: str
    kind: str
    #: A fragment that identity has never placed is its own home.
    before: Seat
    after: Seat


@dataclass(frozen=True)
class MoveCounts:
    """What moves come to."""

    #: Fragments that move.
    moved: int
    #: By how many customers fewer there are where some become one: three that become one are two.
    merges_gained: int
    #: By how many customers more there are where one comes apart: one that becomes three is two.
    merges_lost: int
    #: Customers, of before or after, that a move concerns.
    customers_touched: int
    #: Identifiers that become shared, and those that are so no more.
    shared_gained: int
    shared_lost: int


def moves(rows: OverlayRows) -> Iterator[Move]:
    """Every fragment that is elsewhere, or otherwise there, than in the rows below; in the order of their ids."""
    for key, value in rows.written(LINK_ROW_PREFIX):
        if value is None:
            continue
        fragment = key.removeprefix(LINK_ROW_PREFIX).decode()
        row = _ROWS.decode(value)
        below = rows.below.get(key)
        before, after = _seat(fragment, None if below is None else _ROWS.decode(below)), _seat(fragment, row)
        if before != after:
            yield Move(fragment, row.kind, before, after)


def count_moves(rows: OverlayRows) -> MoveCounts:
    """What all moves come to; it keeps about 200 bytes for each while it counts."""
    count = shared_gained = shared_lost = 0
    # From which customer to which members went, staying ones included, both ids in one text.
    ways: set[str] = set()
    named: set[str] = set()
    customers: set[str] = set()
    for move in moves(rows):
        count += 1
        ways.add(move.before.owner + move.after.owner)
        named.update((move.before.owner, move.after.owner))
        customers.update(seat.owner for seat in (move.before, move.after) if seat.state != SHARED)
        shared_gained += move.after.state == SHARED != move.before.state
        shared_lost += move.before.state == SHARED != move.after.state
    # Where the home of a customer stays, members go to it, or leave it; where it does not, its own move says where to.
    ways.update(owner * 2 for owner in named if _stays(rows, owner))
    from_customers, to_customers = set(), set()
    for way in ways:
        half = len(way) // 2
        from_customers.add(way[:half])
        to_customers.add(way[half:])
    return MoveCounts(
        moved=count,
        merges_gained=len(ways) - len(to_customers),
        merges_lost=len(ways) - len(from_customers),
        customers_touched=len(customers),
        shared_gained=shared_gained,
        shared_lost=shared_lost,
    )


def _stays(rows: OverlayRows, fragment: str) -> bool:
    key = link_row_key(fragment)
    below, above = rows.below.get(key), rows.get(key)
    seats = [_seat(fragment, None if value is None else _ROWS.decode(value)) for value in (below, above)]
    return seats[0] == seats[1]


def _seat(fragment: str, row: LinkRow | None) -> Seat:
    return Seat(fragment, HOME) if row is None or not row.state else Seat(row.owner, row.state)

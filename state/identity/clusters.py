"""The largest customers of a copy of `identity.links`, by how many identifiers they have.

A copy has millions of customers of two or three identifiers and few large ones. So sizes are first added up in buckets
by customer id, and only customers of the fullest buckets are counted one by one: two passes, in memory that does not
grow with the copy.
"""

import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas.roles import HOME, JOINED, SHARED
from schemas.rows import LINK_ROW_PREFIX, LinkRow, RowDecoder
from state.engine import Rows

# Five hexadecimal digits of the id; 8 MiB of counts.
_BUCKETS: Final = 1 << 20
_BUCKET_DIGITS: Final = 5
# A customer is missed only where so many buckets are as full as it is large: none that anybody would call large.
_BUCKETS_COUNTED: Final = 4_096
#: How many a report names at the most.
CLUSTERS_MAX: Final = 1_000

_LINKS: Final = RowDecoder(LinkRow)


class LargeCustomer(NamedTuple):
    """A customer by how many identifiers it has."""

    customer: str
    #: All of them, the home included.
    members: int
    #: Those that links or requires joined, the home included: what the cluster limit counts.
    joined: int
    #: How many of each kind, the most frequent first.
    kinds: tuple[tuple[str, int], ...]


def largest_customers(rows: Rows, *, limit: int = 20) -> list[LargeCustomer]:
    """The customers with most identifiers, the largest first; those of one identifier are left out.

    It blocks while it reads the row of every identifier twice, some seconds for a million: not for an event loop.

    Args:
        rows: a copy of `identity.links`, under its own keys.
        limit: how many at most; no more than `CLUSTERS_MAX`.
    """
    sizes = array("L", bytes(array("L").itemsize * _BUCKETS))
    for row in _owned(rows):
        sizes[_bucket(row.owner)] += 1
    fullest = heapq.nlargest(_BUCKETS_COUNTED, range(_BUCKETS), key=sizes.__getitem__)
    counted = {bucket for bucket in fullest if sizes[bucket] > 1}
    members: defaultdict[str, Counter[str]] = defaultdict(Counter)
    joined: Counter[str] = Counter()
    for row in _owned(rows):
        if _bucket(row.owner) in counted:
            members[row.owner][row.kind] += 1
            joined[row.owner] += row.state in (HOME, JOINED)
    found = (LargeCustomer(owner, kinds.total(), joined[owner], _by_count(kinds)) for owner, kinds in members.items())
    return heapq.nsmallest(
        min(limit, CLUSTERS_MAX),
        (customer for customer in found if customer.members > 1),
        key=lambda customer: (-customer.members, customer.customer),
    )


def _owned(rows: Rows) -> Iterator[LinkRow]:
    for _, value in rows.scan(LINK_ROW_PREFIX):
        row = _LINKS.decode(value)
        if row.state not in ("", SHARED):
            yield row


def _bucket(owner: str) -> int:
    return int(owner[:_BUCKET_DIGITS], 16)


def _by_count(kinds: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))

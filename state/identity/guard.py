"""The guard: says when customers grow too large or too fast, or when too many identifiers turn out to be shared.

It watches decisions and changes none. Hours are those of the events that brought decisions about, so a replay of a year
raises the alarms of that year and no others, and an event whose time is wrong spoils no other hour. What it remembers
is bounded: of very many customers that grow at a time it may forget one, and then begins to count anew.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from schemas.identity_changes import Cause, ChangeName, IdentityChange
from schemas.orders import OPERATOR_SOURCE
from schemas.roles import ATTACHED, JOINED
from state.identity.bounded_cache import BoundedCache
from state.identity.changes import Transition

#: Customers, each with an hour, whose growth is remembered: about 300 bytes each.
CUSTOMERS_MAX: Final = 20_000
# Of an RFC 3339 time, as far as its hour.
_HOUR: Final = len("2026-11-22T10")


class Alarm(StrEnum):
    """What was noticed."""

    #: A customer rests on more identifying identifiers than the threshold.
    LARGE_CLUSTER = "large_cluster"
    #: Events of one hour brought a customer more identifiers than the threshold.
    FAST_GROWTH = "fast_growth"
    #: Events of one hour showed more identifiers to be shared than the threshold.
    MANY_SHARED = "many_shared"


class Noticed(NamedTuple):
    """One alarm: once for a customer that grows, and hour, or size."""

    alarm: Alarm
    #: The customer; empty where it is about all.
    customer: str
    #: How many identifiers.
    size: int
    #: The source whose evidence crossed the threshold, and its event.
    source: str
    event: str


@dataclass(frozen=True)
class Thresholds:
    """Past which figures the guard says so; 0 is never."""

    #: Identifying identifiers in one customer. People have a handful; `cluster_limit` of the policy ends it at 100.
    cluster_identifiers: int = 50
    #: Identifiers that one customer gains by the events of one hour.
    gained_per_hour: int = 100
    #: Identifiers that the events of one hour show to be shared.
    shared_per_hour: int = 1_000


class Watch(Protocol):
    """Who is told all decisions of one cause."""

    def __call__(
        self,
        cause: Cause,
        transitions: Iterable[Transition],
        changes: Iterable[IdentityChange],
        clusters: Mapping[str, int],
    ) -> None:
        """One cause's decisions.

        Args:
            cause: the event, the order or the policy.
            transitions: all identifiers that are placed otherwise.
            changes: what is published of it.
            clusters: by its home, the size of each cluster of two or more that was joined again.
        """


class Guard:
    """A `Watch` that tells `notice` of each alarm."""

    def __init__(self, notice: Callable[[Noticed], None], thresholds: Thresholds | None = None) -> None:
        self._notice = notice
        self._thresholds = thresholds or Thresholds()
        # By customer and hour.
        self._gained: BoundedCache[tuple[str, str], int] = BoundedCache(CUSTOMERS_MAX)
        self._large: BoundedCache[str, int] = BoundedCache(CUSTOMERS_MAX)

    def __call__(
        self,
        cause: Cause,
        transitions: Iterable[Transition],
        changes: Iterable[IdentityChange],
        clusters: Mapping[str, int],
    ) -> None:
        """See `Watch`."""
        for customer, size in clusters.items():
            self._size(customer, size, cause)
        # What an operator orders is meant.
        if cause.source == OPERATOR_SOURCE:
            return
        shared = sum(change.change is ChangeName.SHARED for change in changes)
        if shared:
            self._gain("", shared, cause)
        gained: dict[str, int] = {}
        for move in transitions:
            owner = move.after.owner
            if move.after.state in (JOINED, ATTACHED) and move.former_owner != owner:
                gained[owner] = gained.get(owner, 0) + 1
        for customer, number in gained.items():
            self._gain(customer, number, cause)

    def _size(self, customer: str, size: int, cause: Cause) -> None:
        threshold = self._thresholds.cluster_identifiers
        if not 0 < threshold < size or size <= (self._large.get(customer) or 0):
            return
        self._large.put(customer, size)
        self._notice(Noticed(Alarm.LARGE_CLUSTER, customer, size, cause.source, cause.id))

    def _gain(self, customer: str, number: int, cause: Cause) -> None:
        """Identifiers that a customer gained, or, where there is none, that are shared from now on."""
        alarm = Alarm.FAST_GROWTH if customer else Alarm.MANY_SHARED
        threshold = self._thresholds.gained_per_hour if customer else self._thresholds.shared_per_hour
        place = customer, cause.time[:_HOUR]
        before = self._gained.get(place) or 0
        after = before + number
        self._gained.put(place, after)
        if threshold > 0 and before <= threshold < after:
            self._notice(Noticed(alarm, customer, after, cause.source, cause.id))

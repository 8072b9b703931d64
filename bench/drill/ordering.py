"""Orders about who is who for a drill: pairs required and forbidden, identifiers and sources split off, and undone.

They are about identifiers that events showed a short while before, so that they merge and split customers who have
something to lose. Operators' orders go straight to identity; those of a system of record are events like any other.
"""

import random
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from bench.oracle import PlainOrder, PlainUndo
from bench.oracle.kinds import Identifier
from bench.oracle.orders import FORBID, REQUIRE, SPLIT
from bench.oracle.reading import identifiers_in, read_time
from schemas import identifiers
from schemas.keys import Keyring
from schemas.messages import Order, SealedIdentifier, Undo, encode
from schemas.orders import OPERATOR_SOURCE, Authority

#: Events whose identifiers orders may be about, and orders that may be undone: the newest so many.
_REMEMBERED: Final = 200
_UNDONE_AMONG: Final = 40
#: One of so many undos comes before its order.
_EARLY_UNDOS: Final = 10
_RECORD_SOURCE: Final = "crm"
_RECORD_TYPES: Final = ("identity.merged", "identity.merged", "identity.removed", "identity.replaced")
#: How often each sort comes, in a hundred. What a source linked is a large part of everything, so that comes rarely.
_WEIGHTS: Final = {"require": 26, "forbid": 14, "split": 12, "alone": 8, "source": 1, "undo": 25, "record": 14}


class Ordering:
    """Makes orders; the same for the same seed and events."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(f"orders/{seed}")
        self._shown: deque[tuple[Identifier, ...]] = deque(maxlen=_REMEMBERED)
        self._given: deque[str] = deque(maxlen=_UNDONE_AMONG)
        self._sources: list[str] = []
        self._count = 0

    def show(self, event: Mapping[str, Any]) -> None:
        """Take note of whom an event names."""
        found = identifiers_in(event["data"].get("identifiers", {}))
        if found:
            self._shown.append(found)
        if event["source"] not in self._sources:
            self._sources.append(event["source"])

    def next(self, event: Mapping[str, Any]) -> PlainOrder | PlainUndo | dict[str, Any] | None:
        """An order, its undo, or a record event, at the time of an event; None while too little was shown."""
        if len(self._shown) < _UNDONE_AMONG:
            return None
        self._count += 1
        (sort,) = self._dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        if sort == "undo":
            return self._undo()
        if sort == "record":
            return self._record_event(event)
        time = read_time(event["time"])
        if sort == "source":
            return self._operator(time, SPLIT, (), self._dice.choice(self._sources))
        if sort == "alone":
            return self._operator(time, SPLIT, (self._dice.choice(self._dice.choice(self._shown)),))
        pair = self._two_people() if sort == "require" else self._one_person()
        return self._operator(time, {"require": REQUIRE, "forbid": FORBID, "split": SPLIT}[sort], pair)

    def _operator(self, time: int, verb: str, named: tuple[Identifier, ...], withdrawn: str = "") -> PlainOrder | None:
        if len(named) == 2 and named[0] == named[1]:
            return None
        order = PlainOrder(f"drill-{self._count}", OPERATOR_SOURCE, time, True, verb, named, withdrawn)
        self._given.append(order.id)
        if withdrawn:
            # Soon undone, as not much would be left to be merged and split.
            self._given.extend([order.id] * (_UNDONE_AMONG // 2))
        return order

    def _two_people(self) -> tuple[Identifier, ...]:
        """The strongest identifiers of two events."""
        return self._dice.choice(self._shown)[0], self._dice.choice(self._shown)[0]

    def _one_person(self) -> tuple[Identifier, ...]:
        """Two identifiers of one event, where one has two."""
        several = [one for one in self._shown if len(one) > 1]
        if not several:
            return self._two_people()
        return tuple(self._dice.sample(self._dice.choice(several), 2))

    def _undo(self) -> PlainUndo | None:
        if not self._given:
            return None
        early = self._dice.randrange(_EARLY_UNDOS) == 0
        order = f"drill-{self._count + self._dice.randint(1, 5)}" if early else self._dice.choice(self._given)
        return PlainUndo(f"undo-{self._count}", order)

    def _record_event(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        kind = self._dice.choice(_RECORD_TYPES)
        one, other = self._one_person() if kind == "identity.removed" else self._two_people()
        if one == other:
            return None
        return {
            "specversion": "1.0",
            "id": f"order-{self._count}",
            "source": _RECORD_SOURCE,
            "type": kind,
            "time": event["time"],
            "channel": _RECORD_SOURCE,
            "data": {"identifiers": {one.kind: one.value}, "other": {other.kind: other.value}},
        }


def encode_order(order: PlainOrder | PlainUndo, keyring: Keyring) -> bytes:
    """The order as a message of `identity.evidence`."""
    if isinstance(order, PlainUndo):
        return encode(Undo(order.id, 0, order.order, "drill", "a drill"))
    named = [identifiers.Identifier(*one) for one in order.identifiers]
    fragments = [keyring.fragment_id(one) for one in named]
    return encode(
        Order(
            source=order.source,
            id=order.id,
            time=order.time,
            authority=int(Authority.OPERATOR),
            verb=order.verb,
            identifiers=tuple(
                SealedIdentifier(fragment, one.kind, keyring.seal(one, fragment))
                for one, fragment in zip(named, fragments, strict=True)
            ),
            withdrawn_source=order.withdrawn_source,
            author="drill",
            reason="a drill",
        )
    )

"""Large customers who are merged and split over and over, under changing policies: accounts with very many cookies."""

import random
from itertools import count
from typing import Final

import msgspec

from bench.oracle import PlainOrder, PlainUndo
from bench.oracle.kinds import Identifier
from bench.oracle.orders import FORBID, REQUIRE, SPLIT
from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import PolicyChange
from schemas.orders import OPERATOR_SOURCE
from schemas.policy_parts import encode_policy
from tests.crashes.stream import Event

PEOPLE: Final = ("ann", "bob", "cid")
#: By this source all that is known of the cookies came.
SOURCE: Final = "shop-web"
_START_US: Final = 1_740_000_000_000_000
_SECOND_US: Final = 1_000_000


class Crowds:
    """Events of people with many fragments each, and orders that move hundreds of fragments at a time."""

    def __init__(self, seed: int, cookies: int) -> None:
        self._dice = random.Random(f"crowds/{seed}")
        self._cookies = cookies
        self._numbers = count(1)
        self._standing: list[PlainOrder] = []

    def events(self) -> list[Event]:
        """Everybody logs in with each cookie, and each cookie was there before."""
        found = []
        for who in PEOPLE:
            for cookie in range(self._cookies):
                shown = {"cookie": f"crowd-{who}-{cookie}"}
                found.append(_event(f"{who}-{cookie}-before", "page.viewed", shown))
                found.append(_event(f"{who}-{cookie}-login", "account.logged_in", shown | {"account": f"crowd-{who}"}))
        return found

    def order(self) -> PlainOrder | PlainUndo | PolicyChange:
        """Two people are one, or are not; one of them, or all that the source said, is split off; or that is undone.

        Or another policy holds, under which no two accounts are one customer's.
        """
        number = next(self._numbers)
        if self._dice.random() < 0.15:
            return _policy(number, unique=self._dice.random() < 0.7)
        if self._standing and self._dice.random() < 0.4:
            undone = self._standing.pop(self._dice.randrange(len(self._standing)))
            return PlainUndo(f"crowd-undo-{number}", undone.id)
        accounts = [Identifier("account", f"crowd-{who}") for who in PEOPLE]
        verb, named = self._dice.choice(
            (
                (REQUIRE, tuple(self._dice.sample(accounts, 2))),
                (REQUIRE, (self._dice.choice(accounts), Identifier("crm", f"crowd-{number % 2}"))),
                (FORBID, tuple(self._dice.sample(accounts, 2))),
                (SPLIT, (self._dice.choice(accounts),)),
                (SPLIT, ()),
            )
        )
        time = _START_US + number * _SECOND_US
        order = PlainOrder(
            f"crowd-{number}", OPERATOR_SOURCE, time, True, verb, named, "" if named else SOURCE
        )  # fmt: skip
        self._standing.append(order)
        return order

    def last(self) -> PolicyChange:
        """What makes the default policy hold again."""
        return _policy(next(self._numbers), unique=False)


def _policy(number: int, *, unique: bool) -> PolicyChange:
    kinds = (
        msgspec.structs.replace(kind, unique=unique) if kind.name == "account" else kind
        for kind in DEFAULT_POLICY.kinds
    )
    policy = msgspec.structs.replace(DEFAULT_POLICY, kinds=tuple(kinds))
    return PolicyChange(f"crowd-policy-{number}", _START_US, encode_policy(policy), "ann", "a test")


def _event(name: str, kind: str, identifiers: dict[str, str]) -> Event:
    return {
        "specversion": "1.0",
        "id": f"crowd-{name}",
        "source": SOURCE,
        "type": kind,
        "time": "2025-02-20T00:00:00Z",
        "channel": "web",
        "data": {"identifiers": identifiers, "summary": "A line"},
    }

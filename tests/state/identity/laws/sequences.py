"""Random logs: evidence, orders of every sort and their undos, policies, repeats; and the events beside them.

Small and dense, under limits that a handful of identifiers reach, so that everything meets everything.
"""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import msgspec

from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Policy, Strength
from schemas.messages import (
    Evidence,
    IdentityMessage,
    Order,
    PolicyChange,
    Ref,
    RoutedEvent,
    SealedIdentifier,
    Undo,
)
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from tests.state.builders import MORNING, fragment_of, routed, sealed

KINDS: Final = ("crm", "account", "email", "loyalty", "phone", "device", "cookie")
SOURCES: Final = ("shop", "crm", "app")
LIMITS: Final = {"crm": 2, "account": 2, "email": 2, "national_id": 1, "device": 1, "cookie": 1}
CLUSTER_LIMIT: Final = 4
_HOUR: Final = 3_600_000_000
#: Days are buckets of sight; so sights move now and then.
_DAYS: Final = (0, 0, 0, 29, 61)

Message = IdentityMessage | RoutedEvent


def low_policy(
    limits: dict[str, int] | None = None,
    unlinkable: tuple[str, ...] = (),
    cluster_limit: int = CLUSTER_LIMIT,
    claimed_from: int = 0,
) -> Policy:
    """The default kinds with limits that a few identifiers reach; none for claims, unless it is given."""
    own = LIMITS if limits is None else limits
    kinds = tuple(
        msgspec.structs.replace(
            kind,
            shared_from=own.get(kind.name, 0),
            claimed_from=claimed_from if kind.strength is Strength.IDENTIFYING else 0,
        )
        for kind in DEFAULT_POLICY.kinds
    )
    return Policy(kinds=kinds, unlinkable=unlinkable, cluster_limit=cluster_limit)


@dataclass
class Sequence:
    """A log to be, in the order of its coming; what is a routed event goes to its fragment, the rest to identity."""

    policy: Policy
    messages: list[Message] = field(default_factory=list)
    #: Whether contexts can be told from the places alone: the strengths of kinds stayed as they are.
    plain_levels: bool = True

    @property
    def identity(self) -> list[IdentityMessage]:
        """What identity gets."""
        return [message for message in self.messages if not isinstance(message, RoutedEvent)]


class Maker:
    """Makes one sequence."""

    def __init__(
        self,
        seed: int,
        *,
        policies: bool = True,
        strengths: bool = False,
        namespaces: tuple[str, ...] = ("default", "billing"),
        claimed_from: int | None = None,
    ) -> None:
        self.dice = random.Random(f"laws/{seed}")
        self._policies, self._strengths, self._namespaces = policies, strengths, namespaces
        self._identifiers = self._some_identifiers()
        self._orders: list[Order] = []
        self._count = 0
        self._claimed_from = claimed_from
        self._login_share = self.dice.random()
        self._order_share = self.dice.choice((0.15, 0.4, 0.7))
        self._plain_levels = True

    def sequence(self) -> Sequence:
        """A log of a few to some dozens of messages."""
        claimed_from = self.dice.choice((0, 1, 2)) if self._claimed_from is None else self._claimed_from
        policy = low_policy(unlinkable=self._unlinkable() if self._policies else (), claimed_from=claimed_from)
        sequence = Sequence(policy)
        makers = self._makers()
        for _ in range(self.dice.choice((4, 8, 12, 20, 30))):
            make = self.dice.choices(list(makers), list(makers.values()))[0]
            self._count += 1
            sequence.messages += make()
        # What is said twice, at once or much later, says nothing.
        for message in self.dice.sample(sequence.messages, len(sequence.messages) // 8):
            if not isinstance(message, PolicyChange):
                after = sequence.messages.index(message)
                sequence.messages.insert(self.dice.randint(after + 1, len(sequence.messages)), message)
        sequence.plain_levels = self._plain_levels
        return sequence

    def _makers(self) -> dict[Callable[[], list[Message]], float]:
        orders = self._order_share
        return {
            self._shown: 10,
            self._pair_order: 6 * orders,
            self._record_order: 3 * orders,
            self._split_identifier: 1.5 * orders,
            self._split_source: orders,
            self._undo: 4 * orders,
            self._same_id: 0.5 * orders,
            self._policy: orders if self._policies else 0,
        }

    def _some_identifiers(self) -> list[Identifier]:
        kinds = self.dice.sample(KINDS, self.dice.randint(2, 5))
        found = []
        for number in range(self.dice.randint(3, 9)):
            kind = self.dice.choice(kinds)
            namespace = self.dice.choice(self._namespaces) if kind in ("crm", "account") else "default"
            found.append(Identifier(kind, _value(kind, self.dice.randrange(100), number), namespace))
        return found

    def _shown(self) -> list[Message]:
        """An event: routed to its strongest identifier, and evidence of all its pairs."""
        dice = self.dice
        shown = dice.sample(self._identifiers, min(len(self._identifiers), dice.choice((1, 2, 2, 2, 3, 4))))
        shown.sort(key=lambda one: (DEFAULT_POLICY.position(one.kind), one))
        grade = dice.choice((2, 3)) if dice.random() < self._login_share else 1
        time = MORNING + dice.choice(_DAYS) * 24 * _HOUR + dice.randrange(4) * _HOUR
        source, name = dice.choice(SOURCES), f"e{self._count}"
        event = routed(
            shown[0], source=source, id=name, type=dice.choice(("page.viewed", "order.completed")), time=time,
            channel=dice.choice(("web", "chat")), rank=dice.randrange(2), grade=grade,
            direction=dice.choice(("in", "out", "")), summary=dice.choice(("", "A line")),
            traits={dice.choice(("email", "city", "name")): dice.choice((b'"x"', b'"y"', b"null"))},
            permissions={"email": {"marketing": dice.random() < 0.5}} if dice.random() < 0.3 else {},
            refs=(Ref("order", f"o-{dice.randrange(3)}", "paid"),) if dice.random() < 0.3 else (),
        )  # fmt: skip
        return [event, *evidence_of(shown, source, name, time, grade)]

    def _pair_order(self) -> list[Message]:
        verb = self.dice.choice((Verb.REQUIRE, Verb.REQUIRE, Verb.FORBID, Verb.SPLIT))
        return [self._operator(verb, self.dice.sample(self._identifiers, 2))]

    def _record_order(self) -> list[Message]:
        dice = self.dice
        pair = dice.sample(self._identifiers, 2)
        verb = dice.choice((Verb.REQUIRE, Verb.FORBID))
        former = fragment_of(pair[1]) if verb == Verb.REQUIRE and dice.random() < 0.4 else ""
        time, source = MORNING + dice.randrange(4) * _HOUR, dice.choice(SOURCES)
        name = f"e{dice.randint(1, self._count)}"
        return [Order(source, name, time, Authority.RECORD, verb, travelling(pair), former=former)]

    def _split_identifier(self) -> list[Message]:
        return [self._operator(Verb.SPLIT, [self.dice.choice(self._identifiers)])]

    def _split_source(self) -> list[Message]:
        return [self._operator(Verb.SPLIT, [], self.dice.choice(SOURCES))]

    def _operator(self, verb: Verb, identifiers: list[Identifier], source: str = "") -> Order:
        time = MORNING + self.dice.randrange(4) * _HOUR
        order = Order(
            OPERATOR_SOURCE, f"o{self._count}", time, Authority.OPERATOR, verb, travelling(identifiers), source,
            author="ann", reason="a test",
        )  # fmt: skip
        self._orders.append(order)
        return order

    def _undo(self) -> list[Message]:
        """Of an order that was given, or will be, or never is; or of an event, which is no order to be undone."""
        number = self.dice.randint(1, self._count + 3)
        if self._orders and self.dice.random() < 0.8:
            number = int(self.dice.choice(self._orders).id[1:])
        order = f"e{number}" if self.dice.random() < 0.05 else f"o{number}"
        return [Undo(f"u{self._count}", MORNING, order, "ann", "a test")]

    def _same_id(self) -> list[Message]:
        """Another order by an id that was given: the first stands."""
        if not self._orders:
            return []
        other = self._operator(self.dice.choice((Verb.REQUIRE, Verb.FORBID)), self.dice.sample(self._identifiers, 2))
        self._orders.pop()
        return [msgspec.structs.replace(other, id=self.dice.choice(self._orders).id)]

    def _policy(self) -> list[Message]:
        dice = self.dice
        limits = {kind: max(0, limit + dice.choice((-1, 0, 0, 1, 2))) for kind, limit in LIMITS.items()}
        policy = low_policy(limits, self._unlinkable(), dice.choice((3, CLUSTER_LIMIT, 6)), dice.choice((0, 1, 2)))
        kinds = []
        for kind in policy.kinds:
            unique = kind.unique != (kind.strength == Strength.IDENTIFYING and dice.random() < 0.15)
            changed = msgspec.structs.replace(kind, unique=unique)
            if self._strengths and kind.strength != Strength.NONE and dice.random() < 0.15:
                strength = dice.choice((Strength.WEAK, Strength.MEDIUM, Strength.IDENTIFYING))
                changed = msgspec.structs.replace(changed, strength=strength)
                self._plain_levels = False
            kinds.append(changed)
        policy = msgspec.structs.replace(policy, kinds=tuple(kinds))
        return [PolicyChange(f"p{self._count}", MORNING, msgspec.json.encode(policy), "ann", "a test")]

    def _unlinkable(self) -> tuple[str, ...]:
        if self.dice.random() < 0.7:
            return ()
        return tuple(f"{one.kind}:{one.value}" for one in self.dice.sample(self._identifiers, 1))


def _value(kind: str, sorts_by: int, number: int) -> str:
    """A value as it is after normalising; numbers make it the only one, and come last in its order."""
    digits = f"{sorts_by:02}{number:02}"
    return {"loyalty": digits, "phone": f"+3161234{digits}", "device": f"00000001-0000-4000-8000-00000000{digits}"}.get(
        kind, f"v{digits}"
    )


def travelling(identifiers: list[Identifier]) -> tuple[SealedIdentifier, ...]:
    """Identifiers as messages carry them."""
    return tuple(SealedIdentifier(fragment_of(one), one.kind, sealed(one)) for one in identifiers)


def evidence_of(shown: list[Identifier], source: str, name: str, time: int, grade: int) -> list[Message]:
    """What intake says of an event that shows these: all their pairs."""
    if len(shown) < 2:
        return []
    pairs = tuple((one, other) for one in range(len(shown)) for other in range(one + 1, len(shown)))
    return [Evidence(source, name, time, grade, travelling(shown), pairs)]


def shuffled(messages: Collection[IdentityMessage], dice: random.Random) -> list[Message]:
    """The same set in another order, but for what the order of coming decides: policies, and two orders by one id."""
    messages = list(messages)
    decided = [place for place, message in enumerate(messages) if _comes_first_or_last(message, messages)]
    order = list(range(len(messages)))
    dice.shuffle(order)
    slots = sorted(order.index(place) for place in decided)
    for slot, place in zip(slots, decided, strict=True):
        order[slot] = place
    return [messages[place] for place in order]


def _comes_first_or_last(message: IdentityMessage, messages: list[IdentityMessage]) -> bool:
    if isinstance(message, PolicyChange):
        return True
    return isinstance(message, Order) and any(
        isinstance(other, Order) and other.id == message.id and other != message for other in messages
    )

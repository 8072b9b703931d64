"""Logs of `routed` by dice: few people, few names and few times, so ties, overwrites and evictions are frequent."""

import random
from typing import Any, Final

import msgspec

from schemas.identifiers import Identifier
from schemas.messages import Add, Drop, Own, Ref, RoutedEvent, Snapshot, encode
from state.fold import fold
from state.fragment import Fragment, encode_fragment
from tests.state.builders import DAY, MORNING, fragment_of, routed, sealed

PEOPLE: Final = (
    Identifier("email", "ann@example.com"),
    Identifier("cookie", "c-1"),
    Identifier("account", "42"),
    Identifier("email", "info@example.com"),
    Identifier("phone", "+31612345678"),
    Identifier("email", 'x"y@é.com', "ns/1", "elsewhere"),
    Identifier("of a kind of its own", "v"),
)
# The rest has to be escaped in JSON or in pointers, has more than one byte a character, or is long.
_FEW: Final = ("a", "b", "é")
_MANY: Final = (*_FEW, "😀", "~", "/", 'a/b"', "\\", "\n\0\x1f\x7f", "n" * 40, "m" * 300)
_VALUES: Final = (b'"x"', b'"y"', b"null", b"[1]", b"1.50", b'{"a":1}')
_TRAITS: Final = ("email", "phone", "city", "first_name", *_FEW)


def log(dice: random.Random) -> list[list[bytes]]:
    """Records, by checkpoints."""
    people = dice.sample(PEOPLE, dice.choice([1, 3, len(PEOPLE)]))
    has_members = dice.random() < 0.5
    sent: list[bytes] = []
    checkpoints = []
    for _ in range(dice.randrange(1, 7)):
        values = [_record(dice, people, has_members=has_members) for _ in range(dice.randrange(25))]
        # Some come again.
        values += dice.sample(sent, min(len(sent), dice.randrange(4)))
        dice.shuffle(values)
        sent += values
        checkpoints.append(values)
    return checkpoints


def _record(dice: random.Random, people: list[Identifier], *, has_members: bool) -> bytes:
    share = dice.random()
    who, other = dice.choice(people), dice.choice(people)
    if share < 0.02:
        return dice.choice([b"", b"\xc1", encode(_event(dice, who))[:-9], encode(routed(who, grade=7))])
    if share < 0.70 or (share > 0.80 and not has_members):
        return encode(_event(dice, who))
    if share < 0.80:
        return encode(_own(dice, who, other))
    return encode(dice.choice((_add, _snapshot, _drop))(dice, who, other))


def _event(dice: random.Random, who: Identifier) -> RoutedEvent:
    names = _FEW if dice.random() < 0.5 else _MANY
    several: list[int] = dice.choice([[0], [1, 2], [4]])

    def name() -> str:
        return dice.choice(names)

    def some() -> range:
        return range(dice.choice([0, 0, *several]))

    event = routed(
        who,
        id=f"e-{dice.randrange(20)}",
        source=dice.choice(["crm", "web", name()]),
        type=name(),
        time=dice.choice([0, 1, 253_402_300_799_999_999]) if dice.random() < 0.02 else _time(dice),
        channel=dice.choice(["web", "chat"]),
        rank=dice.randrange(2),
        grade=dice.randrange(1, 4),
        direction=dice.choice(["in", "out", "", "sideways"]),
        summary=dice.choice(["", "a line", name()]),
        session=dice.choice(["", name()]),
        traits={dice.choice((*_TRAITS, name())): dice.choice(_VALUES) for _ in some()},
        permissions={name(): {name(): dice.random() < 0.5 for _ in range(dice.choice([1, 2]))} for _ in some()},
        refs=tuple(Ref(name(), name(), dice.choice(["", "paid"])) for _ in some()),
        groups={name(): tuple(name() for _ in range(dice.choice([1, 2]))) for _ in some()},
        received=dice.choice([0, MORNING]),
        enriched=dice.choice([b"", b'{"k":1}']),
        origin=dice.choice([None, (1, 2)]),
    )
    # What the library leaves to the general way.
    odd: list[dict[str, Any]] = [{"assigned": True}, {"content": b"otherwise"}, {"sealed": b"x"}]
    return msgspec.structs.replace(event, **dice.choice(odd)) if dice.random() < 0.03 else event


def _time(dice: random.Random) -> int:
    return MORNING + dice.randrange(12) * DAY // 3 + dice.choice([0, 0, 1, 1_000, 123_456])


def _own(dice: random.Random, who: Identifier, other: Identifier) -> Own:
    first = dice.choice([None, MORNING, MORNING + 8 * DAY, MORNING - 40 * DAY])
    return Own(
        fragment_of(who),
        who.kind,
        sealed(who),
        fragment_of(dice.choice([who, other])),
        dice.choice(["home", "joined", "attached", "shared"]),
        dice.randrange(4),
        dice.randrange(1, 6),
        first,
        # By the start of a span of days, so it may lie before the first.
        first and first + dice.randrange(-20, 20) * DAY,
        dice.random() < 0.1,
    )


def _add(dice: random.Random, owner: Identifier, who: Identifier) -> Add:
    identifier = b"x" if dice.random() < 0.03 else sealed(who)
    role, grade, epoch = dice.choice(["joined", "attached"]), dice.randrange(1, 4), dice.randrange(1, 6)
    return Add(fragment_of(owner), fragment_of(who), who.kind, identifier, role, grade, epoch)


def _drop(dice: random.Random, owner: Identifier, who: Identifier) -> Drop:
    return Drop(fragment_of(owner), fragment_of(who), dice.randrange(1, 6))


def _snapshot(dice: random.Random, owner: Identifier, who: Identifier) -> Snapshot:
    content = Fragment()
    for _ in range(dice.randrange(3)):
        fold(content, _event(dice, who))
    first, last = (dice.choice([None, MORNING, MORNING - DAY]) for _ in range(2))
    position = (dice.randrange(1, 6), 0, dice.randrange(6))
    return Snapshot(fragment_of(owner), fragment_of(who), *position, encode_fragment(content), first, last)

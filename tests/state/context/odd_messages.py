"""Messages of all sorts, of which many are odd: texts that need escapes, limits that are passed, what can't be read."""

from random import Random
from typing import Final

from schemas.identifiers import Identifier
from schemas.messages import Add, Drop, Own, Ref, RoutedEvent, Snapshot, encode
from schemas.times import TIME_MAX_US
from state.fold import fold
from state.fragment import Fragment, encode_fragment
from tests.state.builders import DAY, MORNING, fragment_of, routed, sealed

#: Ordinary kinds, one that the policy does not know, one that links nobody, and a namespace and a realm.
PEOPLE: Final = (
    Identifier("email", "ann@example.com"),
    Identifier("cookie", "c-1"),
    Identifier("account", "42"),
    Identifier("email", "info@example.com"),
    Identifier("phone", "+31612345678"),
    Identifier("email", 'x"y@é.com', "ns/1", "r2"),
    Identifier("weird", "v"),
    Identifier("ip", "1.2.3.4"),
    Identifier("device", "d1"),
)
_PLAIN: Final = ("a", "b", "é")
_TEXTS: Final = (*_PLAIN, "😀", "~", "/", "a/b", '"', "\\", "\b\f\n\r\t\x00\x1f\x7f", "zz\u2028", "n" * 40, "m" * 300)
_TRAITS: Final = ("email", "phone", "name", "city", "first_name")
_VALUES: Final = (b'"x"', b'"y"', b"null", b"[1]", b"1.50", b'{"a":1}', b'"ann@example.com"')
_TIMES_US: Final = (0, 1, 999_999, TIME_MAX_US)


class OddMessages:
    """Encoded messages for some people, drawn from one source of chance."""

    def __init__(self, chance: Random, people: int, *, members: bool) -> None:
        self._chance = chance
        self._people = chance.sample(PEOPLE, people)
        self._members = members

    def draw(self) -> bytes:
        """The next."""
        kind = self._chance.random()
        who = self._chance.choice(self._people)
        if kind < 0.78:
            return encode(self._event(who))
        if kind < 0.88:
            return encode(self._own(who))
        if kind < 0.96 and self._members:
            return encode(self._of_member(who))
        if kind < 0.98:
            return encode(routed(who, id="plain", channel="chat"))
        return self._chance.choice((b"", b"\xc1", encode(self._event(who))[:-9], encode(routed(who, sealed=b"x"))))

    def _event(self, who: Identifier) -> RoutedEvent:
        draw = self._chance.choice
        texts = _PLAIN if self._chance.random() < 0.5 else _TEXTS
        time = MORNING + self._chance.randrange(12) * DAY // 3 + draw((0, 0, 1, 1_000, 123_456))
        return routed(
            who,
            source=draw(("crm", "web", draw(_TEXTS))),
            id=f"e-{self._chance.randrange(30)}" if self._chance.random() < 0.9 else draw(_TEXTS),
            time=time if self._chance.random() < 0.97 else draw(_TIMES_US),
            type=draw(texts),
            channel=draw(("web", "chat")),
            rank=self._chance.randrange(2),
            grade=self._chance.randrange(1, 4),
            content=draw((*[b"12345678"] * 40, b"12", b"")),
            assigned=self._chance.random() < 0.01,
            direction=draw(("in", "out", "", "sideways")),
            summary=draw(("", "a line", draw(texts))),
            session=draw(("", draw(texts))),
            traits={draw((*_TRAITS, draw(texts))): draw(_VALUES) for _ in range(draw((0, 0, 1, 2, 4)))},
            permissions={draw(texts): {draw(texts): draw((True, False))} for _ in range(draw((0, 0, 0, 1, 2)))},
            refs=tuple(Ref(draw(texts), draw(texts), draw(("", "paid"))) for _ in range(draw((0, 0, 0, 1, 2)))),
            groups={draw(texts): (draw(texts), draw(texts))[: draw((1, 2))] for _ in range(draw((0, 0, 0, 1, 2)))},
            received=draw((0, MORNING, MORNING + 5)),
            enriched=draw((b"", b'{"k":1}')),
            origin=draw((None, (1, 2))),
        )

    def _own(self, who: Identifier) -> Own:
        draw = self._chance.choice
        owner = draw(self._people) if self._chance.random() < 0.6 else who
        first = draw((None, MORNING, MORNING - 40 * DAY))
        return Own(
            fragment_of(who),
            who.kind,
            sealed(who),
            fragment_of(owner),
            draw(("home", "joined", "attached", "shared")),
            self._chance.randrange(4),
            self._chance.randrange(1, 6),
            first,
            first and first + DAY,
            former=self._chance.random() < 0.15,
        )

    def _of_member(self, who: Identifier) -> Add | Drop | Snapshot:
        draw = self._chance.choice
        owner, epoch = fragment_of(draw(self._people)), self._chance.randrange(1, 6)
        kind = self._chance.random()
        if kind < 0.5:
            grade = self._chance.randrange(1, 4)
            return Add(owner, fragment_of(who), who.kind, sealed(who), draw(("joined", "attached")), grade, epoch)
        if kind < 0.7:
            return Drop(owner, fragment_of(who), epoch)
        content, number = Fragment(), self._chance.randrange(6)
        fold(content, self._event(who))
        return Snapshot(owner, fragment_of(who), epoch, 0, number, encode_fragment(content), MORNING, MORNING)

"""Why a trait has its value: the value is the join's, and every reason that is given for another one is true.

Goal: no reason may be told that did not decide. Method: random customers whose fragments say a trait at few times, by
few sources, in all grades; each reason is compared with what the two say, and taking the winner away lets the best of
the losers win.
"""

import random
from collections import Counter

import msgspec

from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from schemas.roles import ATTACHED, HOME, JOINED
from state.join import JoinRules, Part, join
from state.trait_explanation import LostBy, Said, explain_trait
from tests.state.builders import MORNING, routed
from tests.state.test_join import part

RULES = JoinRules(DEFAULT_POLICY)
ANN = Identifier("email", "ann@example.com")
OLD = Identifier("email", "old@example.com")
ACCOUNT = Identifier("account", "ann")
COOKIE = Identifier("cookie", "c-1")


def said(identifier: Identifier, role: str, value: str | None, *, former: bool = False, **fields: object) -> Part:
    """A fragment whose one event says the e-mail, or withdraws it."""
    event = routed(identifier, traits={"email": msgspec.json.encode(value)}, **fields)
    return part(identifier, role, [event], former=former)


def told(trait: str, home: Part, *members: Part, rules: JoinRules = RULES) -> list[tuple[bytes, str | None]]:
    """The value and the losers, each with its reason."""
    reasons = explain_trait(trait, home, members, rules)
    assert reasons is not None
    winner = [] if reasons.winner is None else [reasons.winner]
    return [(one.register.value, one.lost_by) for one in (*winner, *reasons.losers)]


def test_the_newest_wins_and_an_attached_one_only_fills_in() -> None:
    home = part(ANN, HOME, [routed(ANN, traits={"city": b'"Delft"'}, time=MORNING)])
    joined = part(ACCOUNT, JOINED, [routed(ACCOUNT, traits={"city": b'"Gouda"'}, time=MORNING + 1)])
    attached = part(COOKIE, ATTACHED, [routed(COOKIE, traits={"city": b'"Breda"'}, time=MORNING + 2)])
    assert told("city", home, joined, attached) == [
        (b'"Gouda"', None),
        (b'"Delft"', LostBy.TIME),
        (b'"Breda"', LostBy.ATTACHED),
    ]


def test_of_a_trusted_trait_a_newer_claim_loses_by_its_grade() -> None:
    home = said(ACCOUNT, HOME, "ann@example.com", grade=3)
    claim = said(ANN, JOINED, "typed@example.com", time=MORNING + 5)
    assert told("email", home, claim) == [(b'"ann@example.com"', None), (b'"typed@example.com"', LostBy.GRADE)]


def test_a_value_that_is_a_replaced_identifier_loses_although_it_is_newer() -> None:
    home = said(ACCOUNT, HOME, "ann@example.com", grade=2)
    former = said(OLD, JOINED, "old@example.com", former=True, grade=3, time=MORNING + 5)
    assert told("email", home, former) == [(b'"ann@example.com"', None), (b'"old@example.com"', LostBy.FORMER)]


def test_a_trait_that_was_withdrawn_is_told_with_what_it_hides() -> None:
    home = part(ANN, HOME, [routed(ANN, traits={"city": b'"Delft"'})])
    joined = part(ACCOUNT, JOINED, [routed(ACCOUNT, traits={"city": b"null"}, time=MORNING + 1)])
    assert told("city", home, joined) == [(b"null", None), (b'"Delft"', LostBy.TIME)]


def test_a_trait_that_is_one_too_many_says_so() -> None:
    rules = JoinRules(DEFAULT_POLICY, limits=msgspec.structs.replace(RULES.limits, traits=1))
    home = part(ANN, HOME, [routed(ANN, traits={"city": b'"Delft"'})])
    newer = part(ACCOUNT, JOINED, [routed(ACCOUNT, traits={"name": b'"Ann"'}, time=MORNING + 1)])
    assert told("city", home, newer, rules=rules) == [(b'"Delft"', LostBy.LIMIT)]


def test_a_trait_that_nobody_says_has_no_reasons() -> None:
    assert explain_trait("city", part(ANN, HOME, [routed(ANN)]), (), RULES) is None


def _holds(name: str, loser: Said, winner: Said) -> bool:
    """Whether the reason is true of the two."""
    mine, best = loser.register, winner.register
    attached = loser.part.role == ATTACHED, winner.part.role == ATTACHED
    if loser.lost_by is LostBy.ATTACHED:
        return attached == (True, False)
    if loser.lost_by is LostBy.FORMER:
        return name == "email" and mine.value == b'"old@example.com"' != best.value
    if loser.lost_by is LostBy.GRADE:
        return name == "email" and mine.grade < best.grade
    alike = {
        LostBy.TIME: (),
        LostBy.RANK: (mine.time == best.time,),
        LostBy.SOURCE: (mine.time == best.time, mine.rank == best.rank),
        LostBy.EVENT: (mine.time == best.time, mine.rank == best.rank, mine.source == best.source),
    }[loser.lost_by or LostBy.LIMIT]
    return all(alike) and mine.age_key <= best.age_key and (name != "email" or mine.grade >= best.grade)


def test_the_value_is_the_joins_and_each_reason_is_true() -> None:
    met: Counter[object] = Counter()
    for seed in range(3_000):
        dice = random.Random(seed)
        name = dice.choice(("email", "city"))
        parts = []
        for number, identifier in enumerate((ACCOUNT, ANN, OLD, COOKIE, Identifier("cookie", "c-2"))):
            role = HOME if number == 0 else dice.choice((JOINED, ATTACHED))
            events = [
                routed(
                    identifier, id=f"e{number}-{event}", source=dice.choice(("shop", "crm")), rank=dice.randrange(2),
                    time=MORNING + dice.randrange(3), grade=dice.choice((1, 2, 3)),
                    traits={name: dice.choice((b'"ann@example.com"', b'"old@example.com"', b'"x"', b"null"))},
                )
                for event in range(dice.randrange(3))
            ]  # fmt: skip
            parts.append(part(identifier, role, events, former=identifier is OLD and dice.random() < 0.5))
        home, members = parts[0], parts[1:]
        reasons = explain_trait(name, home, members, RULES)
        fact = join(home, members, RULES).traits.get(name)
        assert (reasons is None) == (fact is None)
        if reasons is None or fact is None:
            continue
        assert reasons.winner is not None
        assert reasons.winner.register == fact.register
        said_by = [one.content.traits.get(name) for one in parts]
        assert len(reasons.losers) + 1 >= sum(register is not None for register in said_by)
        for loser in reasons.losers:
            assert _holds(name, loser, reasons.winner), (seed, loser, reasons.winner)
            met[loser.lost_by] += 1
    assert {reason for reason in LostBy if met[reason] < 5} <= {LostBy.LIMIT}

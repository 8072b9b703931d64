"""Customers of very many members: the same words as of small ones, at a cost that does not grow with them."""

import random
from itertools import count

import pytest

from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import Add, Drop, Own, Snapshot
from schemas.topics import Topic
from state.bundle import bundle
from state.context import bundles as bundles_module
from state.context import publication
from state.context.bundles import Bundles
from state.engine import Output
from state.fold import fold
from state.fragment import Fragment, encode_fragment
from state.join import Bundle, JoinRules, Part
from tests.state.builders import ANN, MORNING, fragment_of, routed, sealed
from tests.state.context.bench import Bench, of
from tests.state.context.simulation import World

ANNS = fragment_of(ANN)


@pytest.fixture
def bundled_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "BUNDLED_FROM_MEMBERS", 1)
    monkeypatch.setattr(bundles_module, "_PARTS_MAX", 2)


def _history(seed: int) -> tuple[object, ...]:
    world = World(seed)
    world.run(60)
    return world.contexts, world.versions, world.said, world.logs, world.interactions


def test_a_world_of_large_customers_writes_what_a_world_of_small_ones_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(25):
        small = _history(seed)
        with monkeypatch.context() as patch:
            patch.setattr(publication, "BUNDLED_FROM_MEMBERS", 1)
            patch.setattr(bundles_module, "_PARTS_MAX", 2)
            assert _history(seed) == small


def _cookie(number: int) -> Identifier:
    return Identifier("cookie" if number % 3 else "device", f"{number:05}")


def _snapshot(number: int, epoch: int = 1, offset: int = 0) -> Snapshot:
    content = Fragment()
    time = MORNING + number + offset * 1_000
    fold(content, routed(_cookie(number), id=f"e{number}/{offset}", time=time, traits={"city": b'"x"'}))
    return Snapshot(ANNS, fragment_of(_cookie(number)), epoch, 0, offset, encode_fragment(content), MORNING, MORNING)


def _add(number: int, epoch: int = 1) -> Add:
    cookie = _cookie(number)
    return Add(ANNS, fragment_of(cookie), cookie.kind, sealed(cookie), "attached", 1, epoch)


def test_what_is_published_does_not_depend_on_what_is_still_in_memory() -> None:
    dice = random.Random(7)
    ours, restarted = Bench(), Bench()
    batch: list[object] = [routed(), *map(_add, range(150)), *map(_snapshot, range(0, 150, 2))]
    numbers = count(1)
    for round_number in range(12):
        said: list[list[Output]] = []
        for bench in (ours, restarted):
            if bench is restarted:
                bench.restart()
            said.append(bench.publish(*batch))
        assert said[0] == said[1], round_number
        number = dice.randrange(150)
        choices: list[list[object]] = [
            [_snapshot(number, epoch=1, offset=next(numbers))],
            [Drop(ANNS, fragment_of(_cookie(number)), 2), _snapshot(number + 1, 1, next(numbers))],
            [routed(id=f"h{round_number}", time=MORNING + round_number, traits={"city": b'"y"'})],
            [_add(200 + round_number)],
        ]
        batch = dice.choice(choices)


@pytest.mark.usefixtures("bundled_from_the_first")
def test_an_owner_that_ceases_to_be_one_forgets_how_its_members_stood() -> None:
    bench = Bench()
    bench.publish(routed(), _add(1), _snapshot(1))
    # What is kept in memory can be seen nowhere else.
    entries = bench.engine._entries
    assert entries.get(ANNS).standing is not None
    crm = fragment_of(Identifier("crm", "1"))
    bench.publish(Own(ANNS, "email", sealed(ANN), crm, "joined", 2, 5, MORNING, MORNING))
    kept = entries.get(ANNS).standing
    assert kept is None
    gone = Drop(ANNS, fragment_of(_cookie(1)), 9)
    home_again = Own(ANNS, "email", sealed(ANN), ANNS, "home", 2, 6, MORNING, MORNING)
    (context,) = of(Topic.CONTEXT, bench.publish(gone, _add(2), home_again))
    assert [each["value"] for each in context["identifiers"]] == ["ann@example.com", "00002"]


def test_members_come_and_go_in_bundles_that_stay_small_and_sorted() -> None:
    dice = random.Random(3)
    bundles = Bundles(JoinRules(DEFAULT_POLICY))
    wanted: dict[str, Part] = {}
    for _ in range(3_000):
        number = dice.randrange(400)
        cookie = _cookie(number)
        part = None if dice.random() < 0.4 else Part(cookie, "attached", 1, None, None, Fragment())
        bundles.put(cookie.value, part)
        if part is None:
            wanted.pop(cookie.value, None)
        else:
            wanted[cookie.value] = part
    made = bundles.bundles()
    shown = [part.identifier for each in made for part in each.shown]
    assert shown == sorted(part.identifier for part in wanted.values())
    assert all(1 <= len(each.shown) <= 64 and {p.identifier.kind for p in each.shown} == {each.kind} for each in made)
    for value in list(wanted):
        bundles.put(value, None)
    assert not bundles


def test_an_event_of_a_large_customer_makes_one_bundle_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.publish(routed(), *(_add(number) for number in range(1_000)))
    bench.publish(*(_snapshot(number) for number in range(1_000)))
    made: list[int] = []

    def counted(parts: list[Part], rules: JoinRules) -> Bundle:
        made.append(len(parts))
        return bundle(parts, rules)

    monkeypatch.setattr(bundles_module, "bundle", counted)
    monkeypatch.setattr(bench.rows, "scan", lambda _prefix: pytest.fail("rows are read again"))
    context = of(Topic.CONTEXT, bench.publish(_snapshot(7, offset=5)))[0]
    assert len(made) == 1
    assert made[0] <= 64
    assert context["interactions"]["count"] == 1_001

"""Ownership converges: whatever crashes, repeats or comes late, at rest the contexts say what the events say."""

import time
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import UNSTABLE_FIELDS, Interaction
from tests.state.builders import fragment_of
from tests.state.context.simulation import IDENTIFIERS, World
from tests.state.reference import expected_document

#: The worlds that one test run tries, if the time is enough for them.
WORLDS: Final = 300
TIME_S_MAX: Final = 15.0
STEPS: Final = 90

_INTERACTION = msgspec.json.Decoder(Interaction)


def verify(world: World) -> None:
    """At rest every latest context is the one that events and places give, computed in another way."""
    events = world.folded()
    for identifier in IDENTIFIERS:
        fragment = fragment_of(identifier)
        place = world.place_of(identifier)
        value = world.contexts.get(fragment)
        expected = None
        if place.owner == identifier:
            expected = expected_document(place, world.members_of(identifier), events)
        if expected is None:
            assert value is None
            continue
        assert value is not None
        document = msgspec.json.decode(value)
        assert document["customer"] == fragment
        assert document["settling"] is False
        assert document["version"] == world.versions[fragment]
        assert {name: held for name, held in document.items() if name not in UNSTABLE_FIELDS} == expected
        verify_changes(world.said[fragment], document)
    shown = [_INTERACTION.decode(each) for each in world.interactions]
    assert sorted((each.source, each.id) for each in shown) == sorted(
        (event.source, event.id) for each in events.values() for event in each
    )


def verify_changes(said: dict[str, object], document: dict[str, Any]) -> None:
    """All changes ever published of a customer add up to what its document says."""
    expected = {
        "/identity/level": document["identity"]["level"],
        **{
            f"/identifiers/{each['kind']}/{each['value']}": {"grade": each["grade"], "role": each["role"]}
            | ({"status": "former"} if each["status"] == "former" else {})
            for each in document["identifiers"]
        },
        **{f"/traits/{name}": trait["value"] for name, trait in document["traits"].items()},
        **{
            f"/permissions/{channel}/{purpose}": permission["value"]
            for channel, purposes in document["permissions"].items()
            for purpose, permission in purposes.items()
        },
        **{
            f"/refs/{each['kind']}/{each['id']}": {name: each[name] for name in ("status", "type") if name in each}
            for each in document["refs"]
        },
        **{f"/groups/{kind}": values for kind, values in document["groups"].items()},
    }
    assert said == expected


def test_contexts_converge_over_crashes_rewinds_repeats_merges_and_splits() -> None:
    end = time.monotonic() + TIME_S_MAX
    for seed in range(WORLDS):
        world = World(seed)
        world.run(STEPS)
        verify(world)
        if time.monotonic() > end:
            break


def test_contexts_converge_when_logs_lose_ranges_and_owners_are_announced_again() -> None:
    end = time.monotonic() + TIME_S_MAX
    lost = 0
    for seed in range(WORLDS):
        world = World(seed)
        world.run(STEPS, losses=3)
        verify(world)
        sent = sum(len(events) for events in world.events.values())
        lost += sent - sum(len(events) for events in world.folded().values())
        if time.monotonic() > end:
            break
    assert lost > 0, "no world lost an event: nothing was tried"


@settings(max_examples=30)
@given(st.integers(1_000_000, 2_000_000))
def test_a_quiet_world_has_nothing_more_to_say(seed: int) -> None:
    world = World(seed)
    world.run(STEPS)
    before = dict(world.contexts)
    for worker in world.workers:
        worker.crash(rewound=len(world.logs[0]))
    world.settle()
    assert world.contexts == before

"""Orders over HTTP: what they do, given once, listed and taken back. The worker's engine is the real one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from connectors.admin.handlers import REPAIRED, REPAIRING
from schemas.errors import DeadCode
from schemas.identity_policy import Grade
from schemas.messages import Order, decode_identity, encode
from schemas.orders import OPERATOR_ORDERS_PER_PAIR_MAX, Verb
from streams.producer import Record
from tests.connectors.admin.world import NOW_US, World, asked, values

ANN, BOB, COOKIE, CRM = "email:ann@example.com", "email:bob@example.com", "cookie:c-1", "crm:8812"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().serving() as world:
        world.show(ANN, COOKIE, name="e-1")
        world.show(BOB, "cookie:c-2", name="e-2")
        yield world


def written(world: World) -> list[Order]:
    """All orders in the log."""
    messages = [decode_identity(record.value or b"") for record in world.producer.records]
    return [message for message in messages if isinstance(message, Order)]


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(world: World) -> None:
    reply = await world.give("require", ANN, BOB, dry_run=True)
    assert (reply.status, reply.body["result"], reply.body["changes"]) == (200, "dry_run", True)
    moves = reply.body["moves"]
    assert values(moves["before"]) != values(moves["after"])
    assert sorted(map(len, values(moves["before"]))) == [2, 2]
    assert values(moves["after"]) == [{"ann@example.com", "bob@example.com", "c-1", "c-2"}]
    assert {member["role"] for member in moves["after"][0]["members"]} == {"home", "joined", "attached"}
    assert (moves["customers_before"], moves["customers_after"]) == (2, 1)
    assert reply.body["decision_counts"] == {"linked": 1, "attached": 1} or reply.body["decided"] >= 1
    assert reply.body["complete"] is True
    assert written(world) == []
    assert world.customer(ANN) != world.customer(BOB)


async def test_shared_identifiers_are_not_counted_as_customers(world: World) -> None:
    await world.give("require", ANN, BOB, wait=5)
    for number in (8, 9):
        world.show(ANN, f"cookie:c-{number}", name=f"a-{number}")
        world.show(BOB, f"cookie:c-{number}", name=f"b-{number}")
    foreseen = (await world.give("split", ANN, BOB, dry_run=True)).body
    split = (await world.give("split", ANN, BOB, wait=5, id="case-1")).body
    assert foreseen["words"] == split["words"]
    assert split["words"][0].startswith("1 customer before; 2 customers and 2 shared identifiers after; ")
    moves = split["moves"]
    assert (moves["customers_before"], moves["shared_before"]) == (1, 0)
    assert (moves["customers_after"], moves["shared_after"], len(moves["after"])) == (2, 2, 4)
    undone = (await world.undo("case-1", wait=5)).body
    assert undone["words"][0].startswith("2 customers and 2 shared identifiers before; 1 customer after; ")


async def test_what_was_foreseen_is_what_happens(world: World) -> None:
    for order, items in (
        ("require", (ANN, BOB)),
        ("split", (ANN, BOB)),
        ("split", (COOKIE,)),
        ("forbid", (ANN, COOKIE)),
    ):
        foreseen = (await world.give(order, *items, dry_run=True)).body
        given = await world.give(order, *items, wait=5)
        assert given.status == 200, given.body
        assert given.body["result"] == "given"
        assert given.body["order"]["standing"] == "stands"
        assert values(given.body["moves"]["after"]) == values(foreseen["moves"]["after"]), order
        assert given.body["words"] == foreseen["words"]


async def test_an_order_is_acknowledged_before_it_is_decided_and_its_place_says_when_it_is(world: World) -> None:
    given = await world.give("require", ANN, BOB, id="case-1")
    assert (given.status, given.body["order"]["standing"]) == (202, "waiting")
    assert given.headers["Location"] == "/v1/orders/case-1"
    assert given.headers["Cache-Control"] == "private, no-store"
    waiting = await world.ask("GET", "/v1/orders/case-1")
    assert waiting.body == given.body["order"]
    assert waiting.body["identifiers"] == [asked(ANN), asked(BOB)]
    world.decide()
    decided = (await world.ask("GET", "/v1/orders/case-1")).body
    assert decided == waiting.body | {"standing": "stands"}
    assert world.customer(ANN) == world.customer(BOB)


async def test_waiting_for_a_worker_that_is_away_ends_in_time(world: World) -> None:
    asking = asyncio.create_task(world.ask("POST", "/v1/orders?wait=0.2", {
        "order": "require", "identifiers": [asked(ANN), asked(BOB)], "reason": "r", "author": "a",
    }))  # fmt: skip
    await asyncio.sleep(0)
    while not asking.done():
        # The clock of the service stands still unless it is moved.
        world.clock.advance(0.1)
        await asyncio.sleep(0.01)
    assert (await asking).status == 202


async def test_an_answer_waits_for_all_that_the_order_did(world: World) -> None:
    world.is_cut_short = True
    asking = asyncio.create_task(world.give("require", ANN, BOB, id="case-1", wait=1))
    while not asking.done():
        world.clock.advance(0.05)
        await asyncio.sleep(0.005)
    # The order is in the copy, and what else its transaction wrote may not be.
    assert ((await asking).status, (await asking).body.get("moves")) == (202, None)
    world.is_cut_short = False
    world.show("cookie:c-8", "cookie:c-9")
    assert (await world.give("require", ANN, BOB, id="case-1", wait=1)).status == 200


async def test_the_same_order_with_the_same_id_is_given_once(world: World) -> None:
    for _ in range(3):
        assert (await world.give("require", ANN, BOB, id="case-1")).status == 202
    assert len(written(world)) == 1
    world.decide()
    again = await world.give("require", BOB, ANN, id="case-1", wait=5)
    assert (again.status, again.body["order"]["standing"]) == (200, "stands")
    assert len(written(world)) == 1
    split = await world.give("split", ANN, BOB, id="case-2", wait=5)
    # Not together any more, and still the same answer to the same order.
    assert (await world.give("split", ANN, BOB, id="case-2", wait=5)).body["order"] == split.body["order"]


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize(
    "other", [{"reason": "another"}, {"author": "somebody"}, {"order": "forbid"}, {"items": (ANN, CRM)}]
)
async def test_another_order_with_the_same_id_is_a_conflict(world: World, other: dict[str, Any], decided: bool) -> None:
    await world.give("require", ANN, BOB, id="case-1")
    if decided:
        world.decide()
    said: dict[str, Any] = {"order": "require", "items": (ANN, BOB)} | other
    reply = await world.give(said.pop("order"), *said.pop("items"), id="case-1", **said)
    assert (reply.status, reply.body["code"]) == (409, "order_conflict")
    assert len(written(world)) == 1


async def test_who_loses_an_id_to_another_process_at_the_same_moment_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all = world.producer.send_all

    async def send_after_another_process(records: list[Record]) -> None:
        # Its order comes first in the log, and no copy showed it when this one was written.
        ours = decode_identity(records[0].value or b"")
        assert isinstance(ours, Order)
        theirs = msgspec.structs.replace(ours, verb=Verb.FORBID)
        await send_all([records[0]._replace(value=encode(theirs)), *records])

    monkeypatch.setattr(world.producer, "send_all", send_after_another_process)
    lost = await world.give("require", ANN, BOB, id="case-1", wait=5)
    assert (lost.status, lost.body["code"]) == (409, "order_conflict")
    assert (await world.ask("GET", "/v1/orders/case-1")).body["order"] == "forbid"
    assert world.customer(ANN) != world.customer(BOB)


async def test_a_later_order_stands_even_when_the_clock_stands_still_or_goes_back(world: World) -> None:
    world.clock.advance(100)
    for number, order in enumerate(("require", "forbid", "require")):
        await world.give(order, ANN, BOB, id=f"o-{number}")
    world.clock.advance(-200)
    await world.give("forbid", BOB, ANN, id="o-3")
    world.decide()
    times = [order.time for order in written(world)]
    assert times == sorted(set(times))
    standing = {number: (await world.ask("GET", f"/v1/orders/o-{number}")).body for number in range(4)}
    assert [standing[number]["standing"] for number in range(4)] == ["overruled"] * 3 + ["stands"]
    assert standing[0]["overruled_by"] == "o-3"
    assert world.customer(ANN) != world.customer(BOB)


async def test_a_pair_that_is_not_together_is_split_by_force_alone(world: World) -> None:
    refused = await world.give("split", ANN, BOB)
    assert (refused.status, refused.body["code"]) == (409, "nothing_to_split")
    assert written(world) == []
    foreseen = (await world.give("split", ANN, BOB, dry_run=True)).body
    assert foreseen["changes"] is False
    assert foreseen["words"] == [
        "The two are not in one customer now: there is nothing to split.", "This changes nothing now.",
    ]  # fmt: skip
    assert (await world.give("split", ANN, BOB, force=True, wait=5)).status == 200
    world.show(ANN, CRM, source="crm", name="e-3", grade=Grade.RECORD)
    world.show(BOB, CRM, source="crm", name="e-4", grade=Grade.RECORD)
    assert world.customer(ANN) != world.customer(BOB)


async def test_an_undo_makes_it_as_if_the_order_had_never_been_given(world: World) -> None:
    before = world.customer(ANN), world.customer(BOB), world.customer(COOKIE)
    await world.give("require", ANN, BOB, id="case-1", wait=5)
    foreseen = await world.undo("case-1", dry_run=True)
    assert foreseen.body["words"] == ["1 customer before; 2 customers after; 2 identifiers moved."]
    undone = await world.undo("case-1", wait=5, id="undo-1", reason="one person after all")
    assert (undone.status, undone.body["words"]) == (200, foreseen.body["words"])
    assert undone.body["order"]["standing"] == "undone"
    assert undone.body["order"]["undone"] == {
        "id": "undo-1", "author": "tester", "reason": "one person after all", "time": undone.body["order"]["time"],
    }  # fmt: skip
    assert (world.customer(ANN), world.customer(BOB), world.customer(COOKIE)) == before
    # The very same undo is the same answer, another one comes too late.
    assert (await world.undo("case-1", wait=5, id="undo-1", reason="one person after all")).status == 200
    late = await world.undo("case-1", id="undo-2")
    assert (late.status, late.body["code"], late.body["undone_by"]) == (409, "already_undone", "tester")
    # Given again under another id it stands again.
    await world.give("require", ANN, BOB, id="case-2", wait=5)
    assert world.customer(ANN) == world.customer(BOB)


async def test_an_undo_is_refused_twice_before_a_worker_has_read_the_first(world: World) -> None:
    await world.give("require", ANN, BOB, id="case-1")
    assert (await world.undo("case-1")).status == 202
    late = await world.undo("case-1")
    assert (late.status, late.body["code"]) == (409, "already_undone")
    world.decide()
    assert world.customer(ANN) != world.customer(BOB)


async def test_a_dry_run_of_an_undo_that_was_given_changes_nothing(world: World) -> None:
    await world.give("require", ANN, BOB, id="case-1", wait=5)
    await world.undo("case-1", wait=5)
    assert (await world.undo("case-1", dry_run=True)).body["changes"] is False
    unknown = await world.undo("nobody-gave-it")
    assert (unknown.status, unknown.body["code"]) == (404, "no_such_order")


async def test_a_source_is_split_off_with_all_that_it_ever_linked(world: World) -> None:
    world.show(ANN, "account:a-1", source="old-app", name="e-5", grade=Grade.LOGIN)
    world.show(BOB, "account:a-1", source="old-app", name="e-6", grade=Grade.LOGIN)
    assert world.customer(ANN) == world.customer(BOB)
    foreseen = (await world.give("split", source="old-app", dry_run=True)).body
    assert foreseen["changes"] is True
    given = await world.give("split", source="old-app", id="case-1", wait=5)
    assert given.body["order"]["source"] == "old-app"
    assert given.body["words"][0] in {REPAIRING, REPAIRED}
    world.decide()
    assert world.customer(ANN) != world.customer(BOB)
    await world.undo("case-1", wait=5)
    world.decide()
    assert world.customer(ANN) == world.customer(BOB)


async def test_a_pair_has_so_many_orders_and_room_again_once_one_is_undone(world: World) -> None:
    for number in range(OPERATOR_ORDERS_PER_PAIR_MAX):
        assert (await world.give("forbid", ANN, BOB, id=f"o-{number}")).status == 202
        if number == OPERATOR_ORDERS_PER_PAIR_MAX // 2:
            world.decide()
    full = await world.give("require", BOB, ANN)
    assert (full.status, full.body["code"]) == (409, "too_many_orders")
    world.decide()
    assert (await world.give("require", BOB, ANN)).status == 409
    await world.undo("o-0", wait=5)
    assert (await world.give("require", BOB, ANN)).status == 202


async def test_orders_are_listed_newest_first_in_pages_and_by_identifier(world: World) -> None:
    for number in range(5):
        await world.give("forbid", ANN, f"crm@sap:10{number}", id=f"o-{number}")
    await world.give("split", source="old-app", id="o-5")
    world.decide()
    first = (await world.ask("GET", "/v1/orders?limit=4")).body
    assert [order["id"] for order in first["orders"]] == ["o-5", "o-4", "o-3", "o-2"]
    second = (await world.ask("GET", f"/v1/orders?limit=4&cursor={first['next']}")).body
    assert ([order["id"] for order in second["orders"]], second["next"]) == (["o-1", "o-0"], None)
    assert (await world.ask("GET", "/v1/orders?cursor=0")).body == {"orders": [], "next": None}
    assert len((await world.ask("GET", f"/v1/orders?cursor={'9' * 18}")).body["orders"]) == 6
    assert first["orders"][1]["identifiers"] == [asked(ANN), asked("crm@sap:104")]
    by_query = (await world.ask("GET", "/v1/orders?kind=crm&value=103&namespace=sap")).body
    assert [order["id"] for order in by_query["orders"]] == ["o-3"]
    question = {"identifier": {"kind": "email", "value": " Ann@Example.com "}, "limit": 3}
    by_body = (await world.ask("POST", "/v1/orders/search", question)).body
    assert [order["id"] for order in by_body["orders"]] == ["o-4", "o-3", "o-2"]
    further = (await world.ask("POST", "/v1/orders/search", question | {"cursor": by_body["next"]})).body
    assert [order["id"] for order in further["orders"]] == ["o-1", "o-0"]
    assert (await world.ask("GET", "/v1/orders?kind=crm&value=4711")).body == {"orders": [], "next": None}


async def test_without_an_answer_of_the_broker_nothing_is_promised_and_the_id_is_told(world: World) -> None:
    world.producer.failure = "timed out"
    lost = await world.give("require", ANN, BOB)
    assert (lost.status, lost.body["code"]) == (503, "not_delivered")
    assert "Retry-After" in lost.headers
    world.producer.failure = None
    again = await world.give("require", ANN, BOB, id=lost.body["id"])
    assert (again.status, again.body["order"]["id"]) == (202, lost.body["id"])


async def test_orders_that_come_together_are_written_one_after_the_other(world: World) -> None:
    replies = await asyncio.gather(*(world.give("forbid", ANN, BOB, id="case-1") for _ in range(20)))
    assert {reply.status for reply in replies} == {202}
    assert len(written(world)) == 1
    world.producer.open.clear()
    crowd = [asyncio.create_task(world.give("forbid", ANN, BOB, id=f"o-{number}")) for number in range(100)]
    done, _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert {task.result().body["code"] for task in done} == {"overloaded"}
    world.producer.open.set()
    codes = [(await task).status for task in crowd]
    assert codes.count(503) >= 100 - 64
    assert codes.count(202) >= OPERATOR_ORDERS_PER_PAIR_MAX - 1


async def test_a_duplicate_in_the_log_counts_once(world: World) -> None:
    await world.give("require", ANN, BOB, id="case-1")
    # The process was killed after the acknowledgement, and knows nothing of the order when it comes again.
    world.producer.records.append(world.producer.records[-1])
    world.decide()
    assert len((await world.ask("GET", "/v1/orders")).body["orders"]) == 1
    await world.undo("case-1", wait=5)
    assert world.customer(ANN) != world.customer(BOB)
    assert not [record for record in world.producer.records if record.topic.endswith(DeadCode.NOT_JSON)]


async def test_times_are_those_of_the_service(world: World) -> None:
    given = await world.give("require", ANN, BOB)
    assert written(world)[-1].time == NOW_US
    assert given.body["order"]["time"] == "2024-10-04T00:00:00Z"

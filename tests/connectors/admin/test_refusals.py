"""What the admin service refuses, and what it never tells: bad input, callers without a right, hidden kinds, logs."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import structlog

from connectors.admin.slow_work import SlowWork
from connectors.web.access import Role
from connectors.web.problems import ProblemError
from schemas.identity_policy import DEFAULT_POLICY, Grade, Kind, Policy
from schemas.messages import Order, decode_identity
from tests.connectors.admin.world import World, asked
from tests.connectors.web.keys import protected, token

EMAILS = [{"kind": "email", "value": "ann@example.com"}, {"kind": "email", "value": "bob@example.com"}]
GOOD: dict[str, Any] = {"order": "forbid", "identifiers": EMAILS, "reason": "r", "author": "a"}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names}


def pair(**second: Any) -> dict[str, Any]:
    return GOOD | {"identifiers": [EMAILS[0], second]}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().serving() as world:
        yield world


BAD_BODIES: list[tuple[Any, str, str | None]] = [
    (b"", "invalid_body", ""),
    (b"{", "invalid_body", ""),
    (b"[]", "invalid_body", ""),
    (b"\xff\xfe", "invalid_body", ""),
    (b'{"order": "forbid", "reason": "\xc3"}', "invalid_body", None),
    (b"[" * 60_000, "invalid_body", None),
    (without("order"), "invalid_body", ""),
    (GOOD | {"order": "merge"}, "invalid_body", "/order"),
    (GOOD | {"order": 1}, "invalid_body", "/order"),
    (GOOD | {"odrer": "forbid"}, "invalid_body", ""),
    (without("identifiers"), "invalid_body", "/identifiers"),
    (GOOD | {"identifiers": []}, "invalid_body", "/identifiers"),
    (GOOD | {"identifiers": EMAILS[:1]}, "invalid_body", "/identifiers"),
    (GOOD | {"identifiers": EMAILS * 2}, "invalid_body", "/identifiers"),
    (GOOD | {"identifiers": EMAILS, "source": "app"}, "invalid_body", "/source"),
    (without("identifiers") | {"order": "split"}, "invalid_body", ""),
    (GOOD | {"order": "split", "source": "app"}, "invalid_body", ""),
    (without("identifiers") | {"order": "split", "source": ""}, "invalid_body", "/source"),
    (without("identifiers") | {"order": "split", "source": "s" * 257}, "invalid_body", "/source"),
    (without("identifiers") | {"order": "split", "source": "a\nb"}, "invalid_body", "/source"),
    (pair(kind="email"), "invalid_body", "/identifiers/1"),
    (pair(kind="email", value=7), "invalid_body", "/identifiers/1/value"),
    (pair(kind="email", value="b@example.com", realm=""), "invalid_body", "/identifiers/1/realm"),
    (pair(kind="email", value="b@example.com", extra=1), "invalid_body", "/identifiers/1"),
    (pair(kind="email", value=" ANN@example.com "), "invalid_body", "/identifiers/1"),
    (pair(kind="email", value="b@example.com", realm="other"), "invalid_body", "/identifiers/1/realm"),
    (pair(kind="email", value="nobody"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="email", value="null"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="email", value="a" * 300 + "@example.com"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="session", value="s-1"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="ip", value="10.0.0.1"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="company", value="acme"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="national_id", value="123456782"), "unusable_identifier", "/identifiers/1"),
    (pair(kind="Not a kind", value="x"), "unusable_identifier", "/identifiers/1"),
    (without("reason"), "invalid_body", "/reason"),
    (GOOD | {"reason": "   "}, "invalid_body", "/reason"),
    (GOOD | {"reason": "two\nlines"}, "invalid_body", "/reason"),
    (GOOD | {"reason": "r" * 501}, "invalid_body", "/reason"),
    (without("author"), "invalid_body", "/author"),
    (GOOD | {"author": "\x1b[2J"}, "invalid_body", "/author"),
    (GOOD | {"author": "a" * 129}, "invalid_body", "/author"),
    (GOOD | {"id": "a/b"}, "invalid_body", "/id"),
    (GOOD | {"id": "a\n"}, "invalid_body", "/id"),
    (GOOD | {"id": ""}, "invalid_body", "/id"),
    (GOOD | {"id": "i" * 65}, "invalid_body", "/id"),
    (GOOD | {"dry_run": "yes"}, "invalid_body", "/dry_run"),
]


@pytest.mark.parametrize(("body", "code", "pointer"), BAD_BODIES)
async def test_a_bad_order_is_refused_with_a_pointer_and_nothing_is_written(
    world: World, body: Any, code: str, pointer: str | None
) -> None:
    reply = await world.ask("POST", "/v1/orders", body)
    assert (reply.status, reply.body["code"]) == (400, code), reply.body
    if pointer is not None:
        assert [error["pointer"] for error in reply.body["errors"]] == [pointer], reply.body
    assert world.producer.records == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/orders?limit=0", "/v1/orders?limit=201", "/v1/orders?limit=x", "/v1/orders?cursor=x",
        "/v1/orders?kind=email",
        "/v1/orders?value=a", "/v1/orders?realm=a", "/v1/orders?limit=1&limit=2", "/v1/orders?limt=1",
        "/v1/orders?kind=session&value=s-1", "/v1/orders?cursor=1234567890123456789", "/v1/suspects?sort=size",
        "/v1/suspects?limit=0", "/v1/policy?x=1", "/v1/orders/o-1?x=1",
    ],
)  # fmt: skip
async def test_a_bad_query_is_refused(world: World, path: str) -> None:
    reply = await world.ask("GET", path)
    assert reply.status == 400, (path, reply.body)
    assert reply.body["code"] in {"invalid_parameter", "unusable_identifier"}


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "soon", ""])
async def test_a_wait_is_bounded(world: World, wait: str) -> None:
    reply = await world.ask("POST", f"/v1/orders?wait={wait}", GOOD)
    assert (reply.status, reply.body["code"]) == (400, "invalid_parameter")


async def test_what_is_not_there_or_not_json_is_told(world: World) -> None:
    assert (await world.ask("GET", "/v1/orders/nobody-gave-it")).body["code"] == "no_such_order"
    assert (await world.ask("GET", "/v1/orders/%00")).status == 404
    assert (await world.ask("GET", "/v1/policy")).body["code"] == "no_policy_yet"
    assert (await world.ask("DELETE", "/v1/orders/o-1")).status == 405
    assert (await world.ask("POST", "/v1/orders", GOOD | {"reason": "r" * 70_000})).status == 413


async def test_before_it_has_caught_up_it_gives_and_tells_nothing(world: World) -> None:
    world.reasons = ("still reading",)
    for method, path, body in (
        ("POST", "/v1/orders", GOOD), ("GET", "/v1/orders", None), ("GET", "/v1/orders/o-1", None),
        ("POST", "/v1/orders/o-1/undo", {"reason": "r", "author": "a"}), ("GET", "/v1/suspects", None),
        ("GET", "/v1/policy", None), ("POST", "/v1/orders/search", {}),
    ):  # fmt: skip
        reply = await world.ask(method, path, body)
        assert (reply.status, reply.body["code"], reply.body["reasons"]) == (503, "catching_up", ["still reading"])
        assert "Retry-After" in reply.headers
    assert world.producer.records == []


async def test_only_tokens_of_the_role_give_orders_and_their_name_is_the_author() -> None:
    async with World().serving(protected(Role.ADMIN)) as world:
        assert (await world.ask("POST", "/v1/orders", GOOD)).status == 401
        for role in set(Role) - {Role.ADMIN}:
            for method, path in (("POST", "/v1/orders"), ("GET", "/v1/orders"), ("POST", "/v1/orders/o-1/undo")):
                assert (await world.ask(method, path, GOOD, token(role))).status == 403
        assert world.producer.records == []
        given = await world.ask("POST", "/v1/orders", without("author"), token(Role.ADMIN))
        assert (given.status, given.body["order"]["author"]) == (202, "admin")
        named = await world.ask("POST", "/v1/orders", GOOD | {"author": "J. Jansen"}, token(Role.ADMIN))
        assert named.body["order"]["author"] == "J. Jansen"


async def test_hidden_kinds_are_counted_and_never_shown() -> None:
    kinds = tuple(
        msgspec.structs.replace(kind, enabled=True) if kind.name == "national_id" else kind
        for kind in DEFAULT_POLICY.kinds
    )
    async with World(msgspec.structs.replace(DEFAULT_POLICY, kinds=kinds)).serving() as world:
        world.show("email:ann@example.com", "national_id:123456782", name="e-1", grade=Grade.RECORD, source="crm")
        world.show("email:bob@example.com", "cookie:c-1", name="e-2")
        foreseen = await world.give("require", "email:ann@example.com", "email:bob@example.com", dry_run=True)
        given = await world.give("require", "email:ann@example.com", "email:bob@example.com", wait=5)
        for reply in (foreseen, given, await world.ask("GET", "/v1/orders"), await world.ask("GET", "/v1/suspects")):
            assert "123456782" not in str(reply.body)
        after = foreseen.body["moves"]["after"][0]
        assert (after["identifiers"], len(after["members"])) == (4, 3)


async def test_the_log_says_who_gave_which_order_and_names_no_identifier(world: World) -> None:
    with structlog.testing.capture_logs() as logs:
        await world.give("forbid", "email:ann@example.com", "phone:+31201234567", id="case-1", wait=5)
        await world.ask("GET", "/v1/orders?kind=email&value=ann@example.com")
        await world.undo("case-1", id="undo-1")
        await world.ask("POST", "/v1/orders", pair(kind="email", value="carol@example.com") | {"order": "merge"})
    audit = [line for line in logs if line["event"] in {"order given", "order undone"}]
    assert [(line["order_id"], line["author"], line["key_name"]) for line in audit] == [
        ("case-1", "tester", "anyone")
    ] * 2
    assert [line["log_level"] for line in audit] == ["info"] * 2
    text = str(logs).lower()
    assert not [part for part in ("ann@", "201234567", "carol") if part in text]
    # What is written for the worker has them sealed.
    orders = [
        message
        for record in world.producer.records
        if isinstance(message := decode_identity(record.value or b""), Order)
    ]
    assert orders
    assert not [record for record in world.producer.records if b"ann@" in (record.value or b"")]


async def test_slow_work_runs_one_at_a_time_and_keeps_nobody_waiting_for_ever(world: World) -> None:
    world.show("email:ann@example.com", "cookie:c-1")
    begun, going_on, running = threading.Event(), threading.Event(), []

    def blocked(_is_wanted: object) -> None:
        running.append(threading.current_thread().name)
        begun.set()
        going_on.wait(30)

    occupied = [asyncio.create_task(world.work.dry_runs.run(blocked)) for _ in range(5)]
    assert await asyncio.to_thread(begun.wait, 30)
    busy = await world.give("split", "cookie:c-1", dry_run=True)
    assert (busy.status, busy.body["code"], "Retry-After" in busy.headers) == (503, "busy", True)
    # Orders and probes go on meanwhile.
    assert (await world.give("split", "cookie:c-1")).status == 202
    assert (await world.ask("GET", "/readyz")).status == 200
    assert len(running) == 1
    going_on.set()
    await asyncio.gather(*occupied)
    assert len(running) == 5
    assert (await world.give("split", "cookie:c-1", dry_run=True)).status == 200


async def test_slow_work_that_takes_too_long_is_given_up_and_told_so() -> None:
    work, told = SlowWork(deadline_s=0.1), threading.Event()

    def long(is_wanted: Any) -> None:
        deadline = time.monotonic() + 30
        while is_wanted() and time.monotonic() < deadline:
            time.sleep(0.01)
        told.set()

    with pytest.raises(ProblemError, match=r"within 0\.1 seconds"):
        await work.run(long)
    assert await asyncio.to_thread(told.wait, 10)
    assert await work.run(lambda _is_wanted: 7) == 7
    work.close()


async def test_an_error_of_slow_work_is_the_callers() -> None:
    def failing(_is_wanted: object) -> None:
        raise ValueError("no good")

    work = SlowWork()
    with pytest.raises(ValueError, match="no good"):
        await work.run(failing)
    work.close()


async def test_suspects_and_the_policy_in_force_are_told(world: World) -> None:
    for number in range(8):
        world.show(f"email:p-{number}@example.com", "cookie:kiosk", name=f"e-{number}")
    suspects = (await world.ask("GET", "/v1/suspects?sort=fan_out&limit=1")).body["suspects"]
    assert [one["identifier"] for one in suspects] == [asked("cookie:kiosk")]
    assert (suspects[0]["role"], suspects[0]["customers"]) == ("shared", 8)
    world.show("email:p-1@example.com", "cookie:own", name="e-9")
    (large,) = (await world.ask("GET", "/v1/large-customers?limit=3")).body["customers"]
    assert (large["home"], large["identifiers"], large["joined"]) == (asked("email:p-1@example.com"), 2, 1)
    assert large["kinds"] == {"email": 1, "cookie": 1}
    policy = (await world.ask("GET", "/v1/policy")).body
    assert msgspec.convert(policy["policy"], Policy) == world.policy
    assert [kind["name"] for kind in policy["policy"]["kinds"]][:3] == ["crm", "account", "email"]
    assert (policy["change"], policy["repair"]) == ("", None)
    assert Kind(**policy["policy"]["kinds"][0]).unique is True

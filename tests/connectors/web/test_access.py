"""Goal: nobody gets in without a fitting key, and nobody learns why. Method: a small service with every admission."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connectors.web import guard
from connectors.web.access import (
    ANY_ROLE,
    ANYONE,
    IN_HANDLER,
    OPEN,
    PRINCIPAL,
    Access,
    AccessKey,
    AccessRefused,
    Admission,
    Principal,
    Refusal,
    Role,
)
from connectors.web.guard import admit
from connectors.web.operations import Answer, Operation
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport, json_response
from schemas.clock import ManualClock
from schemas.credentials import digest_of
from schemas.errors import SettingError
from schemas.times import parse_time
from streams.metrics import Metrics
from tests.connectors.web.keys import EXPIRED, NOW, SHOP_KEY, UNKNOWN, basic, bearer, keys, protected, token
from tests.connectors.web.problem_shape import assert_problem
from tests.logged import logged_by


async def _who(request: web.Request) -> web.Response:
    return json_response({"name": request[PRINCIPAL].name, "source": request[PRINCIPAL].source})


async def _admits(request: web.Request) -> web.Response:
    admit(request, request.query.get("key"))
    return await _who(request)


def _operation(path: str, access: Admission | None) -> Operation:
    handler = _admits if access is IN_HANDLER else _who
    return Operation("GET", path, handler, path.strip("/"), path, {200: Answer("Who asks.")}, access=access)


OPERATIONS = (
    _operation("/own", None),
    _operation("/admin", frozenset({Role.ADMIN})),
    _operation("/either", frozenset({Role.ADMIN, Role.LOOKUP})),
    _operation("/any", ANY_ROLE),
    _operation("/open", OPEN),
    _operation("/handler", IN_HANDLER),
)


@dataclass
class Guarded:
    """The service, and a client for it."""

    client: aiohttp.ClientSession
    metrics: Metrics
    access: Access
    address: tuple[str, int]

    async def get(self, path: str, key: str | None = None, **headers: str) -> aiohttp.ClientResponse:
        """GET, with a key where one is given."""
        return await self.client.get(path, headers=headers | ({} if key is None else bearer(key)))

    def refused(self, reason: Refusal) -> float | None:
        """How many requests were refused for the reason."""
        labels = {"service": "sample", "reason": reason.value}
        return self.metrics.registry.get_sample_value("goldenthread_requests_refused_total", labels)


Start = Callable[..., Awaitable[Guarded]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def run(access: Access | None = None) -> Guarded:
            access, metrics = access or protected(Role.LOOKUP), Metrics("sample", "1")
            application = make_service(
                "sample",
                OPERATIONS,
                description="",
                metrics=metrics,
                version="1",
                ready=ReadyReport,
                access=access,
            )
            host, port = await stack.enter_async_context(listening(application, "127.0.0.1", 0))
            client = await stack.enter_async_context(aiohttp.ClientSession(f"http://{host}:{port}"))
            return Guarded(client, metrics, access, (host, port))

        yield run


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return logged_by(guard, monkeypatch)


async def test_the_role_of_the_service_opens_what_names_no_other(start: Start) -> None:
    service = await start()
    answer = await service.get("/own", token(Role.LOOKUP))
    assert await answer.json() == {"name": "lookup", "source": None}


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("/own", {Role.LOOKUP}),
        ("/admin", {Role.ADMIN}),
        ("/either", {Role.ADMIN, Role.LOOKUP}),
        ("/any", set(Role)),
        ("/handler", set()),
        ("/metrics", {Role.METRICS, Role.ADMIN}),
        ("/version", set(Role)),
        ("/openapi.json", set(Role)),
        ("/problems/forbidden", set(Role)),
    ],
)
async def test_an_operation_opens_to_its_roles_and_to_no_other(start: Start, path: str, roles: set[Role]) -> None:
    service = await start()
    for role in Role:
        answer = await service.get(path, token(role))
        if role in roles:
            assert answer.status == 200
        else:
            await assert_problem(answer, *((401, "unauthenticated") if path == "/handler" else (403, "forbidden")))


async def test_what_is_open_and_probes_need_no_key(start: Start) -> None:
    service = await start()
    for path in ("/open", "/livez", "/readyz"):
        assert (await service.get(path)).status == 200
    assert await (await service.get("/open", token(Role.LOOKUP))).json() == {"name": "nobody", "source": None}


async def test_a_handler_may_let_in_by_a_key_from_elsewhere(start: Start) -> None:
    service = await start()
    answer = await service.get(f"/handler?key={token(Role.LOOKUP)}")
    assert await answer.json() == {"name": "lookup", "source": None}
    await assert_problem(await service.get(f"/handler?key={UNKNOWN}"), 401, "unauthenticated")
    await assert_problem(await service.get(f"/handler?key={token(Role.COLLECT)}"), 403, "forbidden")


async def test_unknown_paths_and_methods_need_a_key(start: Start) -> None:
    service = await start()
    await assert_problem(await service.get("/nothing"), 401, "unauthenticated")
    await assert_problem(await service.client.post("/own"), 401, "unauthenticated")
    await assert_problem(await service.get("/nothing", token(Role.METRICS)), 404, "no_such_path")


async def test_head_needs_what_get_needs(start: Start) -> None:
    service = await start()
    assert (await service.client.head("/own")).status == 401
    assert (await service.client.head("/own", headers=bearer(token(Role.LOOKUP)))).status == 200
    assert (await service.client.head("/own", headers=bearer(token(Role.METRICS)))).status == 403


MALFORMED = {
    "no scheme": [token(Role.LOOKUP)],
    "another scheme": ["Digest " + token(Role.LOOKUP)],
    "empty": [""],
    "scheme alone": ["Bearer"],
    "empty key": ["Bearer "],
    "two words": ["Bearer " + token(Role.LOOKUP) + " x"],
    "two keys": ["Bearer " + token(Role.LOOKUP), "Bearer " + token(Role.LOOKUP)],
    "not ASCII": ["Bearer ünïcode-token-of-tests"],
    "colon": ["Bearer user:password-of-tests"],
    "long": ["Bearer " + "x" * 8000],
    "basic, not base64": ["Basic %%%"],
    "basic, not UTF-8": ["Basic " + base64.b64encode(b"\xff\xfe:").decode()],
    "basic without colon": ["Basic " + base64.b64encode(token(Role.LOOKUP).encode()).decode()],
    "basic without user": ["Basic " + base64.b64encode(b":").decode()],
}


async def test_every_wrong_key_gets_one_and_the_same_answer(start: Start, lines: list[Any]) -> None:
    service = await start()
    given = {"missing": [], "unknown": ["Bearer " + UNKNOWN], "expired": ["Bearer " + EXPIRED], **MALFORMED}
    bodies = set()
    for name, values in given.items():
        headers = [("Authorization", value) for value in values]
        answer = await service.client.get("/own", headers=[*headers, ("X-Request-Id", "r")])
        body = await assert_problem(answer, 401, "unauthenticated")
        bodies.add((str(body), answer.headers["WWW-Authenticate"]))
        reason = name if name in {"missing", "unknown", "expired"} else "malformed"
        assert lines[-1] | {"reason": reason} == lines[-1], name
    assert len(bodies) == 1
    assert [line["key_name"] for line in lines if line["key_name"]] == ["yesterday"]
    assert service.refused(Refusal.MALFORMED) == len(MALFORMED)
    assert "token-of-tests" not in str(lines)


async def test_a_key_longer_than_a_header_is_refused_before_all(start: Start) -> None:
    service = await start()
    answer = await service.get("/own", "x" * 100_000)
    assert answer.status in {400, 431}
    assert "name" not in (await answer.json())


async def test_collect_takes_the_key_as_a_user_name(start: Start) -> None:
    service = await start(protected(Role.COLLECT))
    answer = await service.client.get("/own", headers=basic(SHOP_KEY))
    assert await answer.json() == {"name": "shop-web", "source": "shop-web"}
    refused = await service.get("/own")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Basic" in refused.headers["WWW-Authenticate"]


async def test_others_take_no_user_name(start: Start) -> None:
    service = await start()
    answer = await service.client.get("/own", headers=basic(token(Role.LOOKUP)))
    await assert_problem(answer, 401, "unauthenticated")
    assert "Basic" not in answer.headers["WWW-Authenticate"]


async def test_without_a_key_for_its_role_a_service_is_open(start: Start) -> None:
    others = [key for key in keys() if Role.LOOKUP not in key.roles]
    service = await start(Access(others, role=Role.LOOKUP))
    for path in ("/own", "/admin", "/handler", "/metrics", "/open"):
        assert (await service.get(path)).status == 200
    assert await (await service.get("/own", UNKNOWN)).json() == {"name": ANYONE.name, "source": None}
    await assert_problem(await service.get("/nothing"), 404, "no_such_path")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"])
async def test_an_open_service_answers_under_loopback_names(start: Start, host: str) -> None:
    service = await start(Access(role=Role.LOOKUP))
    assert (await service.get("/own", Host=host)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.1", "[", "", "127.0.0.1.evil.example"]
)
async def test_an_open_service_refuses_names_that_lead_a_browser_here(start: Start, host: str) -> None:
    service = await start(Access(role=Role.LOOKUP))
    for path in ("/own", "/handler", "/metrics"):
        await assert_problem(await service.get(path, Host=host), 421, "wrong_host")
    assert (await service.get("/livez", Host=host)).status == 200
    assert service.refused(Refusal.WRONG_HOST) == 3


async def test_an_open_service_asks_no_name_server_for_its_own_name(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start(Access(role=Role.LOOKUP))
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("a name server was asked"))
    reader, writer = await asyncio.open_connection(*service.address)
    writer.write(b"GET /own HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.0 421 ")
    writer.close()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://[::1", ""])
async def test_an_open_service_takes_nothing_from_pages_of_other_machines(start: Start, origin: str) -> None:
    service = await start(Access(role=Role.LOOKUP))
    for path in ("/own", "/handler", "/metrics"):
        await assert_problem(await service.get(path, Origin=origin), 403, "wrong_origin")
    assert service.refused(Refusal.WRONG_ORIGIN) == 3


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "https://[::1]"])
async def test_an_open_service_takes_what_pages_of_this_machine_send(start: Start, origin: str) -> None:
    service = await start(Access(role=Role.LOOKUP))
    assert (await service.get("/own", Origin=origin)).status == 200


async def test_a_protected_service_takes_what_pages_with_a_key_send(start: Start) -> None:
    service = await start()
    assert (await service.get("/own", token(Role.LOOKUP), Origin="https://shop.example")).status == 200


async def test_a_protected_service_answers_under_every_name(start: Start) -> None:
    service = await start()
    assert (await service.get("/own", token(Role.LOOKUP), Host="goldenthread.example")).status == 200


async def test_a_key_that_asks_too_often_waits(start: Start) -> None:
    clock = ManualClock(parse_time(NOW))
    service = await start(protected(Role.LOOKUP, clock, requests_per_second=2))
    for _ in range(2):
        assert (await service.get("/own", token(Role.LOOKUP))).status == 200
    refused = await service.get("/own", token(Role.LOOKUP))
    await assert_problem(refused, 429, "rate_limited")
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Policy"] == '"key";q=2;w=1'
    assert refused.headers["RateLimit"] == '"key";r=0;t=1'
    assert (await service.get("/any", token(Role.ADMIN))).status == 200
    clock.advance(1)
    assert (await service.get("/own", token(Role.LOOKUP))).status == 200
    assert service.refused(Refusal.RATE_LIMITED) == 1


async def test_a_key_of_another_role_is_limited_too(start: Start) -> None:
    service = await start(protected(Role.LOOKUP, requests_per_second=1))
    statuses = [(await service.get("/own", token(Role.METRICS))).status for _ in range(3)]
    assert statuses == [403, 429, 429]


async def test_every_reason_is_counted_from_the_start(start: Start) -> None:
    service = await start()
    assert [service.refused(reason) for reason in Refusal] == [0] * len(Refusal)


async def test_the_description_says_what_each_operation_wants(start: Start) -> None:
    document = await (await (await start()).get("/openapi.json", token(Role.LOOKUP))).json()
    security = {path: item["get"]["security"] for path, item in document["paths"].items()}
    assert security["/own"] == security["/metrics"] == security["/version"] == [{"bearer": []}]
    assert security["/open"] == security["/livez"] == security["/readyz"] == []
    assert security["/handler"] == [{"bearer": []}, {}]
    assert document["components"]["securitySchemes"].keys() == {"bearer"}
    assert {"401", "403", "429"} <= document["paths"]["/own"]["get"]["responses"].keys()
    assert not {"401", "403", "429"} & document["paths"]["/open"]["get"]["responses"].keys()


async def test_keys_are_changed_while_it_runs(start: Start) -> None:
    service = await start()
    assert (await service.get("/own", UNKNOWN)).status == 401
    new = AccessKey(name="new", roles=frozenset({Role.LOOKUP}), digest=digest_of(UNKNOWN))
    service.access.replace([*keys(), new])
    assert (await service.get("/own", UNKNOWN)).status == 200
    assert (await service.get("/own", token(Role.LOOKUP))).status == 200
    service.access.replace([new])
    assert (await service.get("/own", token(Role.LOOKUP))).status == 401


def test_a_protected_service_is_never_opened_by_a_change() -> None:
    access = protected(Role.LOOKUP)
    for left in ([], [key for key in keys() if Role.LOOKUP not in key.roles]):
        with pytest.raises(SettingError, match="would let everybody in"):
            access.replace(left)
        assert access.enabled
        assert access.admit(token(Role.LOOKUP)) == Principal("lookup", frozenset({Role.LOOKUP}))


def test_an_expired_key_still_protects() -> None:
    expired = [key for key in keys() if key.name == "yesterday"]
    access = Access(expired, role=Role.LOOKUP, clock=ManualClock(parse_time(NOW)))
    assert access.enabled
    with pytest.raises(AccessRefused):
        access.admit(EXPIRED)


def test_a_key_of_our_own_processes_lets_in_and_protects_nothing() -> None:
    internal = AccessKey(name="up", roles=frozenset({Role.LOOKUP}), digest=digest_of("internal"), internal=True)
    assert not Access([internal], role=Role.LOOKUP).enabled
    access = Access([*keys(), internal], role=Role.LOOKUP)
    assert access.admit("internal").name == "up"


def test_the_same_key_twice_is_refused() -> None:
    twice = AccessKey(name="copy", roles=frozenset({Role.LOOKUP}), digest=digest_of(SHOP_KEY))
    with pytest.raises(SettingError, match=r"source 'shop-web' and token 'copy' hold the same key"):
        Access([*keys(), twice], role=Role.LOOKUP)


def test_a_key_expires_at_its_moment() -> None:
    clock = ManualClock(parse_time(NOW) - 1)
    access = protected(Role.LOOKUP, clock)
    assert access.admit(EXPIRED).name == "yesterday"
    clock.advance(1e-6)
    with pytest.raises(AccessRefused) as caught:
        access.admit(EXPIRED)
    assert caught.value.reason is Refusal.EXPIRED

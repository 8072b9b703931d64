"""Goal: no operation of any service answers with data without a fitting key. Method: ask every route there is.

What a service has is taken from its own routes, so an operation that is added is asked too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from connectors.admin.service import Admin, AdminOptions
from connectors.collect.broker_readiness import BrokerReadiness
from connectors.collect.delivery import Delivery
from connectors.collect.service import CollectOptions, CollectService, make_doors
from connectors.serve.service import Lookup, LookupOptions
from connectors.web.access import Access, Role
from connectors.web.guard import ADMISSIONS
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.clock import ManualClock
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.sources import Source, SourceRegistry
from schemas.times import parse_time
from schemas.topics import Catalogue
from state.join import JoinRules
from state.store import Store
from state.store_cache import shared_cache
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.recording_producer import RecordingProducer
from tests.connectors.collect.http_service import gate
from tests.connectors.web.keys import EXPIRED, NOW, SHOP_KEY, UNKNOWN, basic, bearer, protected, token

NOBODY_LISTENS: Final = KafkaOptions("127.0.0.1:1")
#: What everybody may ask: probes, and the form that asks for a key with what it is made of.
OPEN: Final = {
    "collect": {("GET", "/livez"), ("GET", "/readyz")},
    "lookup": {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/login"), ("POST", "/login"), ("POST", "/logout")},
    "admin": {("GET", "/livez"), ("GET", "/readyz")},
    "worker": {("GET", "/livez"), ("GET", "/readyz")},
}
STATIC: Final = "/static/"
ROLES: Final = {"collect": Role.COLLECT, "lookup": Role.LOOKUP, "admin": Role.ADMIN, "worker": Role.METRICS}
#: Headers that let nobody in, anywhere.
NO_KEY: Final[dict[str, list[str]]] = {
    "none": [],
    "unknown": [f"Bearer {UNKNOWN}"],
    "expired": [f"Bearer {EXPIRED}"],
    "empty": [""],
    "no key": ["Bearer "],
    "not base64": ["Basic %%%"],
    "unknown user": [basic(UNKNOWN)["Authorization"]],
    "not ASCII": ["Bearer ünïcode-token-of-tests"],
    "two": [f"Bearer {token(role)}" for role in (Role.LOOKUP, Role.COLLECT)],
}


class Scanned(NamedTuple):
    """A running service, and all that it can be asked."""

    name: str
    client: aiohttp.ClientSession
    routes: list[tuple[str, str]]


async def collect(access: Access, _folder: Path) -> web.Application:
    catalogue, producer, metrics = Catalogue(), RecordingProducer(Catalogue()), Metrics("collect", "1")
    readiness = BrokerReadiness(
        probe=lambda: None, find_topics=lambda: None, verify=lambda: None, verify_producer=producer.verify_usable
    )
    await readiness.look()
    delivery = Delivery(
        producer=producer, catalogue=catalogue, readiness=readiness, metrics=metrics, in_flight_bytes_max=1_000_000
    )
    doors = make_doors(
        gate(),
        delivery,
        clock=ManualClock(parse_time(NOW)),
        registry=SourceRegistry({"shop-web": Source(channel="web")}),
        mappings=None,
        batch_events_max=10,
    )
    options = CollectOptions()
    service = CollectService(
        doors=doors, producer=producer, readiness=readiness, metrics=metrics, options=options, access=access
    )
    return service.application("1")


async def lookup(access: Access, folder: Path) -> web.Application:
    keyring = Keyring(b"a secret of tests")
    options = LookupOptions(
        kafka=NOBODY_LISTENS,
        catalogue=Catalogue(),
        group_id="scan",
        data_dir=folder,
        rules=JoinRules(DEFAULT_POLICY),
        version="1",
        access=access,
    )
    cache = shared_cache(8 * 1024 * 1024)
    store = Store.open(options.store_path, secret_fingerprint=keyring.fingerprint, cache=cache)
    application = Lookup(options, keyring, Metrics("lookup", "1"), store, ManualClock(parse_time(NOW))).application()

    async def closing(_application: web.Application) -> AsyncIterator[None]:
        yield
        store.close()

    application.cleanup_ctx.insert(0, closing)
    return application


async def admin(access: Access, folder: Path) -> web.Application:
    keyring, catalogue = Keyring(b"a secret of tests"), Catalogue()
    options = AdminOptions(
        kafka=NOBODY_LISTENS, catalogue=catalogue, data_dir=folder, policy=DEFAULT_POLICY, version="1", access=access
    )
    cache = shared_cache(8 * 1024 * 1024)
    store = Store.open(options.store_path, secret_fingerprint=keyring.fingerprint, cache=cache)
    service = Admin(
        options,
        keyring,
        Metrics("admin", "1"),
        store=store,
        producer=RecordingProducer(catalogue),
        clock=ManualClock(parse_time(NOW)),
    )
    application = service.application()

    async def closing(_application: web.Application) -> AsyncIterator[None]:
        yield
        store.close()

    application.cleanup_ctx.insert(0, closing)
    return application


async def worker(access: Access, _folder: Path) -> web.Application:
    return make_service(
        "worker", (), description="", metrics=Metrics("worker", "1"), version="1", ready=ReadyReport, access=access
    )


SERVICES: Final[dict[str, Callable[[Access, Path], Awaitable[web.Application]]]] = {
    "collect": collect,
    "lookup": lookup,
    "admin": admin,
    "worker": worker,
}


@asynccontextmanager
async def scanned(name: str, folder: Path, access: Access | None = None) -> AsyncIterator[Scanned]:
    application = await SERVICES[name](access or protected(ROLES[name]), folder)
    routes = sorted(
        {
            (route.method, route.resource.canonical)
            for route in application.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    )
    assert len(routes) >= 6
    async with AsyncExitStack() as stack:
        host, port = await stack.enter_async_context(listening(application, "127.0.0.1", 0))
        client = await stack.enter_async_context(aiohttp.ClientSession(f"http://{host}:{port}"))
        # What is declared and what is routed are the same: nothing is reached past the table.
        assert set(routes) <= application[ADMISSIONS].keys()
        yield Scanned(name, client, routes)


def closed(service: Scanned) -> list[tuple[str, str]]:
    """The routes that need a key; browsers' first questions (OPTIONS) and static files do not."""
    return [
        (method, path)
        for method, path in service.routes
        if (method, path) not in OPEN[service.name] and method != "OPTIONS" and not path.startswith(STATIC)
    ]


async def ask(service: Scanned, method: str, path: str, headers: list[str] | dict[str, str]) -> tuple[int, str, str]:
    """Status, body, and where the answer leads to, of one request with these Authorization headers."""
    shown = list(headers.items()) if isinstance(headers, dict) else [("Authorization", value) for value in headers]
    given = CIMultiDict([*shown, ("Content-Type", "application/json")])
    for part in (
        "customer",
        "kind",
        "value",
        "code",
        "source",
        "name",
        "file",
        "id",
        "write_key",
        "order",
        "trait",
        "fragment",
    ):
        path = path.replace(f"{{{part}}}", "forbidden")
    assert "{" not in path
    body = b"{}" if method == "POST" else None
    async with service.client.request(method, path, headers=given, allow_redirects=False, data=body) as answer:
        # A stream never ends; that it began is enough.
        streams = answer.content_type == "text/event-stream"
        return answer.status, "" if streams else await answer.text(), answer.headers.get("Location", "")


def refused(status: int, body: str, location: str) -> bool:
    """A refusal has a status that says so and a problem as its body; a page leads to its form."""
    if status == 303:
        return location == "/login" and not body
    return status in {401, 403} and '"code":' in body and '"request_id":' in body


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_answers_without_a_good_key(name: str, tmp_path: Path) -> None:
    async with scanned(name, tmp_path) as service:
        answers = {
            (method, path, kind): await ask(service, method, path, headers)
            for method, path in closed(service)
            for kind, headers in NO_KEY.items()
        }
    assert not {asked: answer for asked, answer in answers.items() if not refused(*answer)}
    assert {answer[0] for answer in answers.values()} <= {401, 303}


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_answers_to_another_role(name: str, tmp_path: Path) -> None:
    others = {role: bearer(token(role)) for role in Role if role is not ROLES[name]}
    any_role = {"/version", "/openapi.json", "/problems/{code}"}
    let_in = {("/metrics", Role.ADMIN), ("/metrics", Role.METRICS)}
    async with scanned(name, tmp_path) as service:
        answers = {
            (method, path, role): await ask(service, method, path, headers)
            for method, path in closed(service)
            if path not in any_role
            for role, headers in others.items()
            if (path, role) not in let_in
        }
    assert answers
    assert not {asked: answer for asked, answer in answers.items() if not refused(*answer)}


async def test_a_write_key_opens_nothing_but_collect(tmp_path: Path) -> None:
    for name in ("lookup", "admin", "worker"):
        async with scanned(name, tmp_path) as service:
            for method, path in closed(service):
                if path in {"/version", "/openapi.json", "/problems/{code}"}:
                    continue
                for headers in (bearer(SHOP_KEY), basic(SHOP_KEY)):
                    answer = await ask(service, method, path, headers)
                    assert refused(*answer), (name, method, path, answer)


@pytest.mark.parametrize("name", SERVICES)
async def test_the_scan_would_see_an_open_service(name: str, tmp_path: Path) -> None:
    async with scanned(name, tmp_path, Access(role=ROLES[name])) as service:
        answers = [await ask(service, method, path, []) for method, path in closed(service)]
    assert not any(refused(*answer) for answer in answers)

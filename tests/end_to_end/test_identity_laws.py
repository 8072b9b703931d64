"""What is taken back leaves nothing behind: of two systems only one ever merged, and nobody can tell which.

The same events go to both. One links, splits, requires and undoes on the way; the other was told from the start what
holds at last. Compared are every lookup's status, headers, customer id and canonical bytes, at the lookup, at another
replica of it that reads the topics from their beginning, and on the topic of contexts.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from schemas.document import canonical_bytes
from schemas.messages import IdentityMessage
from schemas.orders import Verb
from schemas.topics import Catalogue, Topic
from streams.bulk import read_all
from streams.kafka import KafkaOptions
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.ordered import fragment_of, give, order, undo_of
from tests.running_system import NOBODY, RunningSystem, request
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

ANN: Final = ("account", "law-ann")
BOB: Final = ("account", "law-bob")
EVE: Final = ("email", "law-eve@example.com")
CID: Final = ("account", "law-cid")
DAN: Final = ("account", "law-dan")
EVES_LEGACY: Final = ("email", "law-eve@legacy.example")
#: All that any event of this file names.
NAMED: Final = (
    *(ANN, BOB, EVE, CID, DAN, EVES_LEGACY),
    *(("cookie", f"law-{who}-{number}") for who in ("ann", "bob", "cid", "dan") for number in range(3)),
    ("email", "law-ann@example.com"),
    ("email", "law-bob@example.com"),
    ("account", "law-eve"),
    ("cookie", "law-eve"),
)


def shown(name: str, number: int, *, source: str = "shop-web", **identifiers: str) -> dict[str, Any]:
    """A login by which somebody shows these identifiers together."""
    return {
        "specversion": "1.0",
        "id": f"law-{name}-{number}",
        "source": source,
        "type": "account.logged_in" if source == "shop-web" else "customer.updated",
        "time": f"2026-05-06T07:{number:02d}:00Z",
        "channel": "web" if source == "shop-web" else "billing",
        "data": {"identifiers": identifiers, "traits": {"first_name": name}, "summary": f"{name} was here"},
    }


def first_events() -> Iterator[dict[str, Any]]:
    """Four customers of an account and cookies; a fifth of an account, an address and a cookie."""
    for who in ("ann", "bob", "cid", "dan"):
        for number in range(3):
            yield shown(who, number, account=f"law-{who}", cookie=f"law-{who}-{number}")
    yield shown("ann", 4, account="law-ann", email="law-ann@example.com")
    yield shown("bob", 4, account="law-bob", email="law-bob@example.com")
    yield shown("eve", 4, account="law-eve", email="law-eve@example.com")
    yield shown("eve", 5, email="law-eve@example.com", cookie="law-eve")


#: Somebody logs in to Bob's account on Ann's, and one that a source withdraws later shows an old address of Eve's.
LINKS: Final = (
    {**shown("both", 10), "data": {"identifiers": {"account": [ANN[1], BOB[1]]}, "summary": "Somebody was here"}},
    shown("eve", 11, source="billing", account="law-eve", email="law-eve@legacy.example"),
)
LATER: Final = (
    shown("bob", 20, account="law-bob", cookie="law-bob-1"),
    shown("ann", 21, email="law-ann@example.com", cookie="law-ann-2"),
    shown("dan", 22, account="law-dan", cookie="law-dan-0"),
)


class Seen(NamedTuple):
    """All that a reader gets to see of an identifier's customer, but for how often it was published."""

    status: int
    match: str | None
    customer: str
    content: bytes


def look(url: str) -> dict[tuple[str, str], Seen]:
    """What a lookup says of everybody."""
    found = {}
    for kind, value in NAMED:
        body = json.dumps({"identifiers": [{"kind": kind, "value": value}]}).encode()
        answer = request("POST", f"{url}/v1/lookup", body)
        context = answer.json.get("context") or {}
        content = canonical_bytes(context) if context else b""
        found[kind, value] = Seen(
            answer.status, answer.headers["Goldenthread-Match"], context.get("customer", ""), content
        )
    return found


def published(system: RunningSystem) -> dict[str, bytes]:
    """The latest value of `context` of each customer that may be one of ours, for a reader of committed records."""
    catalogue = Catalogue(system.prefix)
    kafka = KafkaOptions(system.environment["KAFKA_BOOTSTRAP_SERVERS"])
    mine = {fragment_of(*one).encode(): fragment_of(*one) for one in NAMED}
    latest: dict[str, bytes | None] = {}
    for record in read_all(kafka, catalogue.name(Topic.CONTEXT), catalogue.partitions):
        if record.key in mine:
            latest[mine[record.key]] = record.value
    assert b'"settling":true' not in b"".join(value or b"" for value in latest.values())
    return {customer: canonical_bytes(value) for customer, value in latest.items() if value is not None}


@contextmanager
def another_replica(system: RunningSystem, folder: Path, port: int) -> Iterator[str]:
    """A lookup that begins with an empty disk; its address, once it has caught up."""
    settings = system.environment | {"GOLDENTHREAD_LOOKUP_PORT": str(port), "GOLDENTHREAD_DATA_DIR": str(folder)}
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*system.program, "lookup"], cwd=folder, env=settings, stderr=log, stdout=log)
    try:
        wait_until(lambda: _is_quiet(url), f"a replica that has caught up\n{folder}/log")
        yield url
    finally:
        process.terminate()
        process.wait(SYSTEM_DEADLINE_S)


def _is_quiet(url: str) -> bool:
    try:
        answer = request("POST", f"{url}/v1/lookup", json.dumps(NOBODY).encode())
    except OSError:
        return False
    return answer.status != 503 and answer.lag_seconds == 0


def send_each(systems: list[RunningSystem], *events: dict[str, Any]) -> None:
    for system in systems:
        system.send(*events)
    for system in systems:
        system.wait_quiet()


def test_a_link_that_is_split_and_an_order_that_is_undone_leave_no_trace(
    system: RunningSystem, make_system: SystemMaker, free_ports: FreePorts, tmp_path: Path
) -> None:
    told = make_system("told-from-the-start").start()
    from_the_start: list[IdentityMessage] = [
        order(Verb.FORBID, ANN, BOB), order(Verb.SPLIT, EVE), order(Verb.SPLIT, withdrawn_source="billing")
    ]  # fmt: skip
    give(told, *from_the_start)
    told.wait_quiet()
    both = [system, told]
    send_each(both, *first_events())
    before = look(system.lookup_url)
    # Here they merge.
    required = order(Verb.REQUIRE, CID, DAN)
    give(system, required)
    send_each(both, *LINKS)
    merged = look(system.lookup_url)
    assert merged[ANN].customer == merged[BOB].customer == merged["cookie", "law-bob-0"].customer
    assert merged[CID].customer == merged[DAN].customer
    assert merged[EVES_LEGACY].customer == merged[EVE].customer
    gone = {before[one].customer for one in (ANN, BOB, CID, DAN)} - {merged[one].customer for one in (ANN, CID)}
    assert len(gone) == 2
    for customer in gone:
        answer = request("GET", f"{system.lookup_url}/v1/customers/{customer}/context")
        assert (answer.status, published(system).get(customer)) == (308, None)
        assert answer.headers["Location"].split("/")[3] in (merged[ANN].customer, merged[CID].customer)
    send_each(both, *LATER)
    # And here it is all taken back.
    give(
        system, order(Verb.SPLIT, ANN, BOB), undo_of(required), order(Verb.SPLIT, EVE),
        order(Verb.SPLIT, withdrawn_source="billing"),
    )  # fmt: skip
    system.wait_quiet()
    expected = look(told.lookup_url)
    assert look(system.lookup_url) == expected
    assert len({expected[one].customer for one in (ANN, BOB, CID, DAN, ("account", "law-eve"))}) == 5
    assert expected[EVES_LEGACY].status == 404
    assert published(system) == published(told)
    for customer in gone:
        assert request("GET", f"{system.lookup_url}/v1/customers/{customer}/context").status == 200
    with another_replica(system, tmp_path, free_ports(1)[0]) as url:
        assert look(url) == expected

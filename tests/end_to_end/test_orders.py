"""Orders on a running system: over HTTP and on the command line, seen in the lookup; and an admin that is killed."""

import json
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, Final

import pytest

from schemas.document import UNSTABLE_FIELDS
from tests.running_system import Reply, RunningSystem, request
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka

ANN, BOB = "orders-ann@example.com", "orders-bob@example.com"
WAIT_SECONDS: Final = 20


def event(name: str, kind: str = "page.viewed", **data: Any) -> Mapping[str, Any]:
    return {
        "specversion": "1.0", "id": f"orders-{name}", "source": "shop-web", "type": kind, "channel": "web",
        "time": "2026-11-20T10:00:00Z", "data": data,
    }  # fmt: skip


def context(system: RunningSystem, email: str) -> dict[str, Any]:
    """What the lookup tells of whoever has the e-mail address."""
    system.wait_quiet()
    reply = system.lookup(("email", email))
    assert reply.status == 200, reply.body
    document: dict[str, Any] = reply.json["context"]
    return document


def stable(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in UNSTABLE_FIELDS}


def told(document: dict[str, Any]) -> dict[str, Any]:
    """All but how sure it is who somebody is."""
    return {name: value for name, value in stable(document).items() if name not in {"identity", "identifiers"}}


def give(system: RunningSystem, body: Mapping[str, Any], path: str = "", wait: int = WAIT_SECONDS) -> Reply:
    said = {"reason": "a test", "author": "tester"} | dict(body)
    return request("POST", f"{system.admin_url}/v1/orders{path}?wait={wait}", json.dumps(said).encode())


def pair(*emails: str) -> list[dict[str, str]]:
    return [{"kind": "email", "value": email} for email in emails]


def test_what_a_mistaken_login_joined_is_split_and_joined_again(system: RunningSystem) -> None:
    system.send(event("1", identifiers={"email": ANN, "cookie": "orders-c-1"}, traits={"first_name": "Ann"}))
    # Of two that are joined the one that was known first gives the id.
    ann = context(system, ANN)
    system.send(event("2", identifiers={"email": BOB, "cookie": "orders-c-2"}, traits={"first_name": "Bob"}))
    bob = context(system, BOB)
    assert ann["customer"] != bob["customer"]
    # Somebody logs in with both addresses: one customer, and the id of one of them leads to the other's.
    system.send(event("3", "account.logged_in", identifiers={"email": [ANN, BOB]}))
    joined = context(system, BOB)
    assert joined["customer"] == context(system, ANN)["customer"]
    old = bob["customer"]
    assert old != joined["customer"]
    moved = request("GET", f"{system.lookup_url}/v1/customers/{old}/context")
    assert (moved.status, moved.headers["Location"]) == (308, f"/v1/customers/{joined['customer']}/context")

    # The split, tried and given.
    foreseen = system.run("identity", "split", "email", ANN, "email", BOB, "--dry-run", "--json")
    assert foreseen.returncode == 0, foreseen.stderr
    moves = json.loads(foreseen.stdout)["moves"]
    assert (moves["customers_before"], moves["customers_after"]) == (1, 2)
    assert context(system, BOB) == joined
    given = give(system, {"order": "split", "identifiers": pair(ANN, BOB), "id": "orders-split"})
    assert given.status == 200, given.body
    assert given.json["moves"] == moves
    # Both are again who they were; the old id is alive, with all that it held, and leads nowhere else. That he was
    # logged in once is known still.
    revived = context(system, BOB)
    assert (revived["customer"], told(revived)) == (old, told(bob))
    assert (bob["identity"]["level"], revived["identity"]["level"]) == ("recognised", "identified")
    assert context(system, ANN)["interactions"]["count"] == 2
    assert request("GET", f"{system.lookup_url}/v1/customers/{old}/context").json["customer"] == old

    # The undo makes them one again.
    undone = system.run("identity", "undo", "orders-split", "--reason", "one person", "--author", "me", "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert stable(context(system, BOB)) == stable(joined)
    assert context(system, BOB)["customer"] == joined["customer"]
    listed = json.loads(system.run("identity", "orders", "email", BOB, "--json").stdout)["orders"]
    assert [(order["id"], order["standing"]) for order in listed] == [("orders-split", "undone")]
    assert listed[0]["undone"]["author"] == "me"
    late = give(system, {}, "/orders-split/undo")
    assert (late.status, late.json["code"]) == (409, "already_undone")


def test_an_order_whose_answer_was_lost_with_its_process_is_given_once(system: RunningSystem) -> None:
    identifiers = pair("orders-k1@example.com", "orders-k2@example.com")
    order = {"order": "forbid", "identifiers": identifiers, "id": "orders-kill"}
    lost: list[BaseException] = []

    def ask() -> None:
        try:
            give(system, order)
        except OSError as error:
            lost.append(error)

    log = system.data_dir / "logs" / "admin.log"
    worker = system.children()["worker"]
    # While the worker stands still the broker acknowledges, and the answer waits for what the order does.
    os.kill(worker, signal.SIGSTOP)
    try:
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: '"orders-kill"' in log.read_text(), "the acknowledged order")
        system.kill("admin")
        asking.join(30)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert lost, "the answer came before the end of the process"
    wait_until(lambda: _ready(system), "the admin to be back")
    again = give(system, order)
    assert (again.status, again.json["order"]["standing"]) == (200, "stands")
    body = json.dumps({"identifier": identifiers[0]}).encode()
    listed = request("POST", f"{system.admin_url}/v1/orders/search", body).json["orders"]
    assert [one["id"] for one in listed] == ["orders-kill"]


def test_without_a_terminal_nothing_is_done_unless_it_is_said_to_be(system: RunningSystem) -> None:
    command = ("identity", "forbid", "email", "orders-t1@example.com", "email", "orders-t2@example.com")
    shown = system.run(*command, "--reason", "r")
    assert shown.returncode == 1
    assert "This changes nothing now." in shown.stdout
    assert "--yes" in shown.stderr
    done = system.run(*command, "--reason", "r", "--yes", "--id", "orders-cli")
    assert (done.returncode, "Order orders-cli: stands." in done.stdout) == (0, True), done.stdout + done.stderr
    listed = system.run("identity", "orders", "email", "orders-t1@example.com")
    assert "orders-cli" in listed.stdout
    assert len([line for line in listed.stdout.splitlines() if "forbid" in line]) == 1
    refused = system.run(*command, "--reason", "other", "--yes", "--id", "orders-cli")
    assert (refused.returncode, "Id in use" in refused.stderr) == (1, True)
    assert system.run("identity", "suspects", "--sort", "fan_out").returncode == 0
    nowhere = system.run(*command, "--reason", "r", "--yes", GOLDENTHREAD_ADMIN_PORT="9")
    assert (nowhere.returncode, "admin service" in nowhere.stderr) == (2, True)


def _ready(system: RunningSystem) -> bool:
    try:
        return request("GET", f"{system.admin_url}/readyz").status == 200
    except OSError:
        return False

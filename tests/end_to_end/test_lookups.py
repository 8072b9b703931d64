"""Who asks for a customer, by whatever is known of it, and what the answer says of how sure and how fresh it is."""

import os
import signal
from typing import Any

import pytest

from tests.running_system import RunningSystem, is_running, request
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka


def event(
    number: int, *, source: str = "shop-web", type_: str = "page.viewed", channel: str = "web", **data: Any
) -> Any:
    """An event of the tests of lookups, a minute after the one before."""
    return {
        "specversion": "1.0",
        "id": f"lookups-{data['identifiers']}-{number}"[:200],
        "source": source,
        "type": type_,
        "time": f"2026-03-04T05:{number:02d}:00Z",
        "channel": channel,
        "data": data,
    }


def login(number: int, **identifiers: str) -> Any:
    """Somebody logs in: these identifiers belong together."""
    return event(number, type_="account.logged_in", identifiers=identifiers)


def typed(number: int, **identifiers: str) -> Any:
    """Somebody typed it into a form, which proves nothing."""
    return event(number, identifiers=identifiers)


def test_every_identifier_of_a_customer_leads_to_the_same_customer(system: RunningSystem) -> None:
    system.send(
        login(1, cookie="lk-cookie", account="lk-account"),
        event(2, source="crm", type_="customer.updated", channel="crm",
              identifiers={"crm": "lk-8812", "account": "lk-account", "email": "Lookups@Example.com"},
              traits={"first_name": "Ann"}),
        event(3, source="phone-desk", type_="call.identified", channel="voice",
              identifiers={"phone": "+31 6 1234 5670", "crm": "lk-8812"}, direction="in", summary="Asked for a refund"),
    )  # fmt: skip
    system.wait_quiet()
    known = {
        "crm": "lk-8812", "account": "lk-account", "email": "lookups@example.com", "phone": "+31612345670",
        "cookie": "lk-cookie",
    }  # fmt: skip
    answers = [system.lookup(pair) for pair in known.items()]
    assert [answer.status for answer in answers] == [200] * len(known)
    first = answers[0].json["context"]
    assert all(answer.json["context"] == first for answer in answers)
    assert first["identity"] == {"level": "identified", "strongest": "crm"}
    assert {one["kind"]: one["value"] for one in first["identifiers"]} == known
    assert first["traits"]["first_name"]["value"] == "Ann"
    assert first["interactions"]["count"] == 3
    assert first["last"]["in"]["summary"] == "Asked for a refund"
    for kind, value in {**known, "email": "%20LOOKUPS@example.com", "phone": "%2B31%206%20123-45-670"}.items():
        answer = request("GET", f"{system.lookup_url}/v1/identifiers/{kind}/{value}/context")
        assert (answer.status, answer.json) == (200, first), kind
        assert answer.headers["Goldenthread-Match"].split("; ")[::2] == [kind, "identified"]
        assert answer.headers["Cache-Control"] == "private, no-store"
    by_id = request("GET", f"{system.lookup_url}/v1/customers/{first['customer']}/context")
    assert by_id.json == first
    pages = f"{system.lookup_url}/v1/customers/{first['customer']}/interactions?limit=2"
    page = request("GET", pages).json
    rest = request("GET", f"{pages}&cursor={page['next']}").json
    shown = [one["type"] for one in page["interactions"] + rest["interactions"]]
    assert shown == ["call.identified", "customer.updated", "account.logged_in"]
    assert rest["next"] is None
    conflict = system.lookup(("email", "lookups@example.com"), ("cookie", "lk-nobody's"), ("ip", "10.0.0.1")).json
    assert conflict["conflicts"] == []
    assert conflict["unusable"] == ["/identifiers/2"]


def test_the_id_of_an_anonymous_visitor_leads_to_the_customer_it_became(system: RunningSystem) -> None:
    system.send(typed(1, cookie="mv-cookie"))
    system.wait_quiet()
    visitor = system.lookup(("cookie", "mv-cookie")).json["context"]
    assert visitor["identity"]["level"] == "anonymous"
    system.send(login(2, cookie="mv-cookie", account="mv-account"))
    system.wait_quiet()
    customer = system.lookup(("cookie", "mv-cookie")).json["context"]
    assert customer["identity"]["level"] == "identified"
    assert customer["customer"] != visitor["customer"]
    for leaf in ("context", "interactions?limit=1"):
        moved = request("GET", f"{system.lookup_url}/v1/customers/{visitor['customer']}/{leaf}")
        assert moved.status == 308
        assert moved.headers["Location"] == f"/v1/customers/{customer['customer']}/{leaf}"
        assert request("GET", system.lookup_url + moved.headers["Location"]).status == 200


def test_what_several_people_use_names_candidates_and_shows_nothing(system: RunningSystem) -> None:
    system.send(typed(1, cookie="kiosk"))
    system.wait_quiet()
    old_id = system.lookup(("cookie", "kiosk")).json["context"]["customer"]
    system.send(
        typed(2, cookie="kiosk", email="one@kiosk.example"), typed(3, cookie="kiosk", email="two@kiosk.example")
    )
    system.wait_quiet()
    customers = {system.lookup(("email", f"{who}@kiosk.example")).json["context"]["customer"] for who in ("one", "two")}
    assert len(customers) == 2
    shared = system.lookup(("cookie", "kiosk"))
    assert (shared.status, shared.json["code"]) == (409, "identifier_shared")
    assert set(shared.json["candidates"]) == customers
    assert b"kiosk" not in shared.body
    gone = request("GET", f"{system.lookup_url}/v1/customers/{old_id}/context")
    assert gone.status == 410
    assert b"kiosk" not in gone.body


def test_who_is_not_known_is_not_found(system: RunningSystem) -> None:
    system.wait_quiet()
    assert system.lookup(("email", "never-seen@example.com")).status == 404
    for customer in ("0" * 32, "no-id"):
        reply = request("GET", f"{system.lookup_url}/v1/customers/{customer}/context")
        assert (reply.status, reply.headers["Content-Type"]) == (404, "application/problem+json")
    assert request("GET", f"{system.lookup_url}/v1/identifiers/email/nobody/context?min_grad=login").status == 400


def test_an_etag_spares_a_copy_until_the_context_changes(system: RunningSystem) -> None:
    url = f"{system.lookup_url}/v1/identifiers/email/etag@example.com/context"
    system.send(typed(1, email="etag@example.com"))
    system.wait_quiet()
    first = request("GET", url)
    unchanged = request("GET", url, If_None_Match=first.headers["ETag"])
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.headers["ETag"] == first.headers["ETag"]
    system.send(typed(2, email="etag@example.com"))
    system.wait_quiet()
    changed = request("GET", url, If_None_Match=first.headers["ETag"])
    assert changed.status == 200
    assert changed.json["version"] > first.json["version"]


def test_a_claim_yields_only_its_own_where_a_login_is_asked_for(system: RunningSystem) -> None:
    system.send(
        login(1, account="mg-account", email="mg@example.com"),
        typed(2, cookie="mg-forger", email="mg@example.com"),
        typed(3, cookie="mg-forger"),
    )
    system.wait_quiet()
    whole = system.lookup(("cookie", "mg-forger"))
    assert whole.json["match"]["grade"] == "claimed"
    assert whole.json["context"]["interactions"]["count"] == 3
    alone = system.lookup(("cookie", "mg-forger"), min_grade="login")
    assert alone.json["context"]["interactions"]["count"] == 1
    assert not alone.json["context"].get("customer")
    assert b"mg@example.com" not in alone.body
    assert system.lookup(("email", "mg@example.com"), min_grade="login").json["context"] == whole.json["context"]


def test_every_service_describes_itself(system: RunningSystem) -> None:
    paths = {
        system.lookup_url: {
            "/v1/lookup",
            "/v1/customers/{customer}/context",
            "/v1/customers/{customer}/interactions",
            "/v1/identifiers/{kind}/{value}/context",
        },
        system.collect_url: {"/v1/events"},
        system.worker_url: set(),
    }
    for url, own in paths.items():
        described = request("GET", f"{url}/openapi.json").json
        assert described["openapi"].startswith("3.1")
        assert own | {"/livez", "/readyz", "/metrics", "/version"} <= described["paths"].keys()
        assert [request("GET", f"{url}/{probe}").status for probe in ("livez", "readyz", "version")] == [200] * 3
        assert system.metric(url, "goldenthread_build_info") == 1


@pytest.mark.crash
def test_the_lag_grows_while_the_worker_stands_still_and_is_0_when_nothing_waits(system: RunningSystem) -> None:
    system.wait_quiet()
    worker = system.children()["worker"]
    os.kill(worker, signal.SIGSTOP)
    try:
        system.send(typed(1, email="lag@example.com"))
        wait_until(lambda: (system.lookup(("email", "lag@example.com")).lag_seconds or 0) > 1, "a lag above 1 s")
        waiting = system.lookup(("email", "lag@example.com"))
        assert waiting.status == 404
        assert system.metric(system.lookup_url, "goldenthread_lag_seconds") > 0
    finally:
        os.kill(worker, signal.SIGCONT)
    system.wait_quiet()
    assert system.lookup(("email", "lag@example.com")).status == 200
    assert is_running(worker)
    assert system.children()["worker"] == worker

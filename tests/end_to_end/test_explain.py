"""Explanations of a running system: what the lookup, the command line and the page say agrees with what was decided."""

import json
from typing import Any

import pytest

from tests.running_system import RunningSystem, request

pytestmark = pytest.mark.kafka


def event(number: int, *, source: str, type_: str, channel: str, **data: Any) -> Any:
    """An event of these tests, a minute after the one before."""
    return {
        "specversion": "1.0", "id": f"explain-{number}", "source": source, "type": type_,
        "time": f"2026-03-07T05:{number:02d}:00Z", "channel": channel, "data": data,
    }  # fmt: skip


def typed(number: int, **identifiers: str) -> Any:
    """Somebody typed it into a form, which proves nothing."""
    return event(number, source="shop-web", type_="page.viewed", channel="web", identifiers=identifiers)


def explain(system: RunningSystem, *pair: tuple[str, str]) -> Any:
    """What the lookup says of two identifiers."""
    question = {"identifiers": [{"kind": kind, "value": value} for kind, value in pair]}
    answer = request("POST", f"{system.lookup_url}/v1/explain", json.dumps(question).encode())
    assert answer.status == 200, answer
    return answer.json


def test_who_is_who_and_why_on_a_running_system(system: RunningSystem) -> None:
    system.send(
        event(1, source="shop-web", type_="account.logged_in", channel="web",
              identifiers={"cookie": "ex-cookie", "account": "ex-account"}, traits={"first_name": "Anne"}),
        event(2, source="crm", type_="customer.updated", channel="crm",
              identifiers={"crm": "ex-8812", "account": "ex-account"}, traits={"first_name": "Ann"}),
        *(typed(10 + number, cookie="ex-kiosk", email=f"ex-{number}@example.com") for number in range(3)),
    )  # fmt: skip
    system.wait_quiet()

    # One customer: every link of the chain is an event that was sent.
    said = explain(system, ("cookie", "ex-cookie"), ("crm", "ex-8812"))
    context = system.lookup(("crm", "ex-8812")).json["context"]
    assert (said["verdict"], said["customer"], said["grade"]) == ("one", context["customer"], "login")
    assert [(step["one"]["value"], step["other"]["value"]) for step in said["chain"]] == [
        ("ex-cookie", "ex-account"), ("ex-account", "ex-8812"),
    ]  # fmt: skip
    assert [step["sights"][0]["event"] for step in said["chain"]] == ["explain-1", "explain-2"]
    assert said["chain"][1]["sights"][0]["first"] == "2026-03-07T05:02:00Z"

    # A kiosk: shared, and so it joins nobody.
    apart = explain(system, ("email", "ex-0@example.com"), ("email", "ex-1@example.com"))
    assert (apart["verdict"], {step["obstacle"]["reason"] for step in apart["chain"]}) == ("apart", {"shared"})
    kiosk = explain(system, ("cookie", "ex-kiosk"), ("cookie", "ex-kiosk"))
    candidates = {
        system.lookup(("email", f"ex-{number}@example.com")).json["context"]["customer"] for number in range(3)
    }
    assert (kiosk["verdict"], set(kiosk["shared"][0]["candidates"])) == ("shared", candidates)

    # A trait: the newest wins, and the other is told.
    customer = context["customer"]
    trait = request("GET", f"{system.lookup_url}/v1/customers/{customer}/traits/first_name/explain").json
    assert (trait["value"]["value"], trait["value"]["event"]) == ("Ann", "explain-2")
    assert "settling" not in trait
    assert [(loser["value"], loser["lost_by"]) for loser in trait["losers"]] == [("Anne", "time")]

    # The command line says the same in sentences.
    told = system.run("identity", "explain", "cookie", "ex-cookie", "crm", "ex-8812")
    assert told.returncode == 0
    assert said["because"] in told.stdout
    assert "explain-2" in told.stdout
    as_json = system.run("identity", "explain", "--customer", customer, "--json")
    assert json.loads(as_json.stdout)["identifiers"][0]["identifier"]["value"] == "ex-8812"
    of_trait = system.run("identity", "explain", "--customer", customer, "--trait", "first_name")
    assert trait["because"] in of_trait.stdout
    unknown = system.run("identity", "explain", "email", "ex-nobody@example.com", "crm", "ex-8812")
    assert (unknown.returncode, json.loads(unknown.stdout)["code"]) == (1, "not_known")

    # So does the page.
    page = request("GET", f"{system.lookup_url}/customers/{customer}/why")
    assert page.status == 200


def test_an_order_of_a_record_stands_between_two_and_is_told(system: RunningSystem) -> None:
    system.send(
        event(30, source="shop-web", type_="account.logged_in", channel="web",
              identifiers={"account": "ex-one", "email": "ex-mail@example.com"}),
        event(31, source="crm", type_="identity.removed", channel="crm",
              identifiers={"account": "ex-one"}, other={"email": "ex-mail@example.com"}),
    )  # fmt: skip
    system.wait_quiet()
    said = explain(system, ("account", "ex-one"), ("email", "ex-mail@example.com"))
    (step,) = said["chain"]
    assert (said["verdict"], step["obstacle"]["reason"]) == ("apart", "forbidden")
    (order,) = step["obstacle"]["orders"]
    assert (order["verb"], order["by"], order["source"], order["id"]) == ("forbid", "record", "crm", "explain-31")
    assert step["sights"][0]["event"] == "explain-30"

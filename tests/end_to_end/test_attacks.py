"""Two attacks on a running system, asked for through its lookup: a kiosk that hundreds use, and a forged form."""

from typing import Any

import pytest

from tests.running_system import RunningSystem

pytestmark = pytest.mark.kafka

VISITORS = 500
_BATCH_EVENTS = 250


def event(number: int, name: str, *, source: str = "shop-web", type_: str = "form.sent", **data: Any) -> Any:
    return {
        "specversion": "1.0",
        "id": f"attack-{name}-{number}",
        "source": source,
        "type": type_,
        "time": f"2026-03-05T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "channel": {"crm": "crm"}.get(source, "web"),
        "data": data,
    }


def names_shown(system: RunningSystem, kind: str, value: str, grade: str) -> tuple[int, str | None]:
    """The status, and the first name in the answer."""
    answer = system.lookup((kind, value), min_grade=grade)
    traits = answer.json.get("context", {}).get("traits", {})
    return answer.status, traits.get("first_name", {}).get("value")


def test_a_kiosks_cookie_shows_nobody_another_ones_name(system: RunningSystem) -> None:
    visits = [
        event(
            number,
            "kiosk",
            identifiers={"cookie": "attacked-kiosk", "email": f"visitor{number}@attack.example"},
            traits={"first_name": f"Visitor {number}"},
        )
        for number in range(VISITORS)
    ]
    system.send(visits[0])
    system.wait_quiet()
    assert names_shown(system, "cookie", "attacked-kiosk", "login") == (404, None)
    for batch in (visits[1:2], visits[2:_BATCH_EVENTS], visits[_BATCH_EVENTS:]):
        system.send(*batch)
        system.wait_quiet()
        for grade in ("claimed", "login"):
            refused = system.lookup(("cookie", "attacked-kiosk"), min_grade=grade)
            assert refused.status == 409
            assert b"Visitor" not in refused.body
            assert b"@attack.example" not in refused.body
    for number in (0, 1, 2, 77, VISITORS - 1):
        for grade in ("claimed", "login"):
            address = f"visitor{number}@attack.example"
            assert names_shown(system, "email", address, grade) == (200, f"Visitor {number}")


def test_a_forgers_browser_shows_nothing_of_the_victim_by_login(system: RunningSystem) -> None:
    victim = {"crm": "attack-7", "email": "victim@attack.example"}
    system.send(
        event(1, "forged", source="crm", type_="customer.created", identifiers=victim,
              traits={"first_name": "Ann", "city": "Gent"}),
        event(2, "forged", type_="account.logged_in",
              identifiers={"account": "attack-mallory", "cookie": "attack-own"}),
        event(3, "forged", identifiers={"cookie": "attack-own", "email": victim["email"]}, traits={"nickname": "Mal"}),
        event(4, "forged", identifiers={"cookie": "attack-other", "email": victim["email"]}),
        event(5, "forged", identifiers={"cookie": ["attack-other", "attack-renewed"]}),
        event(6, "forged", identifiers={"cookie": "attack-renewed", "device": "0d3c9f52-1a44-4d0c-8f7e-5b7c0a9e4d99"}),
    )  # fmt: skip
    system.wait_quiet()
    customer = system.lookup(("crm", "attack-7")).json["context"]["customer"]
    forgers = {"cookie": ("attack-own", "attack-other", "attack-renewed"), "account": ("attack-mallory",)}
    for kind, values in forgers.items():
        for value in values:
            answer = system.lookup((kind, value), min_grade="login")
            for secret in (customer, "Ann", "Gent", victim["email"], victim["crm"]):
                assert secret.encode() not in answer.body, (kind, value, secret)
    joined = system.lookup(("account", "attack-mallory")).json["context"]
    assert joined["customer"] != customer
    assert names_shown(system, "email", victim["email"], "login") == (200, "Ann")
    # Asked without a least grade, it says that the way there is a claim.
    claimed = system.lookup(("cookie", "attack-other"))
    assert (claimed.json["context"]["customer"], claimed.json["match"]["grade"]) == (customer, "claimed")

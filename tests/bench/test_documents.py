"""The oracle's documents, against documents written by hand."""

from typing import Any

import pytest

from bench.oracle import Expectation, expect
from bench.oracle.expectation import ExpectedHome

SOURCES: dict[str, dict[str, Any]] = {
    "shop-web": {"channel": "web", "rank": 10, "grades": {"account.logged_in": "login"}},
    "crm": {"channel": "crm", "rank": 100, "grades": {"*": "record"}},
}
EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "shop-web",
    "type": "page.viewed",
    "time": "2026-11-22T10:00:00Z",
    "channel": "web",
    "data": {
        "identifiers": {"cookie": "c-77", "email": "Ann@Example.com"},
        "traits": {"first_name": "Ann"},
        "summary": "Viewed running shoes",
        "direction": "in",
        "session": "s-9",
        "refs": [{"kind": "order", "id": "o-12", "status": "paid"}],
        "permissions": {"email": {"marketing": True}},
        "groups": {"company": "acme"},
        "url": "https://shop.example/p/123",
    },
}
AT = "2026-11-22T10:00:00Z"
TALLY = {"interactions": 1, "first": AT, "last": AT}


def event(number: str, source: str, identifiers: dict[str, Any], at: str = AT, **data: Any) -> dict[str, Any]:
    kind = data.pop("type", "something.happened")
    fields = {"id": number, "source": source, "type": kind, "time": at, "channel": "web", "specversion": "1.0"}
    return fields | {"data": {"identifiers": identifiers} | data}


def home_of(expectation: Expectation, name: str) -> ExpectedHome:
    return next(customer.homes[name] for customer in expectation.customers if name in customer.homes)


def document_of(name: str, *events: dict[str, Any]) -> dict[str, Any]:
    return home_of(expect(events, SOURCES), name).document


def test_the_example_of_the_contract() -> None:
    expectation = expect([EXAMPLE], SOURCES)
    home = home_of(expectation, "email:ann@example.com")
    assert home.level == "recognised"
    assert home.grades == {"cookie:c-77": "claimed", "email:ann@example.com": "claimed"}
    assert home.document == {
        "realm": "default",
        "identity": {"level": "recognised", "strongest": "email"},
        "identifiers": [
            {
                "kind": "email",
                "value": "ann@example.com",
                "grade": "claimed",
                "role": "home",
                "first": AT,
                "last": AT,
                "status": "current",
            },
            {
                "kind": "cookie",
                "value": "c-77",
                "grade": "claimed",
                "role": "attached",
                "first": AT,
                # It routed no event, so its last sight is the 30-day bucket of the evidence, not before the first.
                "last": AT,
                "status": "current",
            },
        ],
        "traits": {"first_name": {"value": "Ann", "time": AT, "source": "shop-web", "event": "e-1"}},
        "permissions": {"email": {"marketing": {"value": True, "time": AT, "source": "shop-web", "event": "e-1"}}},
        "channels": {"web": TALLY},
        "types": {"page.viewed": TALLY},
        "days": {"2026-11-22": {"web": 1}},
        "refs": [{"kind": "order", "id": "o-12", "status": "paid", "type": "page.viewed", "time": AT}],
        "groups": {"company": ["acme"]},
        "last": {"in": {"time": AT, "channel": "web", "summary": "Viewed running shoes"}, "out": None},
        "interactions": {
            "count": 1,
            "first": AT,
            "last": AT,
            "recent": [
                {
                    "id": "e-1",
                    "source": "shop-web",
                    "type": "page.viewed",
                    "time": AT,
                    "channel": "web",
                    "summary": "Viewed running shoes",
                    "direction": "in",
                }
            ],
        },
    }


def test_copies_count_once_in_any_order() -> None:
    other = event("e-2", "shop-web", {"email": "ann@example.com"})
    assert expect([EXAMPLE, other, EXAMPLE], SOURCES) == expect([other, EXAMPLE], SOURCES)


def test_copies_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="two contents"):
        expect([EXAMPLE, EXAMPLE | {"type": "other"}], SOURCES)


def test_of_registers_of_one_time_the_higher_rank_wins() -> None:
    shop = event("2", "shop-web", {"crm": "1"}, traits={"city": "Delft"})
    crm = event("1", "crm", {"crm": "1"}, traits={"city": "Gent"})
    assert document_of("crm:1", shop, crm)["traits"]["city"]["value"] == "Gent"


def test_null_withdraws_and_what_was_withdrawn_stays_away() -> None:
    said = event("1", "crm", {"crm": "1"}, "2026-11-22T10:00:00Z", traits={"city": "Gent"})
    withdrawn = event("2", "crm", {"crm": "1"}, "2026-11-22T11:00:00Z", traits={"city": None})
    assert document_of("crm:1", withdrawn, said)["traits"] == {}


def test_a_trusted_trait_keeps_the_better_grade_and_shows_the_newer_claim() -> None:
    kept, claimed = "+31612345678", "+32 475 12 34 56"
    record = event("1", "crm", {"email": "a@b.example"}, "2026-11-22T10:00:00Z", traits={"phone": kept})
    claim = event("2", "shop-web", {"email": "a@b.example"}, "2026-11-22T11:00:00Z", traits={"phone": claimed})
    shown = document_of("email:a@b.example", record, claim)["traits"]
    # A claimed number changes the region as little as the number.
    for name, value, newer in (("phone", kept, "+32475123456"), ("phone_region", "NL", "BE")):
        assert shown[name] == {
            "value": value,
            "time": "2026-11-22T10:00:00Z",
            "source": "crm",
            "event": "1",
            "grade": "record",
            "newer_claim": {
                "value": newer,
                "time": "2026-11-22T11:00:00Z",
                "source": "shop-web",
                "event": "2",
                "grade": "claimed",
            },
        }


def test_an_attached_member_adds_counts_and_fills_only_what_nobody_else_says() -> None:
    document = document_of(
        "email:a@b.example",
        event("1", "shop-web", {"cookie": "c", "email": "a@b.example"}, traits={"city": "Gent"}),
        event(
            "2",
            "shop-web",
            {"cookie": "c"},
            "2026-11-22T12:00:00Z",
            traits={"city": "Lille", "browser": "w3m"},
            refs=[{"kind": "page", "id": "7"}],
            direction="in",
        ),
    )
    assert document["traits"]["city"]["value"] == "Gent"
    assert document["traits"]["browser"]["via"] == "cookie"
    assert document["refs"] == [
        {"kind": "page", "id": "7", "type": "something.happened", "time": "2026-11-22T12:00:00Z", "via": "cookie"}
    ]
    assert document["interactions"]["count"] == 2
    assert [one.get("via") for one in document["interactions"]["recent"]] == ["cookie", None]
    assert document["last"]["in"] == {
        "time": "2026-11-22T12:00:00Z",
        "channel": "web",
        "summary": "",
        "via": "cookie",
    }


def test_only_the_newest_days_groups_and_references_are_shown() -> None:
    events = [
        event(
            f"{n:02d}",
            "shop-web",
            {"phone": "+31612345678"},
            f"2026-{10 + n // 28}-{n % 28 + 1:02d}T10:00:00Z",
            groups={"list": f"l-{n:02d}"},
            refs=[{"kind": "order", "id": f"o-{n:02d}"}],
        )
        for n in range(40)
    ]
    document = document_of("phone:+31612345678", *events)
    assert (len(document["days"]), min(document["days"])) == (32, "2026-10-09")
    assert document["groups"] == {"list": [f"l-{n}" for n in range(24, 40)]}
    assert [ref["id"] for ref in document["refs"]] == [f"o-{n}" for n in range(39, 19, -1)]


def test_levels() -> None:
    cookie = event("1", "shop-web", {"cookie": "c"})
    login = event("2", "shop-web", {"account": "n", "cookie": "d"}, type="account.logged_in")
    claimed_account = event("3", "shop-web", {"account": "m"})
    phone = event("4", "shop-web", {"phone": "+31 6 1234 5678"})
    expectation = expect([cookie, login, claimed_account, phone], SOURCES)
    levels = {name: home.level for customer in expectation.customers for name, home in customer.homes.items()}
    assert levels == {
        "cookie:c": "anonymous",
        "account:n": "identified",
        "account:m": "recognised",
        "phone:+31612345678": "recognised",
    }


def test_the_grade_of_a_member_is_the_weakest_link_on_its_best_path() -> None:
    login = event("1", "shop-web", {"account": "n", "cookie": "old"}, type="account.logged_in")
    renewed = event("2", "shop-web", {"cookie": ["old", "new"]})
    grades = home_of(expect([login, renewed], SOURCES), "account:n").grades
    assert grades == {"account:n": "login", "cookie:old": "login", "cookie:new": "claimed"}


def test_a_long_summary_is_cut_and_only_the_newest_ten_are_recent() -> None:
    events = [
        event(str(n), "shop-web", {"phone": "+31612345678"}, f"2026-11-22T10:00:{n:02d}Z", summary="x" * 300)
        for n in range(12)
    ]
    interactions = document_of("phone:+31612345678", *events)["interactions"]
    assert interactions["count"] == 12
    assert [one["id"] for one in interactions["recent"]] == [str(n) for n in range(11, 1, -1)]
    assert interactions["recent"][0]["summary"] == "x" * 279 + "…"


def test_an_event_that_links_nothing_leaves_no_trace_of_its_other_identifiers() -> None:
    expectation = expect([event("1", "shop-web", {"cookie": "c", "email": "a@b.example"}, link=False)], SOURCES)
    assert [customer.members for customer in expectation.customers] == [[["email", "a@b.example"]]]


def test_a_customer_without_events_has_no_context_and_a_shared_identifier_no_customer() -> None:
    expectation = expect(
        [
            event("1", "crm", {"crm": "1", "phone": "+31612345678"}),
            event("2", "crm", {"crm": "2", "phone": "+31612345678", "account": "n"}, type="x"),
            event("3", "shop-web", {"email": ["a@b.example"], "meter": "m"}),
            event("4", "shop-web", {"email": "c@d.example", "meter": "m", "device": "d1"}),
            event("5", "crm", {"crm": "3", "email": "e@f.example"}),
            event("6", "crm", {"crm": "4", "email": "e@f.example", "loyalty": "7"}),
            event("7", "crm", {"crm": "5", "loyalty": "7"}),
        ],
        SOURCES,
    )
    assert [(one.kind, one.value) for one in expectation.shared] == [
        ("email", "e@f.example"),
        ("loyalty", "7"),
        ("meter", "m"),
        ("phone", "+31612345678"),
    ]
    names = {
        tuple(f"{kind}:{value}" for kind, value in customer.members): sorted(customer.homes)
        for customer in expectation.customers
    }
    assert names["account:n", "crm:2"] == ["crm:2"]
    shared_phone = expectation.shared[-1]
    candidates = {expectation.customers[place].members[-1][1] for place in shared_phone.candidates}
    assert candidates == {"1", "2"}


def test_the_expectation_survives_json() -> None:
    expectation = expect([EXAMPLE], SOURCES)
    assert Expectation.from_json(expectation.to_json()) == expectation

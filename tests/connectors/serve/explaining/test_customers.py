"""What a customer is made of, and why its traits are as they are, over HTTP."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from schemas.identity_policy import Grade
from schemas.rows import encode_row, record_key
from schemas.times import format_time
from schemas.topics import Topic
from state.context.rows import RECORDS
from tests.connectors.serve.explaining.identified import DESK_KEY, Identified, served
from tests.connectors.serve.support import NOW_US
from tests.state.identity.driving import fragment

ANN = "email:ann@example.com"


@pytest.fixture
async def lookup() -> AsyncIterator[Identified]:
    async with served() as made:
        yield made


async def test_a_customer_says_what_it_is_made_of_and_what_it_does_not_have(lookup: Identified) -> None:
    lookup.show("crm:1", ANN, grade=Grade.LOGIN)
    lookup.show(ANN, "cookie:c-1")
    lookup.show("crm:1", "account:bob", grade=Grade.LOGIN)
    lookup.order("forbid", "account:bob", "crm:1", name="o-1")
    for number in range(9):
        lookup.show(f"account:{number}", "cookie:kiosk", grade=Grade.LOGIN)
    lookup.show("crm:1", "cookie:kiosk", grade=Grade.LOGIN)
    lookup.copy.fold_alone("email", "ann@example.com")
    lookup.settle()
    customer = lookup.customer(ANN)
    said = await lookup.get(f"/v1/customers/{customer}/explain")
    roles = {one["identifier"]["value"]: one["identifier"]["role"] for one in said["identifiers"]}
    assert roles == {"1": "home", "ann@example.com": "joined", "c-1": "attached"}
    by_value = {one["identifier"]["value"]: one for one in said["identifiers"]}
    assert by_value["ann@example.com"]["link"]["other"]["value"] == "1"
    assert (by_value["ann@example.com"]["events"], by_value["c-1"]["events"]) == (1, 0)
    (veto,) = said["vetoes"]
    assert (veto["one"]["value"], veto["other"]) == (
        "1", {"kind": "account", "role": "home", "customer": fragment("account:bob")},
    )  # fmt: skip
    assert veto["obstacle"]["reason"] == "forbidden"
    assert [order["id"] for order in veto["obstacle"]["orders"]] == ["o-1"]
    (sharing,) = said["shared"]
    assert (sharing["identifier"]["value"], sharing["by"]) == ("kiosk", "customers")
    (order,) = said["orders"]
    assert [named.get("value") for named in order["identifiers"]] == ["1", None]
    assert "bob" not in str(said)
    assert said["because"] == ("3 identifiers, 1 link that joins nothing, 1 shared neighbour and 1 standing order.")


async def test_an_identifier_was_seen_last_by_the_newest_of_its_events(lookup: Identified) -> None:
    lookup.show("crm:1", ANN, "cookie:c-1", grade=Grade.LOGIN)
    lookup.copy.fold_alone("email", "ann@example.com")
    lookup.settle()
    said = await lookup.get(f"/v1/customers/{lookup.customer(ANN)}/explain")
    first = lookup.engine.row(fragment(ANN)).first
    assert first is not None
    seen = {one["identifier"]["value"]: (one["first"], one["last"]) for one in said["identifiers"]}
    # By identity the last sight is known to its bucket alone, and the start of that lies before the first.
    assert seen["ann@example.com"] == (format_time(first), format_time(NOW_US))
    assert seen["1"] == seen["c-1"] == (format_time(first), format_time(first))


async def test_ids_that_were_published_and_lead_here_are_told(lookup: Identified) -> None:
    lookup.show("cookie:c-1", ANN)
    name = lookup.copy.fold_alone("cookie", "c-1")
    record = RECORDS.decode(lookup.copy.rows.rows[b"r/" + name.encode()])
    record.version = 3
    lookup.copy.put(lookup.copy.record(Topic.STATE, record_key(name), encode_row(record)))
    lookup.settle()
    said = await lookup.get(f"/v1/customers/{lookup.customer(ANN)}/explain")
    assert said["former"] == [{"customer": fragment("cookie:c-1"), "kind": "cookie"}]


async def test_a_customer_that_identity_never_met_is_its_own(lookup: Identified) -> None:
    customer = lookup.copy.fold_alone("email", "alone@example.com", city="Delft")
    lookup.copy.context(customer)
    said = await lookup.get(f"/v1/customers/{customer}/explain")
    (member,) = said["identifiers"]
    assert (member["identifier"]["value"], member["identifier"]["role"], member["events"]) == (
        "alone@example.com",
        "home",
        1,
    )
    trait = await lookup.get(f"/v1/customers/{customer}/traits/city/explain")
    assert (trait["value"]["value"], trait["value"]["identifier"]["value"]) == ("Delft", "alone@example.com")


async def test_statuses_are_those_of_a_context(lookup: Identified) -> None:
    lookup.show("cookie:c-1", ANN)
    for number in range(9):
        lookup.show(f"account:{number}", "cookie:kiosk", grade=Grade.LOGIN)
    lookup.settle()
    cookie, kiosk = fragment("cookie:c-1"), fragment("cookie:kiosk")
    for leaf in ("explain", "traits/a%2Fb/explain"):
        moved = await lookup.raw("GET", f"/v1/customers/{cookie}/{leaf}")
        assert (moved.status, moved.headers["Location"]) == (308, f"/v1/customers/{fragment(ANN)}/{leaf}")
        assert (await lookup.get(f"/v1/customers/{kiosk}/{leaf}", 410))["code"] == "became_shared"
        assert (await lookup.get(f"/v1/customers/{'0' * 32}/{leaf}", 404))["code"] == "not_known"
        lookup.reasons.append("still reading")
        assert (await lookup.get(f"/v1/customers/{cookie}/{leaf}", 503))["code"] == "catching_up"
        lookup.reasons.clear()
    assert (await lookup.get(f"/v1/customers/{fragment(ANN)}/traits/unsaid/explain", 404))["code"] == "not_known"
    assert (await lookup.get(f"/v1/customers/{fragment(ANN)}/explain?x=1", 400))["code"] == "invalid_parameter"


async def test_what_the_client_has_is_not_sent_again(lookup: Identified) -> None:
    lookup.show("cookie:c-1", ANN)
    lookup.settle()
    path = f"/v1/customers/{fragment(ANN)}/explain"
    first = await lookup.raw("GET", path)
    again = await lookup.raw("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status) == (200, 304)


@pytest.mark.parametrize("name", ["city", "a/b", "é?&%", "<b>"])
async def test_a_trait_says_the_value_the_losers_and_the_rule(lookup: Identified, name: str) -> None:
    lookup.show("crm:1", ANN, grade=Grade.LOGIN)
    lookup.show(ANN, "cookie:c-1")
    lookup.copy.fold_alone("email", "ann@example.com", Grade.CLAIMED, **{name: "Delft"})
    lookup.copy.fold_alone("cookie", "c-1", Grade.CLAIMED, **{name: "Gouda"})
    lookup.copy.fold_alone("crm", "1")
    lookup.settle()
    said = await lookup.get(f"/v1/customers/{fragment('crm:1')}/traits/{quote(name, safe='')}/explain")
    assert (said["trait"], said["rule"], said["value"]["value"]) == (name, "newest", "Delft")
    assert (said["value"]["source"], said["value"]["event"], said["value"]["grade"]) == ("shop", "e-1", "claimed")
    (loser,) = said["losers"]
    assert (loser["value"], loser["lost_by"], loser["identifier"]["value"]) == ("Gouda", "attached", "c-1")
    # The context that was published says nothing of it yet.
    assert said["settling"] is True


async def test_keys_of_other_roles_are_refused() -> None:
    async with served(keys=True) as lookup:
        lookup.show("cookie:c-1", ANN)
        lookup.settle()
        path = f"/v1/customers/{fragment(ANN)}/explain"
        assert (await lookup.raw("GET", path)).status == 401
        await lookup.get(path, key=DESK_KEY)

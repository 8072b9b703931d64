"""`POST /v1/explain`: the verdict, the chain, and what is never shown of others."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.serve.layout import link_key
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.messages import Undo
from schemas.rows import POLICY_ROW_KEY, REPAIR_ROW_KEY, PolicyRow, encode_row
from tests.connectors.serve.explaining.identified import ADMIN_KEY, DESK_KEY, Identified, served
from tests.state.identity.driving import fragment


@pytest.fixture
async def lookup() -> AsyncIterator[Identified]:
    async with served() as made:
        yield made


async def test_one_customer_by_the_surest_chain_with_events_and_sources(lookup: Identified) -> None:
    lookup.show("crm:8812", "account:ann", grade=Grade.RECORD, source="crm")
    lookup.show("account:ann", "email:ann@example.com", grade=Grade.LOGIN, source="app")
    lookup.show("crm:8812", "email:ann@example.com", grade=Grade.CLAIMED)
    lookup.show("email:ann@example.com", "cookie:c-1")
    lookup.settle()
    said = await lookup.pair("crm:8812", "email:ann@example.com")
    assert (said["verdict"], said["customer"], said["grade"]) == ("one", fragment("crm:8812"), "login")
    assert [(step["one"]["value"], step["other"]["value"], step["grade"]) for step in said["chain"]] == [
        ("8812", "ann", "record"),
        ("ann", "ann@example.com", "login"),
    ]
    (sight,) = said["chain"][0]["sights"]
    assert sight == {
        "source": "crm", "grade": "record", "first": "1970-01-01T00:00:00Z", "event": "e0",
        "last": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    assert "obstacle" not in said["chain"][0]
    assert said["because"] == (
        "One customer: crm 8812 leads to email ann@example.com by 2 links, the weakest of them known by a login."
    )
    # What is attached hangs on one claim.
    attached = await lookup.pair("cookie:c-1", "crm:8812")
    assert [step["grade"] for step in attached["chain"]] == ["claimed", "login", "record"]
    assert attached["grade"] == "claimed"


async def test_a_second_value_of_a_unique_kind_is_the_veto_between_two_customers(lookup: Identified) -> None:
    lookup.show("crm:1", "account:ann", grade=Grade.LOGIN)
    lookup.show("crm:2", "account:bob", grade=Grade.LOGIN)
    lookup.show("account:ann", "account:bob", grade=Grade.LOGIN)
    lookup.settle()
    said = await lookup.pair("crm:1", "crm:2")
    assert (said["verdict"], "customer" in said) == ("apart", False)
    (broken,) = [step for step in said["chain"] if "obstacle" in step]
    assert broken["obstacle"] == {"reason": "unique", "kind": "crm"}
    # Of what was not asked about nobody learns more than the kind and whose it is.
    assert broken["one"] == {"kind": "account", "role": "joined", "customer": fragment("crm:1")}
    assert said["because"] == (
        f"Two customers: an account of customer {fragment('crm:1')[:8]}… and an account of customer "
        f"{fragment('crm:2')[:8]}… were seen together, but it would put two values of crm into one customer, of "
        "which one person has one."
    )


async def test_a_question_knows_nothing_of_what_the_one_before_it_read(lookup: Identified) -> None:
    for number, name in ((1, "ann"), (2, "bob"), (3, "eve")):
        lookup.show(f"crm:{number}", f"account:{name}", grade=Grade.LOGIN)
    for name in ("bob", "eve"):
        lookup.show("account:ann", f"account:{name}", grade=Grade.LOGIN)

    async def obstacles(one: str, other: str) -> list[str]:
        lookup.settle()
        chain = (await lookup.pair(one, other))["chain"]
        return [step["obstacle"]["reason"] for step in chain if "obstacle" in step]

    assert await obstacles("crm:1", "crm:2") == ["unique"]
    lookup.order("require", "crm:1", "crm:2", name="o-1")
    # Required values count as one, and still exclude a third.
    assert (await obstacles("crm:1", "crm:2"), await obstacles("crm:1", "crm:3")) == ([], ["unique"])
    lookup.take(Undo("u-1", 2_000_000, "o-1", "ann", "a mistake"))
    assert await obstacles("crm:1", "crm:2") == ["unique"]


async def test_a_shared_cookie_says_between_whom_and_names_candidates(lookup: Identified) -> None:
    for number in range(9):
        lookup.show(f"email:{number}@example.com", "cookie:kiosk")
    lookup.settle()
    said = await lookup.pair("email:1@example.com", "email:2@example.com")
    assert said["verdict"] == "apart"
    assert [step["obstacle"]["reason"] for step in said["chain"]] == ["shared", "shared"]
    assert said["chain"][0]["other"]["value"] == "kiosk"
    assert said["because"].endswith("but several people use cookie kiosk, so it joins nobody.")
    kiosk = await lookup.pair("cookie:kiosk", "cookie:kiosk")
    (sharing,) = kiosk["shared"]
    assert (kiosk["verdict"], sharing["by"]) == ("shared", "customers")
    assert len(sharing["candidates"]) == 5
    assert all("value" not in neighbour for neighbour in sharing["neighbours"])
    assert "@example.com" not in str(kiosk)


async def test_an_order_that_keeps_two_apart_is_told_with_who_and_why_for_admins_only() -> None:
    async with served(keys=True) as lookup:
        lookup.show("account:ann", "email:ann@example.com", grade=Grade.LOGIN)
        lookup.order("forbid", "account:ann", "email:ann@example.com", name="o-1", time=1_000_000)
        lookup.settle()
        for key, words in ((DESK_KEY, False), (ADMIN_KEY, True)):
            said = await lookup.pair("account:ann", "email:ann@example.com", key=key)
            (step,) = said["chain"]
            (order,) = step["obstacle"]["orders"]
            assert step["obstacle"]["reason"] == "forbidden"
            assert (order["verb"], order["by"], order["id"], order["time"]) == (
                "forbid", "operator", "o-1", "1970-01-01T00:00:01Z",
            )  # fmt: skip
            assert ("author" in order, "reason" in order) == (words, words)
            assert said["orders"] == [order]
        lookup.take(Undo("u-1", 2_000_000, "o-1", "ann", "a mistake"))
        lookup.settle()
        said = await lookup.pair("account:ann", "email:ann@example.com", key=DESK_KEY)
        assert (said["verdict"], said.get("orders")) == ("one", None)


async def test_a_required_pair_is_a_link_by_its_order(lookup: Identified) -> None:
    lookup.order("require", "crm:1", "crm:2", name="o-1")
    lookup.order("require", "crm:2", "crm:3", name="m-1", record="crm")
    lookup.settle()
    said = await lookup.pair("crm:1", "crm:3")
    assert [(step["by"], step["order"]["id"], "sights" in step) for step in said["chain"]] == [
        ("operator", "o-1", False),
        ("record", "m-1", False),
    ]


@pytest.mark.parametrize("split", ["identifier", "source", "policy"])
async def test_links_that_count_for_nothing_say_by_which_order(lookup: Identified, split: str) -> None:
    lookup.show("account:ann", "email:ann@example.com", grade=Grade.LOGIN, source="app")
    if split == "identifier":
        lookup.order("split", "account:ann", name="o-1")
    elif split == "source":
        lookup.order("split", name="o-1", withdrawn_source="app")
    else:
        lookup.order("forbid", "account:ann", "email:ann@example.com", name="o-1")
    lookup.settle()
    said = await lookup.pair("account:ann", "email:ann@example.com")
    (step,) = said["chain"]
    reasons = {"identifier": "split", "source": "withdrawn", "policy": "forbidden"}
    assert (said["verdict"], step["obstacle"]["reason"]) == ("apart", reasons[split])
    (order,) = step["obstacle"]["orders"]
    assert order["id"] == "o-1"
    assert step["sights"][0].get("split", False) == (split == "source")


async def test_hidden_kinds_are_never_shown(lookup: Identified) -> None:
    lookup.show("crm:1", "national_id:123456782", grade=Grade.RECORD)
    lookup.show("national_id:123456782", "account:ann", grade=Grade.RECORD)
    lookup.settle()
    said = await lookup.pair("crm:1", "account:ann")
    assert [step["other"]["kind"] for step in said["chain"]] == ["other", "account"]
    assert "national_id" not in str(said)
    assert "123456782" not in str(said)
    customer = await lookup.get(f"/v1/customers/{fragment('crm:1')}/explain")
    assert "national_id" not in str(customer)


async def test_nothing_links_strangers(lookup: Identified) -> None:
    lookup.show("email:ann@example.com", "cookie:c-1")
    lookup.show("email:bob@example.com", "cookie:c-2")
    lookup.copy.fold_alone("email", "alone@example.com")
    lookup.settle()
    for other in ("email:bob@example.com", "email:alone@example.com"):
        said = await lookup.pair("email:ann@example.com", other)
        assert (said["verdict"], said["chain"]) == ("apart", [])
        assert "nothing that was found links" in said["because"]


async def test_a_repair_under_way_is_said(lookup: Identified) -> None:
    lookup.show("email:ann@example.com", "cookie:c-1")
    lookup.settle()
    lookup.copy.rows.write({REPAIR_ROW_KEY: b"\x01\x90"})
    said = await lookup.pair("email:ann@example.com", "cookie:c-1")
    assert said["settling"] is True


async def test_unknown_and_unusable_ones_are_named(lookup: Identified) -> None:
    lookup.show("email:ann@example.com", "cookie:c-1")
    lookup.settle()
    problem = await lookup.pair("email:ann@example.com", "email:nobody@example.com", 404)
    assert (problem["code"], [fault["pointer"] for fault in problem["errors"]]) == ("not_known", ["/identifiers/1"])
    problem = await lookup.pair("session:1", "phone:withheld", 400)
    assert problem["code"] == "unusable_identifier"
    assert [fault["pointer"] for fault in problem["errors"]] == ["/identifiers/0", "/identifiers/1"]


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_it_takes_two_identifiers(lookup: Identified, count: int) -> None:
    question = {"identifiers": [{"kind": "email", "value": "ann@example.com"}] * count}
    answer = await lookup.raw("POST", "/v1/explain", json=question)
    assert answer.status == 400
    assert (await answer.json())["errors"][0]["pointer"] == "/identifiers"


async def test_before_the_first_catch_up_it_asks_to_come_back(lookup: Identified) -> None:
    lookup.reasons.append("still reading")
    answer = await lookup.raw(
        "POST", "/v1/explain", json={"identifiers": [{"kind": "email", "value": "a@b.example"}] * 2}
    )
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)


async def test_rows_that_do_not_fit_together_yet_ask_to_come_back(lookup: Identified) -> None:
    lookup.show("email:ann@example.com", "cookie:c-1")
    lookup.show("email:ann@example.com", "cookie:c-2")
    lookup.order("forbid", "cookie:c-1", "cookie:c-2", name="o-1")
    lookup.settle()
    lookup.copy.rows.write({link_key(fragment("cookie:c-1")): None})
    path = f"/v1/customers/{fragment('email:ann@example.com')}/explain"
    answer = await lookup.raw("GET", path)
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    lookup.settle()
    assert (await lookup.raw("GET", path)).status == 200


async def test_what_the_policy_calls_unlinkable_is_nobodys(lookup: Identified) -> None:
    policy = msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("email:info@*",))
    row = PolicyRow(msgspec.json.encode(policy), "p-1", 0, "", "", 0)
    lookup.show("email:ann@example.com", "cookie:c-1")
    lookup.copy.fold_alone("email", "info@example.com")
    lookup.settle()
    lookup.copy.rows.write({POLICY_ROW_KEY: encode_row(row)})
    said = await lookup.pair("email:ann@example.com", "email:info@example.com")
    (sharing,) = said["shared"]
    assert (said["verdict"], sharing["by"], sharing["identifier"]["value"]) == (
        "shared", "unlinkable", "info@example.com",
    )  # fmt: skip
    assert (await lookup.pair("email:ann@example.com", "cookie:c-1"))["verdict"] == "one"

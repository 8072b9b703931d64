"""The pages that say why, as people read them."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.serve.page.customer import read_document
from schemas.document import Trait, encode_document
from schemas.identity_policy import Grade
from schemas.roles import ATTACHED
from schemas.rows import PairOrderRow, encode_row, pair_order_key
from schemas.topics import Topic
from tests.connectors.serve.page.support import KEY, Paged, lookup_key, paged
from tests.connectors.serve.support import shown

ANN = ("email", "ann@example.com")
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe"


@pytest.fixture
async def page() -> AsyncIterator[Paged]:
    async with paged() as made:
        yield made


def ann(page: Paged, cookie: str = "c-1") -> tuple[str, str]:
    """A customer with a cookie that a claim attaches; both ids."""
    customer = page.copy.home(*ANN, Grade.LOGIN)
    attached = page.copy.link("cookie", cookie, customer, ATTACHED)
    page.copy.context(customer, shown(*ANN, Grade.LOGIN), shown("cookie", cookie, role=ATTACHED))
    page.evidence(customer, attached, Grade.CLAIMED)
    return customer, attached


async def test_each_identifier_but_the_home_and_each_trait_leads_to_its_reason(page: Paged) -> None:
    customer, cookie = ann(page)
    document = read_document(page.copy.rows.rows[b"c/" + customer.encode()])
    document.traits = {"a/b é": Trait(msgspec.Raw(b'"x"'), "2024-10-04T00:00:00Z", "crm", "e-1")}
    page.copy.put(page.copy.record(Topic.CONTEXT, customer.encode(), encode_document(document)))
    html = await (await page.client.get(f"/customers/{customer}")).text()
    assert f'href="/customers/{customer}/why/{cookie}"' in html
    assert f'href="/customers/{customer}/why/{customer}"' not in html
    assert f'href="/customers/{customer}/traits/a%2Fb%20%C3%A9/why"' in html
    assert f'href="/customers/{customer}/why"' in html


async def test_why_an_identifier_belongs_is_told_by_its_chain(page: Paged) -> None:
    customer, cookie = ann(page)
    text = await page.get(f"/customers/{customer}/why/{cookie}")
    assert "One customer: cookie c-1 leads to email ann@example.com by one link" in text
    assert "Seen together, only claimed: typed, not proven" in text
    assert "shop : first 3 Oct 2024, 23:59 UTC in event e-1" in text
    home = await page.get(f"/customers/{customer}/why/{customer}")
    assert "is the home itself" in home


async def test_an_identifier_of_somebody_else_has_no_page_here(page: Paged) -> None:
    customer, _ = ann(page)
    other = page.copy.home("email", "bob@example.com")
    for fragment in (other, "0" * 32, "x"):
        text = await page.get(f"/customers/{customer}/why/{fragment}", 404)
        assert "bob" not in text


async def test_why_a_trait_has_its_value_names_the_losers(page: Paged) -> None:
    customer, _ = ann(page)
    page.copy.fold_alone(*ANN, Grade.LOGIN, city="Delft")
    page.copy.fold_alone("cookie", "c-1", city="Gouda")
    text = await page.get(f"/customers/{customer}/traits/city/why")
    assert "city is the one said by shop in event e-1" in text
    assert "Delft This is the value." in text
    assert "Gouda Lost: said by an identifier that is only attached" in text
    await page.get(f"/customers/{customer}/traits/unsaid/why", 404)


async def test_what_a_customer_does_not_have_is_told_without_naming_others(page: Paged) -> None:
    customer, cookie = ann(page)
    other = page.copy.home("email", "bob@example.com")
    page.evidence(customer, other, Grade.CLAIMED, other_kind="email")
    for here, there in ((customer, other), (other, customer)):
        row = page.copy.finder.place(here)
        assert row.owner == here
        key = pair_order_key(here, there, 2, "o-1")
        order = encode_row(PairOrderRow("forbid", 0, "operator", "o-1", "email"))
        page.copy.put(page.copy.record(Topic.LINKS, key, order))
        page.copy.order(here)
    shared = page.copy.share("cookie", "kiosk", customer, other)
    page.evidence(customer, shared, Grade.CLAIMED)
    text = await page.get(f"/customers/{customer}/why")
    assert "It joins nothing: an order keeps them apart (forbid by an operator, o-1)" in text
    assert "kiosk cookie, shared" in text
    assert "bob" not in text
    assert f"/customers/{customer}/why/{cookie}" in await (await page.client.get(f"/customers/{customer}/why")).text()


async def test_an_old_id_leads_to_the_new_one(page: Paged) -> None:
    customer, cookie = ann(page)
    for path in ("why", f"why/{cookie}", "traits/city/why"):
        answer = await page.client.get(f"/customers/{cookie}/{path}", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, f"/customers/{customer}/why?was=another")


async def test_what_events_wrote_is_harmless(page: Paged) -> None:
    customer, cookie = ann(page, HOSTILE)
    page.evidence(customer, cookie, Grade.LOGIN, HOSTILE)
    page.copy.fold_alone(*ANN, Grade.LOGIN, city=HOSTILE)
    for path in ("why", f"why/{cookie}", "traits/city/why"):
        answer = await page.client.get(f"/customers/{customer}/{path}")
        assert answer.status == 200
        html = await answer.text()
        assert "onerror" in html
        assert "<img" not in html
        assert "\u202e" not in html


async def test_nobody_without_a_key_sees_any_of_it() -> None:
    async with paged(lookup_key()) as page:
        customer, cookie = ann(page)
        for path in ("why", f"why/{cookie}", "traits/city/why"):
            answer = await page.client.get(f"/customers/{customer}/{path}", allow_redirects=False)
            assert answer.status == 303
            assert answer.headers["Location"].startswith("/login")
        await page.post("/login", {"key": KEY})
        assert (await page.client.get(f"/customers/{customer}/why")).status == 200

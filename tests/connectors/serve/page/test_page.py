"""The page as HTML: what it shows, what it says when it can't, and what a browser is told to do with it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from connectors.serve.page.customer import CALLED, display_name
from connectors.serve.page.dead_watch import DeadLetters
from connectors.serve.page.handlers import TIMELINE_SIZE
from schemas.document import ContextDocument, Trait
from schemas.enrichment.name import TRAITS
from schemas.identity_policy import Grade
from schemas.roles import ATTACHED
from tests.connectors.serve.page.support import FORM, Paged, paged, text_of
from tests.connectors.serve.support import DAY_US, NOW_US, Copy, shown

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"


@pytest.fixture
async def page() -> AsyncIterator[Paged]:
    async with paged() as made:
        yield made


async def test_an_empty_system_says_what_to_do(page: Paged) -> None:
    text = await page.get("/")
    assert "Nothing has happened yet" in text
    assert "Up to date" in text
    assert "Dead letters 3 1 in the last hour" in text


async def test_the_overview_shows_newest_events_with_links_to_their_customers(page: Paged) -> None:
    customer = page.customer("ann@example.com")
    page.copy.put(page.copy.interaction(customer, NOW_US - DAY_US))
    html = await (await page.client.get("/")).text()
    assert f'href="/customers/{customer}"' in html
    assert "Customers 1" in text_of(html)


async def test_a_dead_letter_count_that_is_not_known_is_not_zero(page: Paged) -> None:
    page.lag.known = False
    text = await page.get("/")
    assert "Lag ? not known yet" in text
    page.lag.known, page.lag.waiting, page.lag.seconds = True, True, 42.0
    page.dead[0] = DeadLetters(12_345, 0)
    text = await page.get("/")
    assert "42 s behind" in text
    assert "12,345 none in the last hour" in text


async def test_a_search_leads_to_the_customer_and_leaves_no_identifier_in_the_address(page: Paged) -> None:
    customer = page.customer("ann@example.com", first_name="Ann", last_name="Example")
    found = await page.search("email", " Ann@Example.com ")
    location = found.headers["Location"]
    assert location == f"/customers/{customer}?found={customer}"
    text = await page.get(location)
    assert "Ann Example" in text
    assert "Found by email . A login has proven that it is theirs." in text


async def test_another_kind_can_be_asked_for(page: Paged) -> None:
    page.copy.home("meter", "m-1")
    answer = await page.post("/search", {"kind": "email", "value": "m-1", "other_kind": "meter"})
    assert answer.status == 303


@pytest.mark.parametrize(
    ("kind", "value", "status", "said"),
    [
        ("email", "nobody@example.com", 404, "Nobody is known by this"),
        ("email", "no address", 400, "Nobody can be found by this"),
        ("session", "s-1", 400, "Nobody can be found by this"),
        ("", "", 400, "can't be read"),
    ],
)
async def test_what_is_not_found_is_said_in_words(page: Paged, kind: str, value: str, status: int, said: str) -> None:
    text = text_of(await (await page.search(kind, value, status)).text())
    assert said in text
    assert "Find a customer" in text


async def test_a_shared_identifier_shows_candidates_and_nobodys_data(page: Paged) -> None:
    one, other = page.customer("ann@example.com", first_name="Ann"), page.customer("bob@example.com")
    page.copy.share("phone", "+31201234567", one, other)
    html = await (await page.search("phone", "+31201234567", 409)).text()
    assert "Several people use this identifier" in html
    assert f'href="/customers/{one}"' in html
    assert "Ann" not in html
    assert "bob" not in html


async def test_an_id_that_moved_leads_on_and_one_that_became_shared_says_so(page: Paged) -> None:
    customer = page.customer("ann@example.com")
    old = page.copy.home("cookie", "c-1")
    page.copy.link("cookie", "c-1", customer, ATTACHED)
    answer = await page.client.get(f"/customers/{old}", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"/customers/{customer}?was=another")
    assert "The id you asked for leads here now" in await page.get(answer.headers["Location"])
    shared = page.copy.share("phone", "+31201234567", customer)
    page.copy.context(shared, level="shared")
    assert "nobody's any more" in await page.get(f"/customers/{shared}", 410)
    assert "Nobody is known" in await page.get(f"/customers/{'0' * 32}", 404)


async def test_before_the_first_catch_up_no_customer_is_shown(page: Paged) -> None:
    customer = page.customer("ann@example.com", first_name="Ann")
    page.reasons.append("what happened before the start is still being read")
    answer = await page.client.get(f"/customers/{customer}")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert "Ann" not in await answer.text()
    assert "Catching up: what happened before" in await page.get("/")


async def test_the_timeline_is_paged_with_and_without_scripts(page: Paged) -> None:
    customer = page.customer("ann@example.com")
    count = TIMELINE_SIZE + 5
    page.copy.put(*[page.copy.interaction(customer, NOW_US - n * DAY_US, event=f"e-{n}") for n in range(count)])
    html = await (await page.client.get(f"/customers/{customer}")).text()
    assert html.count("The event&#39;s data") + html.count("The event's data") == TIMELINE_SIZE
    fragment = html.partition('hx-get="')[2].partition('"')[0]
    whole = html.partition('<a class="button" href="')[2].partition('"')[0]
    part = await page.get(fragment)
    assert part.count("The event's data") == 5
    assert "The first interaction." in part
    assert "<html" not in await (await page.client.get(fragment)).text()
    assert "Back to the newest" in await page.get(whole)
    assert "No such page" in await page.get(f"/customers/{customer}?cursor=nonsense", 404)


@pytest.mark.parametrize(
    ("traits", "heading"),
    [
        ({"firstName": "Ann", "lastName": "Example"}, "Ann Example"),
        ({"Given Name": "Ann", "surname": "Example"}, "Ann Example"),
        ({"first_name": "Ann", "fullName": "Ann B. Example"}, "Ann B. Example"),
        ({"firstName": "Ann", "name": None, "displayName": "  "}, "Ann"),
        ({"family-name": "Example", "company": "ACME"}, "Example"),
        ({"nickname": "Annie"}, "Annie"),
        ({"company": "ACME", "name": {"first": "Ann"}}, "email ann@example.com"),
    ],
)
async def test_the_heading_is_the_name_however_its_trait_is_written(
    page: Paged, traits: dict[str, Any], heading: str
) -> None:
    customer = page.customer("ann@example.com", **traits)
    html = await (await page.client.get(f"/customers/{customer}")).text()
    assert f'<h1 id="name"><bdi>{heading}</bdi></h1>' in html


def test_of_two_spellings_of_a_name_the_customers_own_one_counts_then_the_newest() -> None:
    def trait(value: str, day: int, via: str | None = None) -> Trait:
        return Trait(msgspec.Raw(msgspec.json.encode(value)), f"2024-10-0{day}T00:00:00Z", "crm", "e-1", via)

    document = msgspec.json.decode(Copy().context("c", shown("email", "a@example.com")), type=ContextDocument)
    document.traits = {
        "first_name": trait("Old", 1),
        "firstName": trait("New", 2),
        "FirstName": trait("Guest", 3, "cookie"),
    }
    assert display_name(document) == "New"


def test_the_heading_knows_no_name_that_is_not_tidied() -> None:
    assert {name for parts in CALLED for names in parts for name in names} <= set(TRAITS)


async def test_the_timeline_follows_what_is_known_and_the_customers_id_comes_last(page: Paged) -> None:
    customer = page.customer("ann@example.com")
    html = await (await page.client.get(f"/customers/{customer}")).text()
    places = [html.index(f'<h2 id="{name}"') for name in ("traits", "timeline", "hanging", "permissions", "refs")]
    assert [*places, html.index("Customer id")] == sorted([*places, html.index("Customer id")])


async def test_whatever_events_wrote_is_text(page: Paged) -> None:
    traits = {
        "first_name": HOSTILE, "last_name": "\u202eetib\u2066", "long": "x" * 900, "nested": {"<b>": [HOSTILE]},
        "<script>alert(2)</script>": "😀", "null": "a\x07b",
    }  # fmt: skip
    customer = page.customer("ann@example.com", **traits)
    record = page.copy.interaction(customer, NOW_US, source=HOSTILE, event=HOSTILE)
    assert record.value is not None
    hostile = record.value.replace(b'"page.viewed"', b'"</style><script>alert(3)</script>"')
    page.copy.put(record._replace(value=hostile.replace(b'"channel":"web"', b'"channel":"<svg onload=alert(4)>"')))
    page.copy.link("cookie", HOSTILE, customer, ATTACHED)
    for path in ("/", f"/customers/{customer}"):
        html = await (await page.client.get(path)).text()
        for tag in ("<img", "<script>", "<svg onload", "</style>"):
            assert tag not in html
        assert "\u202e" not in html
    assert "⟨U+202E⟩etib⟨U+2066⟩" in html
    assert "xxx… (900 characters)" in html
    assert "a⟨U+0007⟩b" in html
    assert "😀" in html


async def test_headers_keep_the_page_to_itself(page: Paged) -> None:
    customer = page.customer("ann@example.com")
    for path in ("/", f"/customers/{customer}", "/customers/none"):
        headers = (await page.client.get(path)).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "private, no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


async def test_static_files_are_kept_for_good_under_their_hash(page: Paged) -> None:
    html = await (await page.client.get("/")).text()
    folder = html.partition('rel="stylesheet" href="')[2].partition('"')[0].rpartition("/")[0]
    answer = await page.client.get(f"{folder}/page.css")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.content_type == "text/css"
    await page.get("/static/other/page.css", 404)
    await page.get(f"{folder}/NOTICE", 404)
    await page.get(f"{folder}/..%2f__init__.py", 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
    ],
)
async def test_a_form_of_another_site_is_refused(page: Paged, headers: dict[str, str]) -> None:
    page.customer("ann@example.com")
    answer = await page.client.post("/search", data={"kind": "email", "value": "ann@example.com"}, headers=headers)
    assert answer.status == 403
    assert "Not from this page" in await answer.text()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"kind=email&kind=email&value=x", "application/x-www-form-urlencoded", 400),
        (b"kind=%ff&value=x", "application/x-www-form-urlencoded", 400),
        (b"kind=email&value=" + b"x" * 5000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"f%d=1" % number for number in range(20)), "application/x-www-form-urlencoded", 400),
        (b"kind=email&value=x&more=1", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
        (b"", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_a_form_that_can_not_be_read_is_a_page_too(
    page: Paged, body: bytes, content_type: str, status: int
) -> None:
    answer = await page.client.post("/search", data=body, headers=FORM | {"Content-Type": content_type})
    assert answer.status == status
    assert answer.content_type == "text/html"


async def test_under_a_foreign_name_nothing_is_shown_while_no_key_is_configured(page: Paged) -> None:
    for host, status in {
        "evil.example:8080": 421, "localhost:8080": 200, "127.0.0.1": 200, "127.8.8.8:1": 200, "[::1]:8080": 200,
        "192.168.1.1": 421, "localhost.evil.example": 421, "[": 421,
    }.items():  # fmt: skip
        await page.get("/", status, headers={"Host": host})
        await page.get("/live", status, headers={"Host": host}) if status == 421 else None


async def test_looking_somebody_up_is_counted_and_page_routes_are_no_part_of_the_api(page: Paged) -> None:
    page.customer("ann@example.com")
    await page.search("email", "ann@example.com")
    await page.search("email", "bob@example.com", 404)
    labels = [{"by": "page", "outcome": outcome} for outcome in ("found", "unknown", "shared")]
    counted = [page.metrics.registry.get_sample_value("goldenthread_lookups_total", label) for label in labels]
    assert counted == [1, 1, 0]
    document = await (await page.client.get("/openapi.json")).json()
    assert not [path for path in document["paths"] if path in ("/", "/live", "/search", "/login")]


async def test_a_customer_shows_permissions_and_how_identifiers_hang_together(page: Paged) -> None:
    customer = page.customer("ann@example.com", first_name="Ann")
    cookie = page.copy.link("cookie", "c-1", customer, ATTACHED)
    page.copy.context(
        customer, shown("email", "ann@example.com", Grade.LOGIN), shown("cookie", "c-1", Grade.CLAIMED, ATTACHED)
    )
    page.evidence(customer, cookie, Grade.CLAIMED, HOSTILE)
    html = await (await page.client.get(f"/customers/{customer}")).text()
    text = text_of(html)
    assert "2 identifiers, 1 links" in text
    assert "ann@example.com and c-1 only claimed: typed, not proven" in text
    assert html.count("<circle") >= 2
    assert 'class="link claimed to-home"' in html
    assert "gold: to the home" in text
    assert "the last sight is kept by spans of 30 days" in text

"""Who may look once keys are configured: sessions, what ends them, and what they do not open."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientResponse

from connectors.serve.page import login
from connectors.serve.page.sessions import COOKIE, SESSION_SECONDS
from connectors.web.access import AccessKey, Role
from tests.connectors.serve.page.support import KEY, Paged, lookup_key, paged

OTHER_KEY = "gt_another-key-of-more-than-sixteen"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "ANSWER_SECONDS", 0.02)


@asynccontextmanager
async def signed_in(*keys: AccessKey, **headers: str) -> AsyncIterator[Paged]:
    async with paged(*(keys or (lookup_key(),))) as page:
        answer = await sign_in(page, **headers)
        assert answer.status == 303, await answer.text()
        yield page


async def sign_in(page: Paged, key: str = KEY, **headers: str) -> ClientResponse:
    page.copy.clock.advance(2)
    return await page.post("/login", {"key": key}, **headers)


async def leads_to_login(page: Paged) -> bool:
    answer = await page.client.get("/", allow_redirects=False)
    return answer.status == 303 and answer.headers["Location"] == "/login"


async def test_without_a_session_nothing_is_shown_but_the_login_form() -> None:
    async with paged(lookup_key()) as page:
        customer = page.customer("ann@example.com", first_name="Ann")
        for path in ("/", "/live", f"/customers/{customer}", f"/customers/{customer}/timeline"):
            answer = await page.client.get(path, allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        assert (await page.search("email", "ann@example.com")).headers["Location"] == "/login"
        part = await page.client.get(f"/customers/{customer}/timeline", headers={"HX-Request": "true"})
        assert (part.status, part.headers["HX-Redirect"]) == (401, "/login")
        assert "Access key" in await page.get("/login")
        # With keys, the page may have any name.
        await page.get("/login", headers={"Host": "desk.example"})


async def test_a_key_that_is_tried_without_the_form_is_counted() -> None:
    async with paged(lookup_key()) as page:
        for shown in ("Bearer gt_a-key-that-nobody-has", "Bearer "):
            answer = await page.client.get("/", headers={"Authorization": shown}, allow_redirects=False)
            assert answer.status == 303
        await page.client.get("/", allow_redirects=False)
        metrics = page.metrics.exposition().decode()
        assert 'requests_refused_total{reason="unknown",service="lookup"} 1.0' in metrics
        assert 'requests_refused_total{reason="malformed",service="lookup"} 1.0' in metrics
        assert 'requests_refused_total{reason="missing",service="lookup"} 0.0' in metrics


async def test_a_key_opens_a_session_in_a_cookie_that_no_script_and_no_other_site_gets() -> None:
    async with paged(lookup_key()) as page:
        answer = await sign_in(page)
        cookie = answer.headers["Set-Cookie"]
        assert f"Max-Age={SESSION_SECONDS}" in cookie
        for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
            assert part in cookie
        assert "Secure" not in cookie
        assert KEY not in cookie
        assert "Log out desk" in await page.get("/")


async def test_behind_tls_the_cookie_goes_over_tls_alone() -> None:
    async with paged(lookup_key()) as page:
        answer = await sign_in(page, **{"X-Forwarded-Proto": "https"})
        assert "Secure" in answer.headers["Set-Cookie"]


async def test_logging_out_ends_the_session_for_whoever_kept_the_cookie() -> None:
    async with signed_in() as page:
        kept = {cookie.key: cookie.value for cookie in page.client.session.cookie_jar}
        assert (await page.post("/logout", {})).headers["Location"] == "/login"
        assert await leads_to_login(page)
        page.client.session.cookie_jar.update_cookies(kept)
        assert await leads_to_login(page)


async def test_a_key_taken_away_ends_its_sessions() -> None:
    async with signed_in(lookup_key(), lookup_key("night", OTHER_KEY)) as page:
        await page.get("/")
        page.access.replace([lookup_key("night", OTHER_KEY)])
        assert await leads_to_login(page)


async def test_a_session_ends_with_its_key_or_after_a_working_day() -> None:
    async with paged(lookup_key()) as page:
        soon = page.copy.clock.now_us() + 60_000_000
        page.access.replace([lookup_key(expires_us=soon)])
        await sign_in(page)
        await page.get("/")
        page.copy.clock.advance(60)
        assert await leads_to_login(page)
    async with signed_in() as page:
        page.copy.clock.advance(SESSION_SECONDS - 3)
        await page.get("/")
        page.copy.clock.advance(4)
        assert await leads_to_login(page)


@pytest.mark.parametrize("value", ["", "x", "A" * 96, "é", "A" * 4000, "-" * 96])
async def test_a_made_up_cookie_opens_nothing(value: str) -> None:
    async with paged(lookup_key()) as page:
        answer = await page.client.get("/", allow_redirects=False, headers={"Cookie": f"{COOKIE}={value}"})
        assert answer.status == 303


async def test_a_changed_cookie_opens_nothing() -> None:
    async with signed_in() as page:
        good = next(cookie.value for cookie in page.client.session.cookie_jar)
        page.client.session.cookie_jar.clear()
        for place in (0, 12, 30, 60, len(good) - 2):
            changed = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
            headers = {"Cookie": f"{COOKIE}={changed}"}
            answer = await page.client.get("/", allow_redirects=False, headers=headers)
            assert answer.status == 303, place


@pytest.mark.parametrize("key", [OTHER_KEY, "gt_metrics-key-of-sixteen-characters", "", "\u202e", "x" * 3000])
async def test_a_wrong_key_gets_one_and_the_same_answer(key: str) -> None:
    metrics_key = lookup_key("m", "gt_metrics-key-of-sixteen-characters", roles=frozenset({Role.METRICS}))
    async with paged(lookup_key(), metrics_key) as page:
        answer = await sign_in(page, key)
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers
        assert "This key does not open the page" in await answer.text()
        assert (key not in await answer.text()) or not key


async def test_attempts_are_bounded_and_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with paged(lookup_key()) as page:
        monkeypatch.setattr(login, "ANSWER_SECONDS", 0.2)
        began = time.monotonic()
        await sign_in(page, OTHER_KEY)
        assert time.monotonic() - began >= 0.2
        again = await page.post("/login", {"key": KEY})
        assert (again.status, again.headers["Retry-After"]) == (429, "1")
        page.copy.clock.advance(1)
        assert (await page.post("/login", {"key": KEY})).status == 303


async def test_a_session_is_no_credential_for_the_api() -> None:
    async with signed_in() as page:
        for path in ("/openapi.json", "/metrics"):
            assert (await page.client.get(path)).status == 401


async def test_a_key_in_the_header_opens_the_page_too_and_its_rate_counts() -> None:
    async with paged(lookup_key(requests_per_second=1.0)) as page:
        headers = {"Authorization": f"Bearer {KEY}"}
        await page.get("/", headers=headers)
        assert "Too many requests" in await page.get("/", 429, headers=headers)


async def test_where_no_key_is_configured_there_is_nothing_to_log_in_to() -> None:
    async with paged() as page:
        assert (await page.client.get("/login", allow_redirects=False)).headers["Location"] == "/"
        assert (await page.post("/login", {"key": KEY})).headers["Location"] == "/"
        assert "Log out" not in await page.get("/")

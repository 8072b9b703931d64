"""What only a browser can tell: that hostile data runs nowhere, that nothing overflows, that logging in works."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from schemas.identity_policy import Grade
from schemas.roles import ATTACHED
from tests.browser import ARGUMENTS, OVERFLOW, PHONE, Complaints, chromium
from tests.connectors.serve.page.support import KEY, lookup_key, paged
from tests.connectors.serve.support import NOW_US

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
DEADLINE_MS = 20_000


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    path = chromium()
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        await started.close()


async def test_hostile_events_run_nothing_and_break_no_layout(browser: Any) -> None:
    async with paged() as served:
        word = "w" * 10_000
        customer = served.customer(
            "ann@example.com", first_name=HOSTILE, last_name="\u202egnp.exe", long=word, emoji="🧵" * 500,
            **{HOSTILE: [HOSTILE]},
        )  # fmt: skip
        cookie = served.copy.link("cookie", HOSTILE, customer, ATTACHED)
        served.evidence(customer, cookie, Grade.CLAIMED, word[:256])
        served.copy.fold_alone("email", "ann@example.com", Grade.LOGIN, **{HOSTILE: HOSTILE})
        tab, complaints = await browser.new_page(viewport=PHONE), Complaints()
        complaints.watch(tab)
        # One that opens would be as bad as an error.
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        await tab.goto(str(served.client.make_url("/")))
        await tab.get_by_text("Live", exact=True).wait_for(timeout=DEADLINE_MS)
        record = served.copy.interaction(customer, NOW_US, source=word[:256], event=HOSTILE)
        assert record.value is not None
        hostile = record.value.replace(b"page.viewed", HOSTILE.encode()).replace(b'"web"', b'"' + word.encode() + b'"')
        served.copy.put(record._replace(value=hostile))
        await tab.get_by_text(HOSTILE).first.wait_for(timeout=DEADLINE_MS)
        assert await tab.evaluate(OVERFLOW) <= 0
        await tab.goto(str(served.client.make_url(f"/customers/{customer}")))
        assert await tab.evaluate(OVERFLOW) <= 0
        assert await tab.locator("main img, main script").count() == 0
        for path in ("why", f"why/{cookie}", f"traits/{quote(HOSTILE, safe='')}/why"):
            await tab.goto(str(served.client.make_url(f"/customers/{customer}/")) + path)
            assert await tab.locator("h1").count() == 1
            assert await tab.evaluate(OVERFLOW) <= 0
            assert await tab.locator("main img, main script").count() == 0
        assert complaints == []


async def test_logging_in_and_out_by_keyboard(browser: Any) -> None:
    async with paged(lookup_key()) as served:
        tab, complaints = await browser.new_page(viewport=PHONE), Complaints()
        complaints.watch(tab)
        await tab.goto(str(served.client.make_url("/")))
        assert tab.url.endswith("/login")
        assert await tab.evaluate("document.activeElement.name") == "key"
        await tab.keyboard.type("gt_a-wrong-key-of-sixteen-characters")
        await tab.keyboard.press("Enter")
        await tab.get_by_role("alert").wait_for(timeout=DEADLINE_MS)
        served.copy.clock.advance(2)
        await tab.keyboard.type(KEY)
        await tab.keyboard.press("Enter")
        await tab.get_by_text("Live", exact=True).wait_for(timeout=DEADLINE_MS)
        assert await tab.evaluate("document.cookie") == ""
        assert await tab.evaluate(OVERFLOW) <= 0
        await tab.get_by_role("button", name="Log out").click()
        await tab.get_by_role("heading", name="Log in").wait_for(timeout=DEADLINE_MS)
        await tab.goto(str(served.client.make_url("/")))
        assert tab.url.endswith("/login")
        assert complaints == []

"""The page in a real browser, on a running system: numbers that move, a search by keyboard, a phone."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import ARGUMENTS, DESKTOP, OVERFLOW, PHONE, Complaints, chromium
from tests.running_system import RunningSystem
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka
DEADLINE_MS = 30_000
EMAIL = "page-ann@example.com"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


def events(count: int, channel: str = "web", who: str = "page-ann") -> list[dict[str, Any]]:
    """Somebody looks around, logged in."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {
            "specversion": "1.0", "id": f"page-{time.time_ns()}-{number}", "source": "shop-web",
            "type": "account.logged_in", "time": now, "channel": channel,
            "data": {
                "identifiers": {"email": f"{who}@example.com", "cookie": f"{who}-c-1", "account": who},
                "traits": {"first_name": "Ann", "last_name": "Of The Page"}, "summary": f"{who} looked at {number}",
            },
        }
        for number in range(count)
    ]  # fmt: skip


def number(page: Any, name: str) -> float:
    """What a live number says."""
    return float(page.locator(f"[data-live={name}]").inner_text().replace(",", ""))


def test_numbers_and_the_newest_events_move_while_somebody_watches(system: RunningSystem, browser: Any) -> None:
    page, complaints = browser.new_page(viewport=DESKTOP), Complaints()
    complaints.watch(page)
    page.goto(f"{system.lookup_url}/")
    page.get_by_text("Live", exact=True).wait_for(timeout=DEADLINE_MS)
    before = number(page, "contexts")
    # Nobody's before this test, so that one customer more is known and what is newest is told from what was there.
    who = f"watched-{time.time_ns()}"
    system.send(*events(25, who=who))
    page.locator("[data-newest] a", has_text=f"{who} looked at").first.wait_for(timeout=DEADLINE_MS)
    wait_until(lambda: number(page, "contexts") > before, "a context more on the page")

    def rises() -> bool:
        # The rate is that of the last seconds: events go on for as long as a slow machine needs to show them.
        system.send(*events(1, who=who))
        return number(page, "rate-web") > 0

    wait_until(rises, "a rate on the page")
    page.locator("[data-live=dead]").filter(has_text=re.compile("^[0-9,]+$")).wait_for(timeout=DEADLINE_MS)
    assert page.locator(".chart canvas").count() == 2
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused", exact=True).wait_for(timeout=DEADLINE_MS)
    assert complaints == []
    page.close()


def test_a_customer_is_found_by_keyboard_alone_and_read_on_a_phone(system: RunningSystem, browser: Any) -> None:
    system.send(*events(30, "app"))
    system.wait_quiet()
    page, complaints = browser.new_page(viewport=PHONE), Complaints()
    complaints.watch(page)
    page.goto(f"{system.lookup_url}/")
    assert page.evaluate(OVERFLOW) <= 0
    # The first stop of the keyboard leads past the header; from there on it is kind, value.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "kind"
    page.keyboard.press("Tab")
    page.keyboard.type(EMAIL.upper())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Ann Of The Page").wait_for(timeout=DEADLINE_MS)
    assert EMAIL not in page.url.lower()
    assert "login has proven" in page.locator(".notice").inner_text()
    assert page.locator(".drawing circle").count() == 3
    assert page.evaluate(OVERFLOW) <= 0
    # Older interactions come below, and the keyboard goes on there.
    shown = page.locator("[data-timeline] > li:not(.more)").count()
    page.get_by_role("link", name="Older interactions").focus()
    page.keyboard.press("Enter")
    page.locator("[data-timeline] > li:not(.more)").nth(shown).wait_for(timeout=DEADLINE_MS)
    page.locator("[data-timeline] > li:focus").wait_for(timeout=DEADLINE_MS)
    assert complaints == []
    page.close()


def test_without_scripts_searching_and_reading_work(system: RunningSystem, browser: Any) -> None:
    system.send(*events(30))
    system.wait_quiet()
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{system.lookup_url}/")
    assert page.get_by_text("Reload for newer numbers").is_visible()
    page.get_by_label("Identifier").first.fill("nobody-at-all@example.com")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="Nobody is known by this").wait_for(timeout=DEADLINE_MS)
    page.get_by_label("Identifier").first.fill(EMAIL)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="Ann Of The Page").wait_for(timeout=DEADLINE_MS)
    page.get_by_role("link", name="Older interactions").click()
    page.get_by_role("link", name="Back to the newest").wait_for(timeout=DEADLINE_MS)
    context.close()

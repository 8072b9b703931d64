"""User agents: what they are sent by, from common ones of each class."""

import pytest

from schemas.enrichment.device import FAMILY_LENGTH_MAX, TEXT_LENGTH_MAX
from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import Enricher

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
CHROME = f"{WEBKIT} Chrome/126.0.0.0"
AGENTS = [
    ("phone", "Mobile Safari", "iOS",
     f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {SAFARI} Mobile/15E148 Safari/604.1"),
    ("phone", "Chrome Mobile", "Android", f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME} Mobile Safari/537.36"),
    ("phone", "Chrome Mobile", "Android", f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36"),
    ("phone", "Android", "Android", "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)"),
    ("phone", "ShopApp", "iOS", "ShopApp/4.2 CFNetwork/1494 Darwin/23.4.0"),
    ("phone", "Firefox Mobile", "KaiOS",
     "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5"),
    ("tablet", "Mobile Safari", "iOS",
     f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {SAFARI} Mobile/15E148 Safari/604.1"),
    ("tablet", "Chrome", "Android", f"Mozilla/5.0 (Linux; Android 13; SM-X710) {CHROME} Safari/537.36"),
    ("tablet", "Amazon Silk", "Android",
     f"Mozilla/5.0 (Linux; Android 11; KFTRWI) {WEBKIT} Silk/102.2 like Chrome/102 Safari/537.36"),
    ("tablet", "Firefox Mobile", "Android", "Mozilla/5.0 (Android 14; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0"),
    ("tablet", "Android", "Android", "Dalvik/2.1.0 (Linux; U; Android 12; SM-T870 Build/SP1A)"),
    ("desktop", "Chrome", "Windows", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36"),
    ("desktop", "Edge", "Windows", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/126.0"),
    ("desktop", "IE", "Windows", "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"),
    ("desktop", "Safari", "Mac OS X",
     f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Safari/605.1.15"),
    ("desktop", "Firefox", "Ubuntu", "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"),
    ("desktop", "Chrome", "Chrome OS", f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36"),
    ("bot", "Googlebot", None, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    ("bot", "bingbot", None, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
    ("bot", "Baiduspider", None, "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)"),
    ("bot", "FacebookBot", None, "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
    ("bot", "HeadlessChrome", "Linux", f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/126.0 Safari/537.36"),
    ("bot", "Googlebot", "Android",
     f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) {CHROME} Mobile (compatible; Googlebot/2.1; +http://g.com/bot.html)"),
    ("bot", "NewsCrawler", "Linux", f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} (compatible; NewsCrawler/1.0)"),
    ("phone", "Chrome Mobile", "Android", f"Mozilla/5.0 (Linux; Android 9; CUBOT X19) {CHROME} Mobile Safari/537.36"),
    ("desktop", "IE", "Windows", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Tablet PC 2.0)"),
    ("tablet", "BlackBerry WebKit", "BlackBerry Tablet OS",
     "Mozilla/5.0 (PlayBook; U; RIM Tablet OS 2.1.0; en-US) AppleWebKit/536.2+ (KHTML, like Gecko)"),
    ("tv", "Chrome", "Web0S", f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Chrome/79.0.3945.79 Safari/537.36"),
    ("tv", "Safari", "Tizen", "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/538.1 Version/6.0 TV Safari/538.1"),
    ("tv", "Amazon Silk", "Android", f"Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7233) {WEBKIT} Silk/1.0 Chrome/70"),
    ("tv", "HbbTV", "Linux", "Opera/9.80 (Linux armv7l; HbbTV/1.2.1 (; Philips; 40HFL5010T12;)"),
    ("tv", "Roku", "Roku", "Roku/DVP-9.10 (519.10E04111A)"),
    ("other", "curl", None, "curl/8.5.0"),
    ("other", "Edge", "Windows", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) {CHROME} Edge/44"),
    ("other", None, None, "analytics-python/2.2.3"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "browser", "system", "agent"), AGENTS)
def test_an_agent_is_read(
    enrichers: dict[EnricherName, Enricher], kind: str, browser: str | None, system: str | None, agent: str
) -> None:
    expected = {"class": kind, "browser": browser, "os": system}
    reading = enrichers[EnricherName.DEVICE].read(agent, "")
    assert reading.found == {name: value for name, value in expected.items() if value}
    assert (reading.value, reading.failed) == (None, None)


def test_what_is_cut_off_counts_for_nothing_and_families_are_short(enrichers: dict[EnricherName, Enricher]) -> None:
    read = enrichers[EnricherName.DEVICE].read
    assert read("x" * TEXT_LENGTH_MAX + " iPhone", "").found == {"class": "other"}
    found = read(f"{'App' * 60}/1.0 CFNetwork/1494 Darwin/23.4.0", "").found
    assert found is not None
    assert len(found["browser"]) <= FAMILY_LENGTH_MAX


def test_an_empty_text_is_no_agent(enrichers: dict[EnricherName, Enricher]) -> None:
    assert enrichers[EnricherName.DEVICE].read("  ", "") == (None, None, None)

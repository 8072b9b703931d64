"""The user agent of an event: class of device, family of browser or app, family of operating system.

Models and versions are left out: they change every month, tell persons apart, and help no one who answers a customer.
"""

import re
from functools import lru_cache
from itertools import takewhile
from typing import Final

from ua_parser import BasicResolver, Device, Parser, load_builtins
from ua_parser.core import Matcher

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import CACHED_READINGS_MAX, NOTHING, Enricher, Reading

PATHS: Final = (
    ("user_agent",),
    ("userAgent",),
    ("useragent",),
    ("context", "userAgent"),
    ("context", "user_agent"),
)
#: The longest that browsers within apps send have some 400 characters. Reading takes a time that grows with it.
TEXT_LENGTH_MAX: Final = 512
#: Families are cut there: those of apps are whatever their makers wrote.
FAMILY_LENGTH_MAX: Final = 64

_BOTS: Final = frozenset({"HeadlessChrome", "PhantomJS"})
# Cubot makes phones.
_BOT: Final = re.compile(r"(?<!cu)bot\b|crawler\b|spider\b", re.IGNORECASE)
_TV: Final = re.compile(
    r"smart-?tv|\bhbbtv|(?:apple|google|android) ?tv|\broku\b|\bcrkey\b|\baft[a-z]|bravia|web0s|netcast|viera|\btv\b",
    re.IGNORECASE,
)
# Every second Windows of its time said that it knew what a tablet PC is.
_TABLET: Final = re.compile(
    r"ipad|tablet(?! pc)|kindle|\bkf[a-z]{3,}\b|playbook|\bsm-[tx]\d|\bpad\b|\btab\b", re.IGNORECASE
)
_CONSOLE: Final = re.compile(r"playstation|xbox|nintendo", re.IGNORECASE)
_PHONE_SYSTEMS: Final = frozenset(
    {"iOS", "Android", "Windows Phone", "Windows Mobile", "BlackBerry OS", "KaiOS", "Symbian OS", "Firefox OS"}
)
_DESKTOP_SYSTEMS: Final = frozenset(
    {
        *("Windows", "Mac OS X", "Mac OS", "Linux", "Chrome OS", "FreeBSD", "OpenBSD", "NetBSD", "Solaris"),
        *("Ubuntu", "Debian", "Fedora", "Red Hat", "CentOS", "Arch Linux", "Mint", "SUSE", "Gentoo", "Slackware"),
    }
)
_SPIDER: Final = "Spider"


class AgentReader:
    """The library's rules for browsers, systems and robots.

    Its six hundred rules for models of devices take as long as all others together, and are left out: a class is told
    from words that agents use.
    """

    def __init__(self) -> None:
        browsers, systems, devices = load_builtins()
        # Robots stand before all models, and once more, told by a single word, after those that have none of theirs.
        surely = list(takewhile(_is_spider, devices))
        self._perhaps = [matcher for matcher in devices[len(surely) :] if _is_spider(matcher)]
        self._parser = Parser(BasicResolver((browsers, systems, surely)))

    def read(self, text: str) -> dict[str, str]:
        """Class of device, and families of browser and system where they are known."""
        result = self._parser.parse(text)
        browser = result.user_agent.family if result.user_agent else ""
        system = result.os.family if result.os else ""
        robot = result.device is not None or (not system and any(matcher(text) for matcher in self._perhaps))
        found = {"class": "bot" if robot or browser in _BOTS else device_class(text, system)}
        if browser:
            found["browser"] = browser[:FAMILY_LENGTH_MAX]
        if system:
            found["os"] = system[:FAMILY_LENGTH_MAX]
        return found


def device_class(text: str, system: str) -> str:
    """One of bot, tv, tablet, phone, desktop and other, by the words of an agent and its family of systems."""
    if _BOT.search(text):
        return "bot"
    if _CONSOLE.search(text):
        return "other"
    if _TV.search(text):
        return "tv"
    # A browser on Android says Mobile on a phone, and nothing on a tablet; apps say neither.
    large = system == "Android" and text.startswith("Mozilla/") and "Mobile" not in text
    if large or _TABLET.search(text):
        return "tablet"
    if system in _PHONE_SYSTEMS:
        return "phone"
    return "desktop" if system in _DESKTOP_SYSTEMS else "other"


def enricher() -> Enricher:
    """Reads the user agent in an event's data."""
    reader = AgentReader()

    @lru_cache(maxsize=CACHED_READINGS_MAX)
    def read_whole(text: str) -> Reading:
        return Reading(found=reader.read(text))

    def read(text: str, _region: str) -> Reading:
        trimmed = text.strip()[:TEXT_LENGTH_MAX]
        return read_whole(trimmed) if trimmed else NOTHING

    return Enricher(EnricherName.DEVICE, read, paths=PATHS)


def _is_spider(matcher: Matcher[Device]) -> bool:
    return getattr(matcher, "family", None) == _SPIDER

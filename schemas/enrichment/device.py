"""The user agent of an event: class of device, family of browser or app, family of operating system.

Models and versions are left out: they change every month, tell persons apart, and help no one who answers a customer.
"""

import re
from functools import lru_cache
from typing import Final

from ua_parser import BasicResolver, Parser, Result, load_builtins

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
_TV: Final = re.compile(
    r"smart-?tv|\bhbbtv|(?:apple|google|android) ?tv|\broku\b|\bcrkey\b|\baft[a-z]|bravia|web0s|netcast|viera|\btv\b",
    re.IGNORECASE,
)
_TABLET: Final = re.compile(
    r"ipad|tablet|kindle|playbook|\bsm-[tx]\d|\btab\b|\bpad\b|nexus (?:7|9|10)\b", re.IGNORECASE
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


def device_class(text: str, result: Result) -> str:
    """One of bot, tv, tablet, phone, desktop and other."""
    device, browser = result.device, result.user_agent
    system = result.os.family if result.os else ""
    if (device and device.family == "Spider") or (browser and browser.family in _BOTS):
        return "bot"
    if _CONSOLE.search(text):
        return "other"
    if _TV.search(text):
        return "tv"
    # A browser on Android says Mobile on a phone, and nothing on a tablet; apps say neither.
    large = system == "Android" and text.startswith("Mozilla/") and "Mobile" not in text
    if large or _TABLET.search(f"{device.family} {device.model}" if device else "") or "Tablet" in text:
        return "tablet"
    if system in _PHONE_SYSTEMS:
        return "phone"
    return "desktop" if system in _DESKTOP_SYSTEMS else "other"


def enricher() -> Enricher:
    """Reads the user agent in an event's data."""
    parser = Parser(BasicResolver(load_builtins()))

    @lru_cache(maxsize=CACHED_READINGS_MAX)
    def read_whole(text: str) -> Reading:
        result = parser.parse(text)
        found = {"class": device_class(text, result)}
        if result.user_agent:
            found["browser"] = result.user_agent.family[:FAMILY_LENGTH_MAX]
        if result.os:
            found["os"] = result.os.family[:FAMILY_LENGTH_MAX]
        return Reading(found=found)

    def read(text: str, _region: str) -> Reading:
        trimmed = text.strip()[:TEXT_LENGTH_MAX]
        return read_whole(trimmed) if trimmed else NOTHING

    return Enricher(EnricherName.DEVICE, read, paths=PATHS)

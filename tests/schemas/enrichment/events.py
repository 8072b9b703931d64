"""Events to enrich, read and cleaned as intake does it, and a strategy for any that may come."""

import json
from typing import Any

from hypothesis import strategies as st

from schemas.cleaning import Cleaned, Cleaner
from schemas.errors import EventError
from schemas.event import CloudEvent, parse_structured
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.limits import TRAITS_MAX
from schemas.sources import SourceRegistry
from schemas.topics import DEFAULT_CHANNELS

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1"
NOW = "2026-11-22T10:00:00Z"
CLEANER = Cleaner(
    policy=DEFAULT_POLICY,
    registry=SourceRegistry(),
    keyring=Keyring(b"a secret that tests share"),
    channels=DEFAULT_CHANNELS,
)


def encoded(data: dict[str, Any], time: str = NOW, number: int = 1) -> bytes:
    """An event of these data, as it is sent."""
    envelope = {
        "specversion": "1.0", "id": f"e-{number}", "source": "shop-web", "type": "form.sent", "time": time,
        "channel": "web", "data": {"identifiers": {"cookie": "c-77", "email": "ann@example.com"}, **data},
    }  # fmt: skip
    return json.dumps(envelope).encode()


def event(data: dict[str, Any], time: str = NOW, number: int = 1) -> CloudEvent:
    return parse_structured(encoded(data, time, number))


def clean(parsed: CloudEvent) -> Cleaned:
    return CLEANER.clean(parsed, topic_channel=None, now_us=1 << 60)


def is_acceptable(data: dict[str, Any]) -> bool:
    """Whether cleaning lets it through."""
    try:
        clean(event(data))
    except EventError:
        return False
    return True


_NAMES = st.sampled_from(
    ["phone", "mobile", "PHONE", "email", "work_email", "first_name", "name", "country", "at", "birthday", "x/~y",
     "email_domain", "phone_region", "city", "fax", "tel"]
) | st.text(min_size=1, max_size=64)  # fmt: skip
_TELLING = st.sampled_from(
    ["+31 612345678", "020-1234567", "NL", "Ann@GMAIL.com", " Ann  Ex ", "2026-11-22T12:00:00+02:00", IPHONE,
     "2026-99-99T99:99:99+99:99", "Waar blijft mijn pakket?", "+" + "9" * 300, "\u0958" * 300, "a@" + "b." * 300,
     '"\\', "\u202e\ufeff\u200b"]
)  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=100) | _TELLING,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)  # fmt: skip
#: Data of events, hostile and not, with names that enrichers look for.
DATA = st.fixed_dictionaries(
    {"traits": st.dictionaries(_NAMES, _VALUES, max_size=TRAITS_MAX // 4)},
    optional={
        "user_agent": _VALUES, "userAgent": _VALUES, "text": _VALUES, "message": _VALUES, "body": _VALUES,
        "context": _VALUES | st.dictionaries(st.sampled_from(["userAgent", "user_agent"]), _VALUES),
        "summary": st.text(max_size=200) | _TELLING,
    },
).filter(is_acceptable)  # fmt: skip
TIMES = st.sampled_from([NOW, "2026-11-22T12:00:00.123456789+02:00", "1970-01-01T23:59:59-00:01"])

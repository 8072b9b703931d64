"""Raw records of many forms, most of them good, drawn by chance: whatever intake may meet, told or broken somewhere."""

import json
from random import Random
from typing import Any, NamedTuple

NOW_MS = 1_795_341_600_000
CHANNELS = ("web", "crm")
#: For `sources.yaml`.
SOURCES = """
sources:
  shop-web: {channel: web, rank: 3, grades: {"*": claimed, user.logged_in: login}}
  crm-sync: {channel: crm, rank: 9, grades: {"*": record}, namespace: other}
  billing: {rank: -2, realm: brand2, grades: {identity.merged: record}}
  legacy: {mapping: legacy.yaml, default_for: crm}
"""
MAPPING = """
version: 1
source: legacy
event:
  id: id
  type: "'ticket.created'"
  time: at
  data:
    identifiers: {email: mail}
"""

_TIMES = (
    "2026-11-22T09:00:00Z", "2026-11-22T09:00:00.5Z", "2026-11-22T10:00:00.123456789+02:00", "2026-11-22t09:00:00Z",
    "2026-11-22 09:00:00Z", "2024-02-29T00:00:00.000001Z", "2023-02-29T00:00:00Z", "2026-11-22T09:00:00-00:00",
    "2026-11-22T09:00:00.123456+00:00", "1970-01-01T00:00:00+00:01", "1969-12-31T23:59:59-01:00", "2026-11-22",
    "2026-11-22T24:00:00Z", "2026-11-22T09:00:60Z", "2026-11-22T09:00:00.Z", "2026-11-22T10:10:00Z",
    "2099-01-01T00:00:00Z",
    "2026-11-22T09:00:00.1234567890Z", "2026-11-22T09:00:00+24:00", "2026-11-22T09:00:0\u0660Z", "",
    "9999-12-31T23:59:59Z",
)  # fmt: skip
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.0, 1.5, -0.0, 0.25, 0.0001, 1e15, 1e300, 123456.789, 2**53, 2**63, 2**64, 10**30,
    "", " ",
    "x", "\u00e9", "a\u0000b", "\u2028", 'q"\\/\b\f\n\r\t\x01\x7f', "x" * 129, "\u00e9" * 257, "\U0001f600", "null",
    "anonymous",
    [], {}, [None], [[]], {"a": 1}, {"": 1}, {"b": 1, "a": {"d": [2], "c": None}}, [1, "a", None], ["a"] * 17, "in",
    "out",
    "+31 20 123 4567", "020 1234567", "Ann@Example.COM", "ann@ex\u00e4mple.com", "a+b@gmail.com",
    "Dit is een zin over een pakje",
    "Where is the parcel that I ordered a week ago?",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 15_0 like Mac OS X) Mobile/15E148",
    "x" * 1100, "Wort " * 80, {f"k{number}": number for number in range(65)}, [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]],
)  # fmt: skip
_ATTRIBUTES = (
    "specversion", "id", "source", "type", "time", "channel", "datacontenttype", "data", "data_base64", "timeassigned",
    "rawdigest", "traceparent", "sentAt", "subject", "x/y",
)  # fmt: skip
_MEMBERS = (
    "identifiers", "traits", "summary", "direction", "session", "refs", "permissions", "groups", "parties", "other",
    "link",
    "user_agent", "userAgent", "context", "text", "message", "body", "sentAt", "traceparent", "amount",
)  # fmt: skip
_KINDS = (
    "crm", "account", "email", "national_id", "loyalty", "social", "phone", "app", "device", "cookie", "session", "ip",
    "company", "household", "own-kind.1", "Bad", "", "x" * 33,
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    "c-1", "c-2", "C-3 ", 8812, 0, -5, 2**70, "ann@example.com", "Bob@Example.com", "+31201234567", "null", "0000",
    None, [],
    "twitter:Ann", "{550e8400e29b41d4a716446655440000}", "111222333", ["a@x.nl", "b@x.nl"], ["a@x.nl", None, 5],
    [None], 1.5,
    True, {}, "x" * 256, "x" * 257, " " * 300, "\u00e9" * 200, "info@example.com", "\u0430nn@example.com", "a\u0000",
)  # fmt: skip
_TRAITS = (
    "email", "phone", "mobile", "name", "firstName", "city", "country", "countrycode", "birthday", "last_login", "vip",
    "email_domain", "phone_region", "x" * 65, "", "a/b",
)  # fmt: skip
_SMALL = (
    '"a":1,', "\\u0000", "\\ud800", "\\ud83d\\ude00", "\\u00e9", "\\\\u0000", "\\/", "\x00", "1e999", "  ", "\n",
    "NaN", "-", "0",
    ".5", "e1", "[", "}", '"', ",", ":", "\\",
)  # fmt: skip
# The first is what collect writes.
_HEADERS: tuple[tuple[tuple[str, bytes | None], ...], ...] = (
    *((("content-type", b"application/cloudevents+json"),),) * 5,
    (("content-type", b"application/cloudevents+json; charset=utf-8"),),
    (("Content-Type", b"Application/CloudEvents+JSON"),),
    (("content-type", b"application/cloudevents-batch+json"),),
    (("content-type", b"application/cloudevents+avro"),),
    (("content-type", b"application/cloudevents+json-avro"),),
    (("content-type", b"application/json"),),
    (("content-type", None),),
    (("gt-source", b"legacy"),),
    (("content-type", b"application/cloudevents+json"), ("gt-source", b"legacy")),
    (("content-type", b"application/cloudevents+json"), ("ce_id", b"1")),
    (("content-type", b"application/cloudevents+json"), ("content-type", b"application/json")),
    (("ce_id", b"1"),),
    (("other", b"x"),),
)


class Raw(NamedTuple):
    """A record as a stage gives it to intake."""

    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    key: bytes | None = b"producer's key"
    topic: str = "gt.raw.web"
    partition: int = 1
    offset: int = 0
    timestamp: int = NOW_MS


class OddRecords:
    """Records by chance: what is drawn with the same seed is the same."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)

    def draw(self, count: int, topic: str = "gt.raw.web") -> list[Raw]:
        """Records of one partition, in order."""
        return [self._record(topic)._replace(offset=offset) for offset in range(count)]

    def _record(self, topic: str) -> Raw:
        chance = self._chance
        event = self._event(topic.rpartition(".")[2])
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
            self._spoil(event)
        members = list(event.items())
        if chance.random() < 0.3:
            chance.shuffle(members)
        separators = chance.choice(((",", ":"), (", ", ": ")))
        text = json.dumps(dict(members), ensure_ascii=chance.random() < 0.5, separators=separators)
        for _ in range(chance.choice((0, 0, 0, 0, 0, 1))):
            place = chance.randrange(len(text))
            cut = chance.choice((0, 0, 1, 5))
            text = text[:place] + chance.choice(_SMALL) + text[place + cut :]
        value: bytes | None = text.encode("utf-8", "surrogatepass")
        if chance.random() < 0.02:
            value = chance.choice(
                (None, b"", b"null", b"[]", b"\xff", b"\x00\x00\x00\x00\x01x", b"\xef\xbb\xbf{}", text[:40].encode())
            )
        headers = chance.choice(_HEADERS) if chance.random() < 0.2 else ()
        return Raw(value, headers, topic=topic, timestamp=NOW_MS + chance.choice((0, 1, 999)))

    def _event(self, channel: str) -> dict[str, Any]:
        chance = self._chance
        source = {"web": ("shop-web", "billing", "unknown"), "crm": ("crm-sync", "billing", "unknown")}[channel]
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"e-{chance.randrange(400)}",
            "source": chance.choice(source),
            "type": chance.choice(("page.viewed", "user.logged_in", "order.placed", "page.viewed")),
            "time": chance.choice(_TIMES)
            if chance.random() < 0.3
            else f"2026-11-{chance.randrange(1, 22):02d}T10:00:00Z",
        }
        if chance.random() < 0.8:
            event["channel"] = channel
        event["data"] = self._data()
        return event

    def _data(self) -> dict[str, Any]:
        chance = self._chance
        number = chance.randrange(60)
        data: dict[str, Any] = {"identifiers": {"email": f"ann.{number}@example.com", "cookie": f"c-{number}"}}
        if chance.random() < 0.3:
            data["identifiers"][chance.choice(_KINDS[:14])] = chance.choice(_VALUES[:20])
        if chance.random() < 0.5:
            data["traits"] = {chance.choice(_TRAITS[:13]): chance.choice(_ODD) for _ in range(chance.randrange(1, 4))}
        if chance.random() < 0.4:
            data[chance.choice(("summary", "text", "message", "user_agent", "userAgent"))] = chance.choice(_ODD[44:])
        if chance.random() < 0.2:
            data["context"] = {chance.choice(("userAgent", "user_agent", "x")): chance.choice(_ODD[-8:])}
        if chance.random() < 0.2:
            data["refs"] = [
                {
                    "kind": chance.choice(("order", "order", "")),
                    "id": chance.choice((1, "2", "x" * 257)),
                    "status": status,
                }
                for status in chance.choice((("open",), (None, 5), ("open",) * 17))
            ]
        if chance.random() < 0.2:
            data["permissions"] = chance.choice(
                (
                    {"email": {"b": True, "a": False}},
                    {"sms": None},
                    {"": {"a": True}},
                    {"email": {"a": 1}},
                    {"z": {}, "a": {"p": True}},
                )
            )
        if chance.random() < 0.2:
            data["groups"] = chance.choice(
                ({"team": "b", "club": ["b", "a", None, 3]}, {"Bad": "a"}, {"team": " a "}, {"team": "x" * 257})
            )
        if chance.random() < 0.1:
            data["link"] = chance.choice((True, False, None))
        return data

    def _spoil(self, event: dict[str, Any]) -> None:
        chance, data = self._chance, event.get("data")
        which = chance.random()
        if which < 0.3:
            event[chance.choice(_ATTRIBUTES)] = chance.choice(_ODD)
        elif which < 0.4:
            event.pop(chance.choice(list(event)))
        elif which < 0.5:
            event["type"] = chance.choice(("identity.merged", "identity.removed", "identity.replaced"))
        elif isinstance(data, dict):
            named = data.get(chance.choice(("identifiers", "traits")))
            if which < 0.7 or not isinstance(named, dict):
                data[chance.choice(_MEMBERS)] = chance.choice(_ODD)
            elif which < 0.85:
                named[chance.choice(_KINDS)] = chance.choice(_VALUES)
            else:
                named[chance.choice(_TRAITS)] = chance.choice(_ODD)

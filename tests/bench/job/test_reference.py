"""The reference against a case that was worked out by hand, and its indifference to order and copies."""

import json
import random

from bench.job.reference import expect, read_time, write_time

ANN = "a" * 32
EVENTS = [
    {
        "id": "1",
        "source": "shop",
        "type": "page.viewed",
        "time": "2025-01-06T10:00:00Z",
        "channel": "web",
        "direction": "in",
        "summary": "Viewed",
        "traits": {"city": "Ghent", "visits": 1},
        "data": {"url": "/a"},
    },
    # Half a second later, which as text would sort before the whole second.
    {
        "id": "2",
        "source": "shop",
        "type": "page.viewed",
        "time": "2025-01-06T10:00:00.500Z",
        "channel": "web",
        "traits": {"visits": 2},
        "data": {},
    },
    # At the same moment as the first: the greater id decides.
    {
        "id": "0",
        "source": "shop",
        "type": "mail.sent",
        "time": "2025-01-06T10:00:00Z",
        "channel": "email",
        "direction": "out",
        "traits": {"city": "Essen"},
        "data": {},
    },
    {
        "id": "9",
        "source": "desk",
        "type": "call.ended",
        "time": "2025-01-05T23:59:59.000001Z",
        "channel": "voice",
        "direction": "in",
        "summary": "Called",
        "data": {},
    },
]


def test_a_case_by_hand() -> None:
    expectation = expect((ANN, event) for event in EVENTS)
    document = json.loads(expectation.documents[ANN])
    assert document["traits"] == {
        "city": {"value": "Ghent", "time": "2025-01-06T10:00:00Z", "source": "shop", "event": "1"},
        "visits": {"value": 2, "time": "2025-01-06T10:00:00.500Z", "source": "shop", "event": "2"},
    }
    assert document["channels"]["web"] == {
        "interactions": 2,
        "first": "2025-01-06T10:00:00Z",
        "last": "2025-01-06T10:00:00.500Z",
    }
    assert document["types"]["mail.sent"]["interactions"] == 1
    assert document["days"] == {"2025-01-05": {"voice": 1}, "2025-01-06": {"web": 2, "email": 1}}
    assert document["last"] == {
        "in": {"time": "2025-01-06T10:00:00Z", "channel": "web", "summary": "Viewed"},
        "out": {"time": "2025-01-06T10:00:00Z", "channel": "email", "summary": ""},
    }
    assert document["interactions"]["count"] == 4
    assert document["interactions"]["first"] == "2025-01-05T23:59:59.000001Z"
    assert document["interactions"]["last"] == "2025-01-06T10:00:00.500Z"
    assert [each["id"] for each in document["interactions"]["recent"]] == ["2", "1", "0", "9"]
    assert "direction" not in document["interactions"]["recent"][0]


def test_order_and_copies_change_nothing() -> None:
    mixed = EVENTS * 3
    random.Random(1).shuffle(mixed)
    whole, again = expect((ANN, event) for event in EVENTS), expect((ANN, event) for event in mixed)
    assert whole.documents == again.documents
    assert whole.interactions == again.interactions


def test_only_the_ten_newest_are_shown() -> None:
    events = [EVENTS[1] | {"id": f"{number:02}", "time": f"2025-01-06T10:00:{number:02}Z"} for number in range(25)]
    document = json.loads(expect((ANN, event) for event in events).documents[ANN])
    assert [each["id"] for each in document["interactions"]["recent"]] == [
        f"{number:02}" for number in range(24, 14, -1)
    ]
    assert document["interactions"]["count"] == 25


def test_times_are_written_with_as_few_digits_as_say_them() -> None:
    for text in ("2025-01-06T10:00:00Z", "2025-01-06T10:00:00.500Z", "2025-01-06T10:00:00.000001Z"):
        assert write_time(read_time(text)) == text

"""The steady flow: the same for the same seed, with new customers all the time, copies, and no end."""

import json
from itertools import islice

from bench.steady_events import EVENTS_PER_CUSTOMER, steady_events


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_customers() -> None:
    first, second, other = (list(islice(steady_events(seed), 500)) for seed in (1, 1, 2))
    assert first == second
    named = [{json.dumps(json.loads(event.value)["data"]["identifiers"]) for event in flow} for flow in (first, other)]
    assert not named[0] & named[1]


def test_copies_are_equal_to_what_came_before_and_all_others_are_new() -> None:
    seen: dict[str, bytes] = {}
    copies = 0
    for event in islice(steady_events(duplicate_share=0.2), 5_000):
        if event.is_copy:
            copies += 1
            assert seen[event.id] == event.value
        else:
            assert event.id not in seen
            seen[event.id] = event.value
    assert 800 < copies < 1_200


def test_customers_keep_coming_and_padding_makes_events_large() -> None:
    cookies = {
        cookie
        for event in islice(steady_events(duplicate_share=0), 1_000)
        if (cookie := json.loads(event.value)["data"]["identifiers"].get("cookie"))
    }
    assert len(cookies) == 1_000 / EVENTS_PER_CUSTOMER
    assert all(len(event.value) > 9_000 for event in islice(steady_events(padding_bytes=9_000), 10))

"""Goal: a dead letter tells all there is to know, and always fits into a record."""

import pytest

from schemas.dead_letters import (
    KEY_SIZE_BYTES_MAX,
    MESSAGE_LENGTH_MAX,
    ORIGINAL_HEADERS_MAX,
    ORIGINAL_HEADERS_SIZE_BYTES_MAX,
    VALUE_SIZE_BYTES_MAX,
    DeadLetter,
    dead_letter,
)
from schemas.errors import DeadCode, EventError
from schemas.topics import Header

ERROR = EventError(DeadCode.INVALID_TIME, "time is no time", "/time")
# One record of ours takes no more; see streams.kafka.
RECORD_SIZE_BYTES_MAX = 1024 * 1024 - 1024


def _size_bytes(letter: DeadLetter) -> int:
    # Of each header a record holds the lengths of both parts, too; four bytes tell any length that fits.
    headers = sum(len(name.encode()) + len(content) + 8 for name, content in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def test_a_letter_holds_the_original_and_says_what_was_wrong_and_where_it_lay() -> None:
    letter = dead_letter(
        ERROR, stage="intake", key=b"k", value=b"v", topic="gt.raw.web", partition=3, offset=0, timestamp_ms=17,
        original=[("gt-code", b"older"), ("h", b"1")],
    )  # fmt: skip
    assert letter == DeadLetter(
        b"k",
        b"v",
        (
            ("gt-code", b"invalid_time"),
            ("gt-message", b"time is no time"),
            ("gt-pointer", b"/time"),
            ("gt-stage", b"intake"),
            ("gt-topic", b"gt.raw.web"),
            ("gt-partition", b"3"),
            ("gt-offset", b"0"),
            ("gt-timestamp-ms", b"17"),
            # The original's own come last; an older reason is none of this letter's.
            ("h", b"1"),
        ),
    )


def test_an_event_that_lay_nowhere_has_no_origin() -> None:
    letter = dead_letter(ERROR, stage="collect", key=None, value=None)
    assert (letter.key, letter.value) == (None, None)
    assert [name for name, _ in letter.headers] == ["gt-code", "gt-message", "gt-pointer", "gt-stage"]


def test_what_just_fits_is_whole() -> None:
    letter = dead_letter(ERROR, stage="s", key=b"k" * KEY_SIZE_BYTES_MAX, value=b"v" * VALUE_SIZE_BYTES_MAX)
    assert "gt-cut-from-bytes" not in dict(letter.headers)
    assert _size_bytes(letter) <= RECORD_SIZE_BYTES_MAX


def test_what_is_too_large_is_cut_and_its_size_told() -> None:
    size_bytes = VALUE_SIZE_BYTES_MAX + 1
    letter = dead_letter(ERROR, stage="s", key=None, value=b"v" * size_bytes)
    assert letter.value == b"v" * VALUE_SIZE_BYTES_MAX
    assert dict(letter.headers)["gt-cut-from-bytes"] == b"%d" % size_bytes


def test_a_key_that_is_too_large_is_cut() -> None:
    letter = dead_letter(ERROR, stage="s", key=b"k" * (KEY_SIZE_BYTES_MAX + 1), value=b"v")
    assert letter.key == b"k" * KEY_SIZE_BYTES_MAX
    assert letter.value == b"v"
    # The size that is told is that of a value.
    assert "gt-cut-from-bytes" not in dict(letter.headers)


@pytest.mark.parametrize(
    "original",
    [
        [("h", b"x" * ORIGINAL_HEADERS_SIZE_BYTES_MAX)],
        [("\U0001f600" * (ORIGINAL_HEADERS_SIZE_BYTES_MAX // 4), b"")],
        [("\U0001f600" * (ORIGINAL_HEADERS_SIZE_BYTES_MAX - 1), b"")],
        [("h", b"1")] * ORIGINAL_HEADERS_SIZE_BYTES_MAX,
        [("h", b"")] * 60_000,
        [("", b"")] * 300_000,
    ],
    ids=["value", "name that fits", "name of many bytes", "many", "many small", "many empty"],
)
def test_whatever_the_headers_the_letter_fits(original: list[Header]) -> None:
    error = EventError(DeadCode.INVALID_TIME, "\U0001f600" * 10_000, "/x")
    letter = dead_letter(
        error, stage="s", key=b"k" * 10**6, value=b"v" * 10**7, topic="t" * 249, partition=1, offset=10**18,
        timestamp_ms=10**13, original=original,
    )  # fmt: skip
    assert len(dict(letter.headers)["gt-message"].decode()) == MESSAGE_LENGTH_MAX
    assert _size_bytes(letter) <= RECORD_SIZE_BYTES_MAX


def test_a_file_name_that_is_no_unicode_is_replaced() -> None:
    letter = dead_letter(ERROR, stage="import", key=None, value=None, topic="import:\udcff.csv")
    assert dict(letter.headers)["gt-topic"] == b"import:?.csv"


def test_half_of_a_surrogate_pair_in_a_message_is_replaced() -> None:
    letter = dead_letter(EventError(DeadCode.INVALID_UTF8, "\ud800", "/\ud800"), stage="s", key=None, value=None)
    assert dict(letter.headers)["gt-message"] == b"?"


@pytest.mark.parametrize("excess", [0, 1])
def test_headers_that_are_too_many_are_left_out_and_their_number_told(excess: int) -> None:
    count = ORIGINAL_HEADERS_MAX + excess
    letter = dead_letter(ERROR, stage="s", key=None, value=b"v", original=[("", b"")] * count)
    assert letter.headers.count(("", b"")) == (0 if excess else count)
    assert dict(letter.headers).get("gt-headers-dropped") == (b"%d" % count if excess else None)


def test_headers_that_are_too_large_are_left_out_and_their_number_told() -> None:
    original = [("a", b""), ("h", b"x" * ORIGINAL_HEADERS_SIZE_BYTES_MAX)]
    letter = dead_letter(ERROR, stage="s", key=None, value=b"v", original=original)
    assert dict(letter.headers)["gt-headers-dropped"] == b"2"
    assert not {"a", "h"} & dict(letter.headers).keys()

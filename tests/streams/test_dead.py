"""Goal: letters are read as they were written, once each, or the broker is named. Method: a reader by hand."""

from collections.abc import Mapping

import pytest

import streams.dead
from schemas.errors import BrokerUnreachable
from schemas.topics import Catalogue
from streams.bulk import Chunk, Record
from streams.dead import DeadLetterRecord, read_dead
from streams.kafka import KafkaOptions

OWN = (("gt-code", b"not_json"), ("gt-message", b"m"), ("gt-pointer", b""), ("gt-stage", b"intake"))
ORIGIN = (("gt-topic", b"gt.raw.web"), ("gt-partition", b"1"), ("gt-offset", b"42"))


def _read(
    monkeypatch: pytest.MonkeyPatch, records: list[Record], *, end: int, silence_s_max: float = 60.0
) -> list[DeadLetterRecord]:
    class Reader:
        """One chunk, and then nothing."""

        def __init__(self, _kafka: KafkaOptions, _positions: Mapping[tuple[str, int], int], **_options: bool) -> None:
            self.waiting = [records]

        def watermarks(self, _topic: str, _partition: int) -> tuple[int, int]:
            return 0, end

        def read(self, _timeout_s: float) -> Chunk:
            return Chunk(self.waiting.pop() if self.waiting else [], {}, {}, 0)

        def close(self) -> None:
            pass

    monkeypatch.setattr(streams.dead, "BulkReader", Reader)
    return list(read_dead(KafkaOptions("nowhere:1"), Catalogue(), silence_s_max=silence_s_max))


def _record(offset: int, value: bytes | None, *headers: tuple[str, bytes]) -> Record:
    return Record("gt.dead", 0, offset, 1000, b"k", value, headers)


def test_of_two_headers_of_one_name_the_first_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    record = _record(0, b"v", *OWN, *ORIGIN, ("gt-code", b"forged"), ("gt-offset", b"7"), ("trace", b"t-1"))
    (letter,) = _read(monkeypatch, [record], end=1)
    assert (letter.code, letter.origin) == ("not_json", ("gt.raw.web", 1, 42))
    assert letter.headers == (("trace", b"t-1"),)


def test_a_repeated_letter_comes_once_and_one_without_origin_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        _record(0, b"v", *OWN, *ORIGIN),
        _record(1, b"v", *OWN, *ORIGIN),
        _record(2, b"other", *OWN, *ORIGIN),
        _record(3, b"", *OWN, *ORIGIN),
        _record(4, None, *OWN, *ORIGIN),
        _record(5, b"v", *OWN),
        _record(6, b"v", *OWN),
    ]
    assert [letter.offset for letter in _read(monkeypatch, records, end=7)] == [0, 2, 3, 4, 5, 6]


@pytest.mark.timeout(10)
def test_a_broker_that_falls_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerUnreachable, match="nothing came"):
        _read(monkeypatch, [_record(0, b"v", *OWN)], end=2, silence_s_max=0.05)


@pytest.mark.parametrize("number", ["²", "٣", "-1", "", "9" * 5_000])
def test_an_origin_whose_number_is_none_is_no_origin(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    records = [
        _record(0, b"v", *OWN, ("gt-topic", b"t"), ("gt-partition", number.encode()), ("gt-offset", b"1")),
        _record(1, b"v", *OWN, ("gt-topic", b"t"), ("gt-partition", b"1"), ("gt-offset", number.encode())),
    ]
    assert [letter.origin for letter in _read(monkeypatch, records, end=2)] == [None, None]


def test_what_came_over_http_has_a_name_for_its_origin_and_comes_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [_record(number, b"v", *OWN, ("gt-topic", b"hook:chat")) for number in range(2)]
    assert [letter.origin for letter in _read(monkeypatch, records, end=2)] == [("hook:chat", None, None)] * 2

"""Goal: producers are read as aiokafka reads them, only faster. Method: bytes as a broker writes them."""

from io import BytesIO

from streams.transaction_protocol import _Producers

PRODUCERS = [(7, 1, 41, 1_700_000_000_000, 3, 99), (8, 0, -1, -1, -1, -1)]


def _written(tags: bytes) -> bytes:
    untagged = [_Producers._FORM.pack(*producer, 0)[:-1] for producer in PRODUCERS]
    return b"\x03" + untagged[0] + tags + untagged[1] + b"\x00"


def test_producers_without_tags_are_read_at_once() -> None:
    written = _written(b"\x00")
    assert [each[:6] for each in _Producers.decode(BytesIO(written))] == PRODUCERS
    assert [each[:6] for each in _Producers._EACH.decode(BytesIO(written))] == PRODUCERS


def test_producers_with_tags_of_a_later_broker_are_read_one_by_one() -> None:
    rest = BytesIO(_written(b"\x01\x05\x02ab") + b"rest")
    assert [each[:6] for each in _Producers.decode(rest)] == PRODUCERS
    assert rest.read() == b"rest"

"""Goal: what is handed over together is what would be handed over one by one. Method: the messages are read back."""

import ctypes
from array import array
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import partition_of
from state.engine import Output
from state.native.loading import Library
from state.packed_outputs import Destination, Numbered, Packed, PackedOutputs, Piece, in_order, together

PARTITIONS = 7


class Message(ctypes.Structure):
    """`rd_kafka_message_t` of `rdkafka.h`."""

    _fields_ = (
        ("error", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32),
        ("value", ctypes.c_void_p), ("value_size", ctypes.c_size_t),
        ("key", ctypes.c_void_p), ("key_size", ctypes.c_size_t),
        ("offset", ctypes.c_int64), ("own", ctypes.c_void_p),
    )  # fmt: skip


def _piece(records: list[tuple[int, bytes, bytes]], first: int = 0) -> Piece:
    answer, marks = b"begin", array("I")
    for number, key, value in records:
        marks.extend((number, len(answer), len(answer) + len(key), len(answer) + len(key) + len(value)))
        answer += key + value
    return Piece(answer, marks, first)


def _read(address: int, count: int) -> list[tuple[int, bytes, bytes | None]]:
    messages = (Message * count).from_address(address)
    assert not any(each.error or each.topic or each.offset or each.own for each in messages)
    return [
        (
            each.partition,
            ctypes.string_at(each.key, each.key_size),
            None if each.value is None else ctypes.string_at(each.value, each.value_size),
        )
        for each in messages
    ]


RECORDS = st.lists(st.tuples(st.integers(0, 99), st.binary(max_size=40), st.binary(max_size=60)), max_size=20)


@given(st.lists(st.tuples(RECORDS, st.integers(0, 500)), min_size=1, max_size=4), st.integers(1, 2_000))
def test_messages_are_the_outputs_in_their_order_with_the_partitions_of_their_keys(
    library: Library, pieces: list[tuple[list[tuple[int, bytes, bytes]], int]], batch_size: int
) -> None:
    packed = Packed("t", library, [_piece(*each) for each in pieces])
    outputs = in_order(*packed.numbered())
    assert len(packed) == len(outputs)
    assert packed.size_bytes == sum(len(output.key or b"") + len(output.value or b"") for output in outputs)

    def read(address: int, counts: Sequence[int]) -> list[tuple[int, bytes, bytes | None]]:
        assert sum(counts) == len(packed)
        assert all(counts[:-1])
        return _read(address, len(packed))

    handed = packed.handed_over(Destination(PARTITIONS, 0, batch_size), read)
    assert handed == [(partition_of(output.key or b"", PARTITIONS), output.key, output.value) for output in outputs]
    handed = packed.handed_over(Destination(0, 3, batch_size), read)
    assert handed == [(3, output.key, output.value) for output in outputs]


def test_marks_that_point_past_an_answer_are_refused(library: Library) -> None:
    piece = Piece(b"short", array("I", (0, 0, 3, 6)), 0)
    assert Packed("t", library, [piece]).handed_over(Destination(PARTITIONS, 0, 1), lambda address, _: address) is None


def test_batches_are_no_larger_than_they_may_be_for_any_partition(library: Library) -> None:
    keys = [b"%d" % number for number in range(40)]
    packed = Packed("t", library, [_piece([(number, key, bytes(72 - len(key))) for number, key in enumerate(keys)])])
    # Each record takes 200 bytes.
    assert packed.handed_over(Destination(0, 1, 1_000), lambda _, counts: list(counts)) == [5] * 8
    assert packed.handed_over(Destination(0, 1, 100), lambda _, counts: list(counts)) == [1] * 40
    counts = packed.handed_over(Destination(2, 0, 1_000), lambda _, counts: list(counts)) or []
    places = [partition_of(key, 2) for key in keys]
    start = 0
    for count in counts:
        assert max(places[start : start + count].count(place) for place in (0, 1)) <= 5
        start += count
    assert start == len(keys)
    assert len(counts) < 8


def test_outputs_made_in_both_ways_are_one_sequence_in_order(library: Library) -> None:
    numbered = Numbered("t", library)
    numbered.hold(_piece([(1, b"b", b"2"), (0, b"a", b"1")], first=10))
    packed = numbered.ordered()
    assert isinstance(packed, Packed)
    assert list(PackedOutputs([packed])) == [Output("t", b"a", b"1"), Output("t", b"b", b"2")]
    numbered.add(5, [Output("t", b"c", None)])
    run = numbered.ordered()
    assert run == [Output("t", b"c", None), Output("t", b"a", b"1"), Output("t", b"b", b"2")]


def test_a_checkpoints_outputs_are_a_sequence_packed_or_not(library: Library) -> None:
    first, last = Output("s", b"k", b"v"), Output("u", None, b"w", (("h", b"1"),))
    packed = Packed("t", library, [_piece([(0, b"a", b"")])])
    outputs = together([[first], packed, [], [last]])
    assert isinstance(outputs, PackedOutputs)
    assert len(outputs) == 3
    assert list(outputs) == [first, Output("t", b"a", None), last]
    assert (outputs[1], outputs[-1], outputs[:1]) == (Output("t", b"a", None), last, [first])
    assert together([[first], [], [last]]) == [first, last]
    assert not together([[]])

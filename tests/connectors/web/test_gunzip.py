"""Bodies that come gzipped: taken apart within their bounds, whatever is in them."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.web.gunzip import MEMBERS_MAX, BrokenGzip, Gunzip, TooMuch
from tests.connectors.web.conftest import Service
from tests.connectors.web.problem_shape import assert_problem

Start = Callable[..., Awaitable[Service]]
JSON = {"Content-Type": "application/json"}
GZIP = JSON | {"Content-Encoding": "gzip"}
MEBIBYTE = 1024 * 1024


def _decoded(body: bytes, step: int = 1 << 16, *, size_bytes_max: int = MEBIBYTE, ratio_max: int = 5000) -> bytes:
    gunzip = Gunzip(size_bytes_max=size_bytes_max, ratio_max=ratio_max, free_bytes=0)
    into = bytearray()
    for start in range(0, len(body), step):
        gunzip.feed(body[start : start + step], into)
    gunzip.finish()
    return bytes(into)


@given(parts=st.lists(st.binary(max_size=200_000), min_size=1, max_size=4), step=st.integers(1, 5000))
@settings(max_examples=60, deadline=None)
def test_members_come_out_as_they_went_in_however_they_arrive(parts: list[bytes], step: int) -> None:
    body = b"".join(gzip.compress(part) for part in parts)
    assert _decoded(body, step) == b"".join(parts)


def test_long_matches_across_the_steps_of_decoding_come_out_whole() -> None:
    data = random.Random(7).randbytes(300) * 2500
    assert _decoded(gzip.compress(data), 97) == data


@given(cut=st.integers(min_value=0, max_value=1_000_000), data=st.binary(min_size=1, max_size=3000))
@settings(max_examples=60, deadline=None)
def test_every_cut_is_found(cut: int, data: bytes) -> None:
    body = gzip.compress(data)
    with pytest.raises(BrokenGzip):
        _decoded(body[: cut % len(body)])


def test_damage_is_found_by_the_checksum() -> None:
    body = bytearray(gzip.compress(b"a" * 5000, 0))
    body[2000] ^= 1
    with pytest.raises(BrokenGzip, match="damaged"):
        _decoded(bytes(body))


def test_what_comes_out_is_bounded_by_size_and_ratio() -> None:
    with pytest.raises(TooMuch, match="more than 1000 bytes"):
        _decoded(gzip.compress(bytes(1001)), size_bytes_max=1000)
    assert _decoded(gzip.compress(bytes(1000)), size_bytes_max=1000) == bytes(1000)
    with pytest.raises(TooMuch, match="more than 100 times"):
        _decoded(gzip.compress(bytes(500_000)), ratio_max=100)


def test_an_endless_row_of_members_is_refused() -> None:
    empty = gzip.compress(b"")
    assert _decoded(empty * MEMBERS_MAX) == b""
    with pytest.raises(BrokenGzip, match="members"):
        _decoded(empty * (MEMBERS_MAX + 1))


def test_a_bomb_costs_no_more_memory_than_may_come_out() -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(compressor.compress(bytes(MEBIBYTE)) for _ in range(64)) + compressor.flush()
    tracemalloc.start()
    try:
        with pytest.raises(TooMuch):
            _decoded(bomb)
        assert tracemalloc.get_traced_memory()[1] < 3 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
async def test_gzipped_body_is_taken(start: Start, encoding: str) -> None:
    service = await start()
    body = gzip.compress(b'{"a": 1}')
    answer = await service.client.post("/v1/echo", data=body, headers=JSON | {"Content-Encoding": encoding})
    assert await answer.json() == {"size_bytes": 8}


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"x" * 100)[:-3], b'{"a": 1}', b"", gzip.compress(b"{}") + b"rest", b"\x1f\x8b\x08\x00" + b"y" * 50],
    ids=["cut short", "plain", "empty", "something after it", "damaged"],
)
async def test_what_is_no_gzip_is_told_so(start: Start, body: bytes) -> None:
    service = await start()
    answer = await service.client.post("/v1/echo", data=body, headers=GZIP)
    await assert_problem(answer, 400, "invalid_encoding")


@pytest.mark.parametrize("limits", [{"body_size_bytes": 100_000}, {"expansion_ratio_max": 10}])
async def test_bomb_is_too_large(start: Start, limits: dict[str, int]) -> None:
    service = await start(**limits)
    answer = await service.client.post("/v1/echo", data=gzip.compress(bytes(2 * MEBIBYTE)), headers=GZIP)
    await assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "identity, gzip"])
async def test_other_encodings_are_refused_with_those_that_are_taken(start: Start, encoding: str) -> None:
    service = await start()
    answer = await service.client.post("/v1/echo", data=b"{}", headers=JSON | {"Content-Encoding": encoding})
    await assert_problem(answer, 415, "unsupported_encoding")
    assert answer.headers["Accept-Encoding"] == "gzip, identity"

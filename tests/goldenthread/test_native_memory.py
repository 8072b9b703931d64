"""The C library's allocator is told its bounds once, unless whoever starts the process has done so."""

import ctypes
from types import SimpleNamespace

import pytest

from goldenthread.processes.native_memory import bound_native_memory

MIB = 1024 * 1024
VARIABLES = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """What the allocator is told, by the numbers of malloc.h."""
    options: dict[int, int] = {}
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(mallopt=options.__setitem__))
    monkeypatch.setattr("sys.platform", "linux")
    return options


def test_few_heaps_mapped_buffers_and_some_memory_that_stays(told: dict[int, int]) -> None:
    bound_native_memory()
    assert told == {-8: 2, -3: 4 * MIB, -1: 64 * MIB, -2: 2 * MIB}


def test_what_the_environment_says_is_respected(told: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    bound_native_memory()
    assert told == {-3: 4 * MIB, -1: 64 * MIB, -2: 2 * MIB}


def test_another_c_library_is_left_alone(told: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    bound_native_memory()
    monkeypatch.setattr("sys.platform", "darwin")
    bound_native_memory()
    assert told == {}

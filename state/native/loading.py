"""Loads the library, and calls it: bytes in, bytes out, without the interpreter's lock meanwhile."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from state.native.sources import library_path

#: Of requests and answers, as `library.rs` has it.
VERSION: Final = 2
_DONE: Final = 0


class _Answer(ctypes.Structure):
    """Bytes that are the library's until they are given back."""

    _fields_ = (("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t), ("capacity", ctypes.c_size_t))


class Library:
    """The loaded library, for engines that go by the same settings each."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        buffer, answer = (ctypes.c_char_p, ctypes.c_size_t), ctypes.POINTER(_Answer)
        self._plan, self._step, self._messages, self._release = (
            handle.goldenthread_plan,
            handle.goldenthread_step,
            handle.goldenthread_messages,
            handle.goldenthread_release,
        )
        self._plan.argtypes = (*buffer, *buffer, answer)
        self._step.argtypes = (*buffer, *buffer, *buffer, answer)
        addresses = (ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_size_t), ctypes.c_size_t)
        self._messages.argtypes = (*addresses, *buffer, answer)
        self._release.argtypes, self._release.restype = (answer,), None

    def plan(self, settings: bytes, request: bytes) -> bytes | None:
        """What has to be at hand for the fragments of a request; None where it can't be read."""
        answer = _Answer()
        done = self._plan(settings, len(settings), request, len(request), answer)
        return self._taken(answer) if done == _DONE else None

    def step(self, settings: bytes, request: bytes, supply: bytes) -> bytes | None:
        """What becomes of the fragments of a request, with what was asked for; None where it can't be read."""
        answer = _Answer()
        done = self._step(settings, len(settings), request, len(request), supply, len(supply), answer)
        return self._taken(answer) if done == _DONE else None

    @contextmanager
    def messages(self, answers: Sequence[bytes], request: bytes) -> Iterator[int | None]:
        """The address of the client's messages of answers (see `client.rs`), while they are in use.

        None where the request can't be read.
        """
        made = _Answer()
        addresses = (ctypes.c_char_p * len(answers))(*answers)
        sizes = (ctypes.c_size_t * len(answers))(*map(len, answers))
        done = self._messages(addresses, sizes, len(answers), request, len(request), made)
        if done != _DONE:
            yield None
            return
        try:
            yield made.bytes
        finally:
            self._release(made)

    def _taken(self, answer: _Answer) -> bytes:
        try:
            return ctypes.string_at(answer.bytes, answer.size)
        finally:
            self._release(answer)


def load() -> Library | None:
    """The library of these sources; None where it is not built, or not for this machine."""
    path = library_path()
    if not path.exists():
        return None
    try:
        handle = ctypes.CDLL(str(path))
        return Library(handle) if handle.goldenthread_version() == VERSION else None
    except (OSError, AttributeError):
        return None

"""Loads the library, and calls it: bytes in, bytes out, without the interpreter's lock meanwhile."""

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from weakref import finalize

from state.native.sources import library_path

#: Of requests and answers, as `library.rs` has it.
VERSION: Final = 3
_DONE: Final = 0


class _Answer(ctypes.Structure):
    """Bytes that are the library's until they are given back."""

    _fields_ = (("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t), ("capacity", ctypes.c_size_t))


class _Piece(ctypes.Structure):
    """Bytes of ours; whoever makes it keeps them."""

    _fields_ = (("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Library:
    """The loaded library.

    Of the context stage, the first call says what has to be at hand for a request, and the second what becomes of it
    with that; None where the request can't be read.
    """

    def __init__(self, handle: ctypes.CDLL) -> None:
        buffer, answer = (ctypes.c_char_p, ctypes.c_size_t), ctypes.POINTER(_Answer)
        self._plan, self._step = handle.goldenthread_plan, handle.goldenthread_step
        self._release = handle.goldenthread_release
        self._plan.argtypes = (*buffer, *buffer, answer)
        self._step.argtypes = (*buffer, *buffer, *buffer, answer)
        self._begin_intake, self._end_intake = handle.goldenthread_intake_begin, handle.goldenthread_intake_end
        self._begin_intake.argtypes, self._begin_intake.restype = (ctypes.c_size_t,), ctypes.c_void_p
        self._end_intake.argtypes, self._end_intake.restype = (ctypes.c_void_p,), None
        self._intake = handle.goldenthread_intake
        self._intake.argtypes = (ctypes.c_void_p, *buffer, *buffer, *buffer, answer)
        pieces = (ctypes.POINTER(_Piece), ctypes.c_size_t)
        self._messages, self._table = handle.goldenthread_messages, handle.goldenthread_table
        self._messages.argtypes = (*pieces, *buffer, answer)
        self._table.argtypes = (*buffer, *pieces)
        self._release.argtypes, self._release.restype = (answer,), None

    def plan(self, settings: bytes, request: bytes) -> bytes | None:
        """What has to be at hand for the fragments of a request."""
        return self._said(self._plan, settings, request)

    def step(self, settings: bytes, request: bytes, supply: bytes) -> bytes | None:
        """What becomes of the fragments of a request, with what was asked for."""
        return self._said(self._step, settings, request, supply)

    def for_intake(self, settings: bytes, kept_size_bytes_max: int) -> "IntakeLibrary":
        """The library for an intake with these settings, which keeps so much of what it is told."""
        kept = self._begin_intake(kept_size_bytes_max)
        intake = IntakeLibrary(partial(self._said, partial(self._intake, kept), settings))
        # Whatever holds the intake's call holds the library.
        finalize(intake, self._end_intake, kept)
        return intake

    def _said(self, call: Callable[..., int], *given: bytes) -> bytes | None:
        answer = _Answer()
        done = call(*(each for buffer in given for each in (buffer, len(buffer))), answer)
        return self._taken(answer) if done == _DONE else None

    @contextmanager
    def messages(self, answers: Sequence[bytes], request: bytes) -> Iterator[tuple[int, int] | None]:
        """Where the client's messages of answers are, with what is said of them (`client.rs`), while they are in use.

        An address and a size; None where the request can't be read.
        """
        made = _Answer()
        # The answers are the caller's, who keeps them meanwhile.
        pieces = [_Piece(ctypes.cast(ctypes.c_char_p(answer), ctypes.c_void_p), len(answer)) for answer in answers]
        done = self._messages((_Piece * len(pieces))(*pieces), len(pieces), request, len(request), made)
        if done != _DONE:
            yield None
            return
        try:
            yield made.bytes, made.size
        finally:
            self._release(made)

    def write_table(self, path: Path, batches: Sequence[bytearray]) -> bool:
        """Write rows as a new file that a store can take in, of each key what came last; it is on the disk then.

        Args:
            path: The file.
            batches: Each an array of MessagePack: an array of keys, and one of their values, nil where one is deleted.

        Returns whether it was written; not where there is no row.

        Raises:
            OSError: the system did not let it be written.
        """
        name = os.fsencode(path)
        # What is held so can't be moved by whoever else has it.
        held = [(ctypes.c_char * 0).from_buffer(batch) for batch in batches]
        pieces = [_Piece(ctypes.addressof(begin), len(batch)) for begin, batch in zip(held, batches, strict=True)]
        failed = self._table(name, len(name), (_Piece * len(pieces))(*pieces), len(pieces))
        if failed > 0:
            raise OSError(failed, os.strerror(failed), str(path))
        return bool(failed == _DONE)

    def _taken(self, answer: _Answer) -> bytes:
        try:
            return ctypes.string_at(answer.bytes, answer.size)
        finally:
            self._release(answer)


class IntakeLibrary:
    """The library for one intake: it is told what it asks for once, and knows it from then on."""

    def __init__(self, call: Callable[[bytes, bytes], bytes | None]) -> None:
        self._call = call

    def take(self, request: bytes, told: bytes = b"") -> bytes | None:
        """What becomes of a slice of raw records; or what it asks for, where it is told nothing.

        None where the request can't be read.
        """
        return self._call(request, told)


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

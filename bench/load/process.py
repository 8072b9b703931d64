"""A load in a process of its own: its plan goes in by a file, what became of it comes out by another."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from schemas.errors import RestartNeeded
from streams.lifeline import lifeline

# So much longer than its own time a load may take: its last answers, and the interpreter's start.
_GRACE_SECONDS: Final = 90.0

Plan = TypeVar("Plan", bound=msgspec.Struct)
Outcome = TypeVar("Outcome", bound=msgspec.Struct)


class LoadProcess:
    """One that has begun.

    Args:
        module: Its main module, which calls `play`.
        plan: What to do.
        folder: Where its files go.
    """

    def __init__(self, module: str, plan: msgspec.Struct, folder: Path) -> None:
        self._module = module
        self._log = folder / f"{module}.log"
        self._outcome = folder / f"{module}.outcome"
        given = folder / f"{module}.plan"
        given.write_bytes(msgspec.msgpack.encode(plan))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command.
                lifeline([sys.executable, "-m", module, str(given), str(self._outcome)]), stdout=log, stderr=log
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def outcome(self, kind: type[Outcome], seconds: float) -> Outcome:
        """Wait for its end.

        Args:
            kind: What it gives.
            seconds: How long it is meant to take.

        Raises:
            RestartNeeded: it failed, or did not end in time.
        """
        try:
            code = self._process.wait(seconds + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()
            raise RestartNeeded(f"{self._module} did not end in time") from None
        if code != 0:
            raise RestartNeeded(f"{self._module} failed:\n{self._log.read_text(errors='replace')[-2_000:]}")
        return msgspec.msgpack.decode(self._outcome.read_bytes(), type=kind)

    def end(self) -> None:
        """End it now, if it runs."""
        if self.running:
            self._process.kill()
            self._process.wait()


def play(plan: type[Plan], act: Callable[[Plan], Awaitable[msgspec.Struct]]) -> None:
    """The main function of such a process."""
    given, outcome = map(Path, sys.argv[1:])

    async def run() -> msgspec.Struct:
        return await act(msgspec.msgpack.decode(given.read_bytes(), type=plan))

    outcome.write_bytes(msgspec.msgpack.encode(asyncio.run(run())))


def wall_offset_us() -> int:
    """What has to be added to the monotonic clock, in microseconds, for microseconds since 1970."""
    return time.time_ns() // 1000 - time.monotonic_ns() // 1000

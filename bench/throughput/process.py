"""An engine's process: started, waited for until it is ready, watched, and ended as its users would end it."""

import os
import queue
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from schemas.errors import RestartNeeded
from streams.lifeline import lifeline

READY: Final = "ready"
# Kafka Streams warms itself up before.
READY_SECONDS_MAX: Final = 240.0
STOP_SECONDS_MAX: Final = 60.0
_LOG_SHOWN_BYTES: Final = 4_000
_POLL_SECONDS: Final = 0.1
_REQUEST_SECONDS_MAX: Final = 10.0


class EngineProcess:
    """A program in a session of its own, so that whatever it starts is counted and ended with it; a context manager.

    Args:
        command: The program, which says `ready` in a line of its own once it is.
        environment: All of its environment variables.
        log_file: Where it writes, besides.
        ready_url: Says with 200 that it is ready, where the program says nothing.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log_file: Path, ready_url: str | None = None
    ) -> None:
        self._command = command
        self._environment = environment
        self._log_file = log_file
        self._ready_url = ready_url
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        """Start it."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command.
                lifeline(self._command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        if self._process.stdout is None:
            raise AssertionError("its output was asked for")
        self._reading = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, however it is; whoever wants it in good order calls `stop` before."""
        self._kill()
        self._process.wait()
        # The last of its session has closed the other end.
        self._reading.join()

    @property
    def pid(self) -> int:
        """The process's id, which is its session's too."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Return once it has said that it is ready.

        Raises:
            RestartNeeded: it ended, or said nothing in time.
        """
        if self._ready_url is not None:
            self._wait_answer(self._ready_url)
            return
        try:
            line = self._lines.get(timeout=READY_SECONDS_MAX)
        except queue.Empty:
            raise RestartNeeded(f"not ready within {READY_SECONDS_MAX:.0f} s:\n{self.log()}") from None
        if line is None:
            raise RestartNeeded(f"it ended before it was ready:\n{self.log()}")

    def verify_running(self) -> None:
        """Raise `RestartNeeded` when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise RestartNeeded(f"it ended with code {code}:\n{self.log()}")

    def stop(self) -> int:
        """Tell it to end, as its users do, and return its exit code.

        Raises:
            RestartNeeded: it did not end in time.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise RestartNeeded(f"it did not end within {STOP_SECONDS_MAX:.0f} s:\n{self.log()}") from None

    def log(self) -> str:
        """The end of what it has written."""
        return self._log_file.read_bytes()[-_LOG_SHOWN_BYTES:].decode(errors="replace")

    def _wait_answer(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not _answers(url):
            self.verify_running()
            if time.monotonic() > deadline:
                raise RestartNeeded(f"not ready within {READY_SECONDS_MAX:.0f} s:\n{self.log()}")
            time.sleep(_POLL_SECONDS)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                # Whatever else it says is nobody's business, and there may be a lot of it.
                if line.strip() == READY:
                    self._lines.put(line)
        self._lines.put(None)

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_SECONDS_MAX) as answer:  # noqa: S310 - our own.
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

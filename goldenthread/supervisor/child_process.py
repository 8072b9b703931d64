"""One run of a child: the process, its output, and its end."""

import asyncio
import os
import signal
from typing import Final, Self

from goldenthread.supervisor.child_log import ChildLog
from goldenthread.supervisor.child_spec import ChildSpec
from streams.lifeline import lifeline

# After a process ended, its last output is in the pipe already; only a grandchild could keep it open for longer.
OUTPUT_DRAIN_S: Final = 1.0


class _Output(asyncio.Protocol):
    """Writes what comes through a pipe into the log."""

    def __init__(self, log: ChildLog) -> None:
        self._log = log
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._log.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name and signature.
        self.ended.set()


class ChildProcess:
    """A running child in a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone.

    It is tied to the supervisor by `streams.lifeline`, and its whole process group is killed when it has to be.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, output: _Output, pipe: asyncio.ReadTransport, spec: ChildSpec
    ) -> None:
        self._process = process
        self._output = output
        self._pipe = pipe
        self._spec = spec

    @classmethod
    async def start(cls, spec: ChildSpec, log: ChildLog) -> Self:
        """Start the child's command; its standard output and error go to the log, its standard input is empty."""
        reading, writing = os.pipe()
        pipe, output = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _Output(log), os.fdopen(reading, "rb", buffering=0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *lifeline(spec.command, spec.niceness),
                cwd=spec.directory,
                env=spec.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except BaseException:
            pipe.close()
            raise
        finally:
            os.close(writing)
        return cls(process, output, pipe, spec)

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for its end and its last output. Returns its exit code, negative for the signal that killed it."""
        code = await self._process.wait()
        try:
            async with asyncio.timeout(OUTPUT_DRAIN_S):
                await self._output.ended.wait()
        except TimeoutError:
            # Whoever holds the pipe is a grandchild that its parent left behind.
            self._signal_group(signal.SIGKILL)
        finally:
            self._pipe.close()
        return code

    async def stop(self, hurry: asyncio.Event) -> int:
        """Ask it to end, and kill it and its group after its deadline, or at once when `hurry` is set."""
        if self._process.returncode is None:
            self._process.terminate()
        exited = asyncio.ensure_future(self._process.wait())
        hurried = asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait(
                (exited, hurried), timeout=self._spec.stop_deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            hurried.cancel()
            exited.cancel()
            if self._process.returncode is None:
                self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

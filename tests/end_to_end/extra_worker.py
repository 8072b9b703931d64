"""A worker beside the one of `up`, kept running as a supervisor keeps it, that joins and leaves when told."""

import signal
import subprocess
import threading
from typing import Final, Self

from schemas.errors import EXIT_RESTART
from tests.running_system import RunningSystem
from tests.waiting import SYSTEM_DEADLINE_S

_BACKOFF_S: Final = 0.5


class ExtraWorker:
    """Whenever it ends by itself or is killed it is started again, until it is told to leave.

    Args:
        system: Whose installation it belongs to.
        index: Tells it apart from the other workers of the data directory.
        port: Where it shall listen.
    """

    def __init__(self, system: RunningSystem, index: int, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log_file = system.folder / f"worker-{index}.log"
        #: How it ended, each time that nobody had told it to leave; and the other times.
        self.ends: list[int] = []
        self.departures: list[int] = []
        self._system = system
        self._command = [*system.program, "worker", "--index", str(index)]
        # Workers listen on the first one's port and their index.
        self._environment = system.environment | {"GOLDENTHREAD_WORKER_PORT": str(port - index)}
        self._lock = threading.Lock()
        self._told = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Nothing: `join` starts."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process behind."""
        self._told.set()
        self.kill()
        if self._keeper is not None:
            self._keeper.join(SYSTEM_DEADLINE_S)

    @property
    def is_here(self) -> bool:
        """Whether it joined and was not told to leave since."""
        return self._keeper is not None

    def join(self) -> None:
        """Start it, and start it again from now on."""
        self._told.clear()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    def leave(self) -> None:
        """Stop it in order, and wait for its end."""
        assert self._keeper is not None
        self._told.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        self._keeper.join(SYSTEM_DEADLINE_S)
        assert not self._keeper.is_alive(), f"it did not leave within {SYSTEM_DEADLINE_S:g} s\n{self.log()}"
        self._keeper = None

    def kill(self) -> None:
        """End it without warning, as a crash does; nothing happens while it is not running."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def log(self) -> str:
        """All that it has written."""
        return self.log_file.read_text()

    def assert_ends_are_in_order(self) -> None:
        """It was killed, or asked for its restart; told to leave it did, before its start had come to anything too."""
        assert set(self.ends) <= {-signal.SIGKILL, EXIT_RESTART}, f"{self.ends}\n{self.log()}"
        assert set(self.departures) <= {0, -signal.SIGTERM}, f"{self.departures}\n{self.log()}"

    def _keep(self) -> None:
        while True:
            with self._lock, self.log_file.open("ab") as log:
                if self._told.is_set():
                    return
                self._process = subprocess.Popen(
                    self._command, cwd=self._system.folder, env=self._environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
            code = self._process.wait()
            (self.departures if self._told.is_set() and code != -signal.SIGKILL else self.ends).append(code)
            if self._told.wait(_BACKOFF_S):
                return

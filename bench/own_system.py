"""A broker, workers and a lookup of a benchmark's own: free ports, a folder of their own, gone with the benchmark."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

from bench.generator import SOURCES_FILE
from schemas.errors import RestartNeeded
from streams.broker.local_broker import LocalBroker
from streams.broker.options import LOOPBACK, BrokerOptions, default_cache_dir
from streams.lifeline import lifeline

#: Channels of the events that benchmarks send.
CHANNELS: Final = "web,app,chat,email,voice,store,iot,crm,billing,service,sms,social"
#: A worker that joins the first one.
SECOND_WORKER: Final = "worker-1"
# As in an installation that `up` starts (`GOLDENTHREAD_WORK_NICENESS`).
_WORK_NICENESS: Final = 3
_NICENESS: Final = {"worker": _WORK_NICENESS, SECOND_WORKER: _WORK_NICENESS}
_COMMANDS: Final = {SECOND_WORKER: ("worker", "--index", "1")}
READY_SECONDS_MAX: Final = 120.0
STOP_SECONDS_MAX: Final = 40.0
_REQUEST_SECONDS_MAX: Final = 10.0
_POLL_SECONDS: Final = 0.1
# Below the range from which systems take the ports of outgoing connections.
_PORTS: Final = (15_000, 30_000)
_LOG_SHOWN_BYTES: Final = 4_000


def free_ports(count: int) -> list[int]:
    """So many ports of 127.0.0.1 that nobody listens on at the moment."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randint(*_PORTS)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex((LOOPBACK, port)) != 0:
                found.append(port)
    return found


def context_path(kind: str, value: str) -> str:
    """Where a lookup answers with the context that an identifier leads to."""
    return f"/v1/identifiers/{kind}/{urllib.parse.quote(value, safe='')}/context"


@contextmanager
def folder_for(name: str, folder: Path | None) -> Iterator[Path]:
    """The folder that is given, or a temporary one, gone at the end, where none is."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix=f"goldenthread-{name}-") as made:
        yield Path(made)


class OwnSystem:
    """One broker, and processes of the project beside it; a context manager.

    Args:
        folder: Where all of it writes.
        settings: Environment variables of the processes.
        bootstrap_servers: A broker that is there already; None starts one.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, *, bootstrap_servers: str | None = None
    ) -> None:
        self._folder = folder
        port, controller, worker_port, lookup_port, collect_port = free_ports(5)
        self._ports = {
            "worker": worker_port,
            SECOND_WORKER: worker_port + 1,
            "lookup": lookup_port,
            "collect": collect_port,
        }
        self._broker: LocalBroker | None = None
        if bootstrap_servers is None:
            options = BrokerOptions(
                data_dir=folder / "broker",
                cache_dir=Path(os.environ.get("GOLDENTHREAD_CACHE_DIR") or default_cache_dir()),
                port=port,
                controller_port=controller,
                niceness=_WORK_NICENESS,
            )
            options.data_dir.mkdir(parents=True)
            self._broker = LocalBroker(options)
        #: Where the broker is.
        self.bootstrap_servers = bootstrap_servers or f"{LOOPBACK}:{port}"
        ours = ("GOLDENTHREAD_", "KAFKA_")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "GOLDENTHREAD_DATA_DIR": str(folder / "data"),
            "GOLDENTHREAD_SECRET": "a secret for benchmarks only",
            "GOLDENTHREAD_SOURCES_FILE": str(SOURCES_FILE),
            "GOLDENTHREAD_CHANNELS": CHANNELS,
            "GOLDENTHREAD_WORKER_PORT": str(worker_port),
            "GOLDENTHREAD_LOOKUP_PORT": str(lookup_port),
            "GOLDENTHREAD_COLLECT_PORT": str(collect_port),
            **(settings or {}),
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def worker_url(self) -> str:
        """Where the worker answers."""
        return self._url("worker")

    @property
    def lookup_url(self) -> str:
        """Where the lookup answers."""
        return self._url("lookup")

    @property
    def collect_address(self) -> tuple[str, int]:
        """Host and port of collect."""
        return LOOPBACK, self._ports["collect"]

    @property
    def lookup_address(self) -> tuple[str, int]:
        """Host and port of the lookup."""
        return LOOPBACK, self._ports["lookup"]

    def __enter__(self) -> Self:
        """Start the broker and make the topics."""
        if self._broker is not None:
            self._broker.__enter__()
        try:
            self._run("init").wait(READY_SECONDS_MAX)
            if self._running.pop("init").returncode != 0:
                raise RestartNeeded(f"`goldenthread init` failed:\n{self.log('init')}")
        except BaseException:
            self._close_broker()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes, then the broker."""
        for name in list(self._running):
            self.stop(name)
        self._close_broker()

    def start(self, name: str, settings: Mapping[str, str] | None = None) -> int:
        """Start `worker`, `lookup`, `collect` or `SECOND_WORKER` and wait until it is ready; returns its process id.

        Raises:
            RestartNeeded: it ended, or was not ready in time; the message has the end of its log.
        """
        self.begin(name, settings)
        return self._when_ready(name)

    def start_all(self, names: Iterable[str]) -> dict[str, int]:
        """As `start`, of several at the same time; returns their process ids by name."""
        begun = list(names)
        for name in begun:
            self.begin(name)
        return {name: self._when_ready(name) for name in begun}

    def _when_ready(self, name: str) -> int:
        process = self._running[name]
        url = self._url(name) + "/readyz"
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RestartNeeded(f"the {name} did not become ready:\n{self.log(name)}")
            time.sleep(_POLL_SECONDS)
        return process.pid

    def begin(self, name: str, settings: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """As `start`, without waiting."""
        return self._run(name, settings)

    def is_ready(self, name: str) -> bool:
        """Whether a process says that it is ready."""
        return _answers(self._url(name) + "/readyz")

    def stop(self, name: str) -> int:
        """Stop a process in good order; returns its exit code."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def verify_running(self, name: str) -> None:
        """Raise `RestartNeeded` when a started process has ended."""
        code = self._running[name].poll()
        if code is not None:
            raise RestartNeeded(f"the {name} ended with code {code}:\n{self.log(name)}")

    def wait_quiet(self, seconds_max: float) -> None:
        """Return once the lookup says that nothing waits anywhere of what the broker has got by now.

        Raises:
            RestartNeeded: something still waits.
        """
        deadline = time.monotonic() + seconds_max
        while (lag := self._lag()) != "0":
            if time.monotonic() > deadline:
                raise RestartNeeded(f"after {seconds_max:.0f} s the lookup tells a lag of {lag} s")
            time.sleep(_POLL_SECONDS)

    def _lag(self) -> str | None:
        """As an answer tells it: 0 was looked for after the question came."""
        try:
            with urllib.request.urlopen(f"{self.lookup_url}/v1/customers/nobody/context", timeout=_REQUEST_SECONDS_MAX):  # noqa: S310 - our own.
                return None
        except urllib.error.HTTPError as answer:
            lag: str | None = answer.headers.get("Goldenthread-Lag-Seconds")
            return lag

    def log(self, name: str) -> str:
        """The end of what a process has written."""
        return (self._folder / f"{name}.log").read_bytes()[-_LOG_SHOWN_BYTES:].decode(errors="replace")

    def metrics(self, url: str) -> Callable[..., float]:
        """The present metrics of a process: a function of a name and labels that adds up their samples.

        Raises:
            OSError: the process does not answer.
        """
        with urllib.request.urlopen(f"{url}/metrics", timeout=_REQUEST_SECONDS_MAX) as answer:  # noqa: S310 - our own.
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]

        def total(name: str, **labels: str) -> float:
            return sum(
                sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
            )

        return total

    def _url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self._ports[name]}"

    def _close_broker(self) -> None:
        if self._broker is not None:
            self._broker.close()

    def _run(self, name: str, settings: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        command = _COMMANDS.get(name, (name,))
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command.
                lifeline([sys.executable, "-m", "goldenthread", *command], _NICENESS.get(name, 0)),
                start_new_session=True,
                env=self._environment | dict(settings or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running[name] = process
        return process


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_SECONDS_MAX) as answer:  # noqa: S310 - our own.
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

"""A whole Goldenthread as its users have it: `goldenthread up` in a process of its own, watched from outside."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import SYSTEM_DEADLINE_S, wait_until

#: Whoever tests shares two cores with a broker and three processes of the system: generous, but bounded.
REQUEST_TIMEOUT_S: Final = 30.0
COMMAND_TIMEOUT_S: Final = 120.0
#: One that no test ever names: asking for it tells the lag and nothing else.
NOBODY: Final = {"identifiers": [{"kind": "email", "value": "nobody-at-all@nowhere.example"}]}
SETTINGS_WITH_PORTS: Final = ("LOOKUP_PORT", "COLLECT_PORT", "WORKER_PORT", "ADMIN_PORT")
SECRET: Final = "a secret for tests only"  # noqa: S105 - it keeps nothing.
_READY: Final = "Goldenthread is ready."


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP; redirects are not followed, and no status is an error."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def lag_seconds(self) -> float | None:
        """How old the oldest event is that waits; 0 when nothing does, None where that is not known."""
        lag = self.headers.get("Goldenthread-Lag-Seconds")
        return None if lag is None else float(lag)


def request(
    method: str, url: str, body: bytes | None = None, content_type: str = "application/json", **headers: str
) -> Reply:
    """One request, on a connection of its own; underscores in names of headers stand for hyphens."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=REQUEST_TIMEOUT_S)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {} if body is None else {"Content-Type": content_type}
        connection.request(method, address._replace(scheme="", netloc="").geturl(), body, sent)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def is_running(pid: int) -> bool:
    """Whether the process has not ended; one that waits for its parent to ask for its code has."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of ours, and these instead."""
    ours = ("GOLDENTHREAD_", "KAFKA_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | dict(settings)


class RunningSystem:
    """`goldenthread up`, started and stopped at will with one environment.

    Args:
        folder: Where it is started and writes; without `.env` or `goldenthread.toml`, so no settings but these count.
        ports: One for each of SETTINGS_WITH_PORTS.
        settings: Environment variables; they may repeat or replace what is set here.
        program: How it is started.
    """

    def __init__(
        self,
        folder: Path,
        ports: Sequence[int],
        settings: Mapping[str, str],
        program: Sequence[str] = (sys.executable, "-m", "goldenthread"),
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        named = {f"GOLDENTHREAD_{name}": str(port) for name, port in zip(SETTINGS_WITH_PORTS, ports, strict=True)}
        named |= {
            "GOLDENTHREAD_DATA_DIR": str(self.data_dir),
            "GOLDENTHREAD_SECRET": SECRET,
            # A killed worker is back in a few seconds, and may be killed as often as a test likes.
            "GOLDENTHREAD_SESSION_TIMEOUT_S": "6",
            "GOLDENTHREAD_RESTARTS_MAX": "100",
        }
        self.environment = clean_environment(named | dict(settings))
        self.program = tuple(program)
        self.lookup_url, self.collect_url, self.worker_url, self.admin_url = (
            f"http://127.0.0.1:{self.environment[f'GOLDENTHREAD_{name}']}" for name in SETTINGS_WITH_PORTS
        )
        self.prefix = self.environment.get("GOLDENTHREAD_TOPIC_PREFIX", "gt.")
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Nothing: `start` starts."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process behind."""
        if self._process is not None and self._process.poll() is None:
            self.stop()

    @property
    def out(self) -> str:
        """What the present start has printed on standard output."""
        return (self.folder / f"up-{self._starts}.out").read_text()

    @property
    def err(self) -> str:
        """What the present start has printed on standard error."""
        return (self.folder / f"up-{self._starts}.err").read_text()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """`up` itself."""
        assert self._process is not None
        return self._process

    def start(self, *options: str) -> Self:
        """Start `up` and wait until it says that it is ready."""
        self._starts += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            (self.folder / f"up-{self._starts}.out").open("wb") as out,
            (self.folder / f"up-{self._starts}.err").open("wb") as err,
        ):
            self._process = subprocess.Popen(
                [*self.program, "up", *options], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
        wait_until(lambda: _READY in self.out or self.process.poll() is not None, f"ready\n{self.err}")
        assert self.process.poll() is None, self.err
        return self

    def stop(self) -> int:
        """Ask it to stop; returns its exit code once it has ended, as it has to in time."""
        self.process.terminate()
        return self.ended()

    def ended(self) -> int:
        """The exit code of a start that ends by itself."""
        try:
            return self.process.wait(SYSTEM_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end within {SYSTEM_DEADLINE_S:g} s\n{self.err}") from None

    def children(self) -> dict[str, int]:
        """The process ids of all children by the name of their command; `broker` for Java."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                if f"\nPPid:\t{self.process.pid}\n" in status.read_text():
                    words = status.with_name("cmdline").read_text().split("\0")
                    name = words[words.index("goldenthread") + 1] if "goldenthread" in words else "broker"
                    found[name] = int(status.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def kill(self, child: str) -> None:
        """End a child without warning, as a crash does; waits for one that is just being started again."""
        wait_until(lambda: child in self.children(), f"a running {child}")
        os.kill(self.children()[child], signal.SIGKILL)

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run another command of `goldenthread` with the same settings, but for those given here."""
        return subprocess.run(
            [*self.program, *arguments], cwd=self.folder, env=self.environment | settings, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=COMMAND_TIMEOUT_S,
        )  # fmt: skip

    def send(self, *events: Mapping[str, Any]) -> None:
        """Events through collect, which has to accept them all."""
        body = json.dumps(events).encode()
        reply = request("POST", f"{self.collect_url}/v1/events", body, "application/cloudevents-batch+json")
        assert reply.status == 202, reply.body

    def lookup(self, *identifiers: tuple[str, str], **more: Any) -> Reply:
        """Ask for the customer of these identifiers."""
        question = {"identifiers": [{"kind": kind, "value": value} for kind, value in identifiers], **more}
        return request("POST", f"{self.lookup_url}/v1/lookup", json.dumps(question).encode())

    def wait_quiet(self) -> None:
        """Wait until the lookup says that nothing waits anywhere."""
        body = json.dumps(NOBODY).encode()
        wait_until(
            lambda: request("POST", f"{self.lookup_url}/v1/lookup", body).lag_seconds == 0,
            f"a lag of 0; see {self.data_dir}/logs",
        )

    def metric(self, url: str, name: str, **labels: str) -> float:
        """The sum of a process's samples of this name with at least these labels."""
        text = request("GET", f"{url}/metrics").body.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

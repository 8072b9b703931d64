"""A peer as the benchmark sees it: a command that takes the job's arguments, and what it promises."""

import importlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bench.peers.environment import python_environment
from schemas.errors import RestartNeeded

Guarantee = Literal["exactly-once", "at-least-once"]

#: Programs in Python, each a package below this one that runs in an environment of its own.
PYTHON_PEERS: Final = ("quix", "faust_table")
_ROOT: Final = Path(__file__).parents[2]
_QUESTION_SECONDS_MAX: Final = 60.0
_PACKAGES: Final = (
    "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
)


class Peer(msgspec.Struct, frozen=True):
    """A peer's program, and how it is to run."""

    #: Its package below `bench.peers`.
    name: str
    commit_interval_ms: int
    guarantee: Guarantee
    #: Which of its programs, where it has two.
    way: Literal["usual", "expert"] = "usual"

    def command(self, *, bootstrap_servers: str, prefix: str, application: str, state_dir: Path) -> list[str]:
        """The command line; the peer's environment is made where it is missing.

        Raises:
            RestartNeeded: it can't be made.
        """
        return [
            *self._program(),
            *("--bootstrap-servers", bootstrap_servers),
            *("--prefix", prefix),
            *("--application", application),
            *("--commit-interval-ms", str(self.commit_interval_ms)),
            *("--guarantee", self.guarantee),
            *("--state-dir", str(state_dir)),
        ]

    def environment(self) -> Mapping[str, str]:
        """The environment variables that it runs with."""
        return without_settings(os.environ) | {"PYTHONPATH": str(_ROOT)}

    def versions(self) -> dict[str, str]:
        """What it runs on, by package.

        Raises:
            RestartNeeded: its environment does not answer.
        """
        if self.name not in PYTHON_PEERS:
            versions: dict[str, str] = self._module().versions()
            return versions
        command = [str(python_environment(self.name)), "-c", _PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_QUESTION_SECONDS_MAX, check=False)  # noqa: S603 - our own command.
        if done.returncode:
            raise RestartNeeded(f"the environment of {self.name} does not answer: {done.stderr[-400:]}")
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def prepare(self) -> None:
        """Fetch and build what it needs, so that no measurement waits for it."""
        self._program()

    def _program(self) -> list[str]:
        if self.name in PYTHON_PEERS:
            return [str(python_environment(self.name)), "-m", f"bench.peers.{self.name}"]
        program: list[str] = self._module().command(self.way)
        return program

    def _module(self) -> Any:
        return importlib.import_module(f"bench.peers.{self.name}.command")


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what would set anything up: neither ours nor Kafka's nor Java's."""
    ours = ("GOLDENTHREAD_", "KAFKA_", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "CLASSPATH")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}

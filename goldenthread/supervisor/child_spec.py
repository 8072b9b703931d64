"""What is said about a child before it runs, and what can be seen of it afterwards."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

ReadyCheck = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """One child.

    Attributes:
        name: Unique; its log is `<log_dir>/<name>.log`.
        command: Program and arguments, started without a shell.
        needs: Names of earlier children that must be ready (a one-shot: done) before each start of this one, and so
            must all that those need.
        ready: Asked again and again until it says True; None: ready as soon as it runs. It must bound its own time.
        one_shot: It runs once and is done when it exits with 0, which must happen before its ready deadline; `ready` is
            not asked. Any other end is treated like that of other children.
        environment: The whole environment, or None for this process's own.
        directory: Where it runs, or None for this process's own.
        own_log: A log that it writes by itself, whose last lines are quoted too when it fails.
        ready_deadline_s: How long a start may take before it is killed and started again.
        stop_deadline_s: How long it may take to end after SIGTERM before it is killed.
        niceness: How far it gives way to others that want a processor, as `nice` counts.
    """

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    ready: ReadyCheck | None = None
    one_shot: bool = False
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    directory: Path | None = None
    own_log: Path | None = None
    ready_deadline_s: float = 60.0
    stop_deadline_s: float = 15.0
    niceness: int = 0


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """When and how often a child is started again; counted per child.

    The n-th restart within the window waits `backoff_min_s * 2**(n - 1)`, at most `backoff_max_s`, more or less a
    random share of `jitter`, so that children that failed together do not come back together.
    """

    backoff_min_s: float = 0.5
    backoff_max_s: float = 5.0
    jitter: float = 0.2
    restarts_max: int = 10
    window_s: float = 300.0


class ChildState(StrEnum):
    """Where a child is."""

    WAITING = "waiting"  # for the children it needs
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing off"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"  # a one-shot that succeeded
    FAILED = "failed"  # it is the reason why all stop


class ChildStatus(NamedTuple):
    """What can be seen of a child now; `since` is in seconds since 1970."""

    name: str
    state: ChildState
    since: float
    pid: int | None
    restarts: int


class ChildEvent(NamedTuple):
    """A child changed its state; the detail is a phrase for people, such as how it ended, or empty."""

    status: ChildStatus
    detail: str


class Failure(NamedTuple):
    """Why the supervisor stopped everything."""

    child: str
    reason: str
    exit_code: int | None
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join((f"{self.child} {self.reason}", *self.last_lines))

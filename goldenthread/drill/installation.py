"""An installation for a drill: its own broker, workers, collect and lookup on free ports, in a folder of their own."""

import asyncio
import os
import random
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

import goldenthread
from bench.drill.schedule import BROKER, COLLECT, EXTRA_WORKER, LOOKUP, WORKERS
from bench.generator import SOURCES_FILE
from bench.own_system import free_ports
from goldenthread.settings import Settings, variable_name
from goldenthread.supervisor.broker_child import broker_child
from goldenthread.supervisor.child import Child
from goldenthread.supervisor.child_log import ChildLog
from goldenthread.supervisor.child_spec import ChildEvent, ChildSpec, ChildState, Failure, RestartPolicy
from goldenthread.supervisor.ready import answers
from goldenthread.supervisor.supervisor import Supervisor
from schemas.keys import Keyring
from schemas.topics import Catalogue
from streams.broker.jars import ProgressCallback
from streams.broker.local_broker import LocalBroker
from streams.broker.options import LOOPBACK, BrokerOptions, default_cache_dir
from streams.kafka import KafkaOptions

# A killed process is back at once; and it may be killed as often as the drill likes.
POLICY: Final = RestartPolicy(backoff_min_s=0.1, backoff_max_s=2.0, restarts_max=100_000, window_s=10.0)
READY_DEADLINE_SECONDS: Final = 180.0
STOP_DEADLINE_SECONDS: Final = 30.0
_OURS: Final = ("GOLDENTHREAD_", "KAFKA_")
#: Settings of the caller that say where this machine keeps something; no other reaches the installation.
_OF_THE_MACHINE: Final = ("cache_dir", "java", "kafka_home")
_FAULT: Final = variable_name("fault")
_INIT: Final = "init"
# How the supervisor tells of a SIGKILL.
_KILLED: Final = "killed by signal 9"


class DrilledInstallation:
    """In the order `prepare`, `start` (whose task ends when all was stopped or a process gave up), `close`.

    Args:
        folder: A folder of its own; everything is kept in it.
        caller: The settings of whoever drills; only what they say about this machine counts.
        session_timeout_seconds: Of the workers' group.
        on_progress: Told of jars that are fetched.
    """

    def __init__(
        self,
        folder: Path,
        caller: Settings,
        *,
        session_timeout_seconds: float,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        broker_port, controller_port, *ports = free_ports(5 + len(WORKERS))
        self._folder = folder
        self._data_dir = folder / "data"
        self._ports = dict(zip((COLLECT, LOOKUP, *WORKERS, EXTRA_WORKER), ports, strict=True))
        self._broker = LocalBroker(
            BrokerOptions(
                data_dir=self._data_dir / "broker",
                cache_dir=caller.cache_dir or default_cache_dir(),
                port=broker_port,
                controller_port=controller_port,
                java=caller.java,
                kafka_home=caller.kafka_home,
            ),
            on_progress=on_progress,
        )
        secret = secrets.token_urlsafe(32)
        self.kafka = KafkaOptions(self._broker.bootstrap_servers, client_id="drill")
        self.catalogue = Catalogue()
        self.keyring = Keyring(secret.encode())
        self.collect_url = f"http://{LOOPBACK}:{self._ports[COLLECT]}"
        self.lookup_url = f"http://{LOOPBACK}:{self._ports[LOOKUP]}"
        self.log_dir = self._data_dir / "logs"
        settings = {
            "kafka_bootstrap_servers": self._broker.bootstrap_servers,
            "data_dir": str(self._data_dir),
            "secret": secret,
            "sources_file": str(SOURCES_FILE),
            "session_timeout_s": f"{session_timeout_seconds:g}",
            "collect_port": str(self._ports[COLLECT]),
            "lookup_port": str(self._ports[LOOKUP]),
        } | {name: str(value) for name in _OF_THE_MACHINE if (value := getattr(caller, name)) is not None}
        self._environment = _clean_environment() | {variable_name(name): value for name, value in settings.items()}
        self._worker_environments = {name: self._worker_environment(name) for name in (*WORKERS, EXTRA_WORKER)}
        self._wiped: set[str] = set()
        self._kills = 0
        self._supervisor: Supervisor | None = None
        self._extra: asyncio.Task[Failure | None] | None = None
        self._extra_child: Child | None = None

    @property
    def failure(self) -> Failure | None:
        """The process that gave up, if one did."""
        return None if self._supervisor is None else self._supervisor.failure

    def prepare(self) -> None:
        """Make the folder and the broker ready; fetches Kafka where it is not there yet.

        Raises:
            GoldenthreadError: as `LocalBroker.prepare`.
        """
        self._data_dir.mkdir(mode=0o700)
        self._broker.options.data_dir.mkdir()
        self._broker.prepare()

    def start(self) -> "asyncio.Task[int]":
        """Start everything; the task ends once everything has ended, `Supervisor.run` says how."""
        self._supervisor = Supervisor(
            [
                broker_child(self._broker),
                ChildSpec(
                    name=_INIT,
                    command=_command(_INIT),
                    needs=(BROKER,),
                    one_shot=True,
                    environment=self._environment,
                    directory=self._folder,
                ),
                *(self._spec(name, "worker", (_INIT,)) for name in WORKERS),
                *(self._spec(name, name, (_INIT,)) for name in (COLLECT, LOOKUP)),
            ],
            log_dir=self.log_dir,
            policy=POLICY,
            on_event=self._on_event,
        )
        return asyncio.create_task(self._supervisor.run())

    async def ready(self) -> bool:
        """Wait until all is ready; False when it stops before that."""
        return await self._running.wait_ready()

    def stop(self) -> None:
        """Stop everything; asked a second time, kill it."""
        self._running.request_stop()

    def close(self) -> None:
        """Give the folder free once everything has ended."""
        self._broker.close()

    def pid(self, name: str) -> int | None:
        """The process id, or None while it does not run."""
        return next((status.pid for status in self._running.status() if status.name == name), None)

    def wipe(self, name: str) -> None:
        """The next time that this worker or the lookup has ended, its disk is emptied before it comes back."""
        self._wiped.add(name)

    def arm(self, name: str, plan: str) -> None:
        """The next start of this worker gets this fault plan, and only that one."""
        self._worker_environments[name][_FAULT] = plan

    def kills(self) -> int:
        """How many processes ended by SIGKILL, whoever sent it."""
        return self._kills

    def join(self) -> None:
        """Let the third worker come; it stays when it is there already."""
        if self._extra is None:
            self._extra_child = Child(
                self._spec(EXTRA_WORKER, "worker", ()),
                needs=(),
                log=ChildLog(self.log_dir / f"{EXTRA_WORKER}.log"),
                policy=POLICY,
                hurry=asyncio.Event(),
                on_event=self._on_event,
                dice=random.Random(),
            )
            self._extra = asyncio.create_task(self._extra_child.run())

    async def leave(self) -> None:
        """Let the third worker go, and wait until it is gone; nothing when there is none."""
        extra, self._extra = self._extra, None
        if extra is not None:
            extra.cancel()
            await asyncio.wait([extra])

    def not_ready(self) -> list[str]:
        """Names of the processes that should run but are not ready."""
        fine = (ChildState.READY, ChildState.DONE)
        return [status.name for status in self._running.status() if status.state not in fine]

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("The installation was not started.")
        return self._supervisor

    def _on_event(self, event: ChildEvent) -> None:
        name, state = event.status.name, event.status.state
        if state is ChildState.STARTING and name in self._worker_environments:
            # The process has its environment: the next one starts without the plan.
            self._worker_environments[name].pop(_FAULT, None)
        elif state is ChildState.BACKING_OFF:
            self._kills += _KILLED in event.detail
            if name in self._wiped:
                self._wiped.discard(name)
                for path in self._data_dir.glob(f"{name}*"):
                    shutil.rmtree(path)

    def _spec(self, name: str, command: str, needs: tuple[str, ...]) -> ChildSpec:
        return ChildSpec(
            name=name,
            command=_command(command),
            needs=needs,
            ready=answers(f"http://{LOOPBACK}:{self._ports[name]}/readyz"),
            # A worker's is read at each start, so that one start can differ from the others.
            environment=self._worker_environments.get(name, self._environment),
            directory=self._folder,
            ready_deadline_s=READY_DEADLINE_SECONDS,
            stop_deadline_s=STOP_DEADLINE_SECONDS,
        )

    def _worker_environment(self, name: str) -> dict[str, str]:
        index = int(name.rpartition("-")[2])
        # A worker listens on the first one's port and its index.
        first = self._ports[name] - index
        return self._environment | {
            variable_name("worker_index"): str(index),
            variable_name("worker_port"): str(first),
        }


def _command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "goldenthread", *words)


def _clean_environment() -> dict[str, str]:
    """This process's environment without settings; children run the very code that this process runs."""
    code = str(Path(goldenthread.__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OURS)}
    return kept | {"PYTHONPATH": f"{code}{os.pathsep}{before}" if before else code}

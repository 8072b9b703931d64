"""Worker processes that are started in a fraction of a second, and die as they are told to."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from schemas.topics import Catalogue
from tests.running_system import SECRET, clean_environment
from tests.waiting import SYSTEM_DEADLINE_S

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


class WorkerProcess:
    """One worker, while it lives and after."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self.code: int | None = None
        self.ended = threading.Event()

    def wait(self, deadline_s: float = SYSTEM_DEADLINE_S) -> int:
        """Its exit code, once it has ended; -9 where it was killed."""
        assert self.ended.wait(deadline_s), f"worker {self.pid} did not end\n{self.log.read_text()[-4000:]}"
        assert self.code is not None
        return self.code


class Workers:
    """A server of workers with one broker and one prefix; each worker has a disk of its own, named by the test."""

    def __init__(self, folder: Path, broker: str, catalogue: Catalogue, ports: Sequence[int], **settings: str) -> None:
        self._folder = folder
        self._ports = list(ports)
        self._settings = {
            "KAFKA_BOOTSTRAP_SERVERS": broker,
            "GOLDENTHREAD_TOPIC_PREFIX": catalogue.prefix,
            "GOLDENTHREAD_APPLICATION": catalogue.prefix.rstrip("."),
            "GOLDENTHREAD_PARTITIONS": str(catalogue.partitions),
            "GOLDENTHREAD_CHANNELS": ",".join(catalogue.channels),
            "GOLDENTHREAD_SOURCES_FILE": str(ROOT / "bench" / "sources.yaml"),
            "GOLDENTHREAD_SECRET": SECRET,
            "GOLDENTHREAD_SESSION_TIMEOUT_S": "6",
        } | settings
        self._alive: dict[int, WorkerProcess] = {}
        self._started: queue.Queue[int] = queue.Queue()
        self._count = 0
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.fork_server"],
            cwd=ROOT, env=clean_environment({}), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        """It serves already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process behind."""
        for worker in list(self._alive.values()):
            self._signal(worker, signal.SIGKILL)
        for worker in list(self._alive.values()):
            worker.wait()
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(SYSTEM_DEADLINE_S)
        self._listener.join(SYSTEM_DEADLINE_S)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def disk(self, name: str) -> Path:
        """The data directory of that name."""
        return self._folder / name

    def wipe(self, disk: str) -> None:
        """Take all stores off a disk; what names the installation stays, so that its next worker is the same one."""
        for folder in self.disk(disk).glob("worker*"):
            shutil.rmtree(folder)

    def start(self, disk: str, plan: str = "", index: int = 0) -> WorkerProcess:
        """A worker over the disk, which dies by the plan."""
        self._count += 1
        log = self._folder / f"worker-{self._count}.log"
        environment = self._settings | {
            "GOLDENTHREAD_DATA_DIR": str(self.disk(disk)),
            # One that was killed may hold its port for a moment more.
            "GOLDENTHREAD_WORKER_PORT": str(self._ports[self._count % len(self._ports)] - index),
            "GOLDENTHREAD_WORKER_INDEX": str(index),
        }
        if plan:
            environment["GOLDENTHREAD_FAULT"] = plan
        order: dict[str, Any] = {"environment": environment, "folder": str(self._folder), "log": str(log)}
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        pid = self._started.get(timeout=SYSTEM_DEADLINE_S)
        worker = self._alive[pid]
        worker.log = log
        return worker

    def stop(self, worker: WorkerProcess) -> int:
        """Ask a worker to end; its exit code."""
        self._signal(worker, signal.SIGTERM)
        return worker.wait()

    def _signal(self, worker: WorkerProcess, number: int) -> None:
        if not worker.ended.is_set():
            # The server reaps it, so the id is its own until it is known to have ended.
            os.kill(worker.pid, number)

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            answer = json.loads(line)
            pid = answer["pid"]
            if answer["code"] is None:
                self._alive[pid] = WorkerProcess(pid, self._folder)
                self._started.put(pid)
            else:
                worker = self._alive.pop(pid)
                worker.code = answer["code"]
                worker.ended.set()

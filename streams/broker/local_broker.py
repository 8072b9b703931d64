"""Apache Kafka as a child process: one broker and controller on loopback, its topics in a directory of ours."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import BrokerUnreachable, OperatorNeeded
from streams.broker.configuration import (
    BROKER_LOG,
    SERVER_PROPERTIES,
    TOPICS_DIRECTORY,
    write_configuration,
)
from streams.broker.directory_lock import DirectoryLock
from streams.broker.jars import ProgressCallback
from streams.broker.java import TEMPORARY_DIRECTORY, java_command, java_program, kafka_classpath
from streams.broker.log_tail import log_tail
from streams.broker.options import LOOPBACK, BrokerOptions
from streams.broker.ports import Port, require_free
from streams.lifeline import lifeline

#: What Java itself writes, before and beside its log.
BROKER_OUTPUT: Final = "broker.out"
FORMAT_TIMEOUT_S: Final = 60
CONNECT_TIMEOUT_S: Final = 0.5
METADATA_TIMEOUT_S: Final = 2.0
_POLL_S: Final = 0.05


def new_cluster_id() -> str:
    """An id for a cluster that is made anew."""
    return base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")


class LocalBroker:
    """A broker of one's own, in the order prepare, start, wait_ready, stop, close; as a context manager all of it.

    A supervisor that starts processes itself calls `prepare`, runs `command` in the directory `options.data_dir`,
    asks `answers` until it is true, and calls `close` after the process is gone.
    """

    def __init__(self, options: BrokerOptions, *, on_progress: ProgressCallback | None = None) -> None:
        self.options = options
        self._on_progress = on_progress
        self._lock = DirectoryLock(options.data_dir, setting=options.names.data_dir)
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address that clients connect to."""
        return self.options.bootstrap_servers

    @property
    def command(self) -> list[str]:
        """The broker's command line, known once it is prepared; it must run in the directory `options.data_dir`."""
        if not self._command:
            raise RuntimeError("The broker's command is known after `prepare`.")
        return self._command

    @property
    def environment(self) -> Mapping[str, str]:
        """This process's environment without what would change how Java runs."""
        return {name: value for name, value in os.environ.items() if name not in ("JDK_JAVA_OPTIONS", "CLASSPATH")}

    def prepare(self) -> None:
        """Make everything ready for a start.

        1. Lock the directory. 2. Find Java and verify Kafka's jars, or fetch them. 3. Check the ports.
        4. Write the configuration. 5. Format the directory if it is new.

        Raises:
            SettingError: the directory or a port is in use, or a setting is wrong.
            OperatorNeeded: a jar is not what it must be, or the directory can't be formatted.
            RestartNeeded: jars could not be fetched.
        """
        options = self.options
        # 1. Lock the directory.
        self._lock.acquire()
        try:
            # 2. Find Java and Kafka.
            program = java_program(options)
            classpath = kafka_classpath(options, self._on_progress)
            # 3. Check the ports.
            self._require_ports()
            # 4. Write the configuration.
            write_configuration(options)
            shutil.rmtree(options.data_dir / TEMPORARY_DIRECTORY, ignore_errors=True)
            (options.data_dir / TEMPORARY_DIRECTORY).mkdir()
            # 5. Format the directory.
            if self._cluster_id() is None:
                self._format(program, classpath)
        except BaseException:
            self._lock.release()
            raise
        self._command = java_command(
            program, classpath, heap_mb=options.heap_mb, main=["kafka.Kafka", SERVER_PROPERTIES]
        )

    def start(self) -> None:
        """Start the prepared broker; it does not outlive the thread that calls this (see `streams.lifeline`)."""
        if self._process is not None:
            raise RuntimeError("The broker was started already.")
        self._require_ports()
        with (self.options.data_dir / BROKER_OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command.
                lifeline(self.command, self.options.niceness),
                cwd=self.options.data_dir,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until the broker answers a client.

        Raises:
            BrokerUnreachable: it ended, or gave no answer in time; the message has the last lines of its log.
        """
        process = self._started()
        deadline = time.monotonic() + self.options.ready_deadline_s
        while not self.answers():
            if process.poll() is not None:
                raise BrokerUnreachable(f"The broker ended with code {process.returncode}.\n{self.last_words()}")
            if time.monotonic() >= deadline:
                raise BrokerUnreachable(
                    f"The broker gave no answer on {self.bootstrap_servers} ({self.options.names.port}) within "
                    f"{self.options.ready_deadline_s:g} s.\n{self.last_words()}"
                )
            time.sleep(_POLL_S)

    def answers(self) -> bool:
        """Ask once, for at most 3 seconds: does this very broker, and no other, answer a client?"""
        try:
            # A client's library would complain on the terminal about each attempt that comes too early.
            socket.create_connection((LOOPBACK, self.options.port), timeout=CONNECT_TIMEOUT_S).close()
        except OSError:
            return False
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            metadata = client.list_topics(timeout=METADATA_TIMEOUT_S)
        except KafkaException:
            return False
        return bool(metadata.brokers) and metadata.cluster_id == self._cluster_id()

    def stop(self) -> None:
        """Stop the broker cleanly, or kill it when that takes too long; does nothing when none runs."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(self.options.stop_deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the broker at once, as a crash would; the topics stay, and `start` may follow."""
        process, self._process = self._started(), None
        process.send_signal(signal.SIGKILL)
        process.wait()

    @property
    def pid(self) -> int:
        """The id of the running process."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Stop the broker if it runs, and give the directory free."""
        self.stop()
        self._lock.release()

    def last_words(self) -> str:
        """The ends of the broker's log and output, for an error message."""
        paths = [self.options.data_dir / name for name in (BROKER_LOG, BROKER_OUTPUT)]
        return "\n".join(f"{path}:\n  " + "\n  ".join(lines) for path in paths if (lines := log_tail(path)))

    def __enter__(self) -> Self:
        self.prepare()
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("The broker was not started.")
        return self._process

    def _require_ports(self) -> None:
        names = self.options.names
        require_free(
            [
                Port(self.options.port, names.port, "the Kafka broker"),
                Port(self.options.controller_port, names.controller_port, "the Kafka controller"),
            ],
            host=LOOPBACK,
        )

    def _cluster_id(self) -> str | None:
        """The id under which the directory was formatted, or None when it is new."""
        path = self.options.data_dir / TOPICS_DIRECTORY / "meta.properties"
        for line in log_tail(path):
            name, _, value = line.partition("=")
            if name == "cluster.id":
                return value
        return None

    def _format(self, program: Sequence[str], classpath: Sequence[Path]) -> None:
        cluster_id = self.options.cluster_id or new_cluster_id()
        # Ids that start with a dash would be taken for an option.
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", SERVER_PROPERTIES]
        command = java_command(program, classpath, heap_mb=self.options.heap_mb, main=tool)
        answer = subprocess.run(  # noqa: S603 - our own command.
            lifeline(command),
            cwd=self.options.data_dir,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
        if answer.returncode != 0 or self._cluster_id() is None:
            raise OperatorNeeded(
                f"{self.options.data_dir / TOPICS_DIRECTORY} could not be formatted for Kafka:\n{answer.stderr}"
                f"{answer.stdout}"
            )

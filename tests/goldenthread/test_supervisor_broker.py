"""The supervisor with a real broker: its restart, and a supervisor that is killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from goldenthread.supervisor.broker_child import broker_child
from goldenthread.supervisor.child_spec import ChildState, ChildStatus, RestartPolicy
from goldenthread.supervisor.supervisor import Supervisor
from streams.broker.directory_lock import DirectoryLock
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.broker.ports import Port, require_free

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
SUPERVISE = """
import asyncio, sys
from pathlib import Path
from goldenthread.supervisor.broker_child import broker_child
from goldenthread.supervisor.child_spec import ChildSpec
from goldenthread.supervisor.supervisor import Supervisor
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions

data_dir, cache_dir, port, controller_port = sys.argv[1:]
broker = LocalBroker(BrokerOptions(data_dir=Path(data_dir) / "kafka", cache_dir=Path(cache_dir), port=int(port),
                                   controller_port=int(controller_port)))
broker.prepare()
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
worker = ChildSpec(name="worker", command=(sys.executable, "-c", deaf), needs=("broker",))

async def main():
    supervisor = Supervisor([broker_child(broker), worker], log_dir=Path(data_dir) / "logs")
    running = asyncio.create_task(supervisor.run())
    await supervisor.wait_ready()
    print(*(status.pid for status in supervisor.status()), flush=True)
    await running

asyncio.run(main())
"""


@pytest.fixture
def options(tmp_path: Path, cache_dir: Path, free_ports: Callable[[int], list[int]]) -> BrokerOptions:
    port, controller_port = free_ports(2)
    return BrokerOptions(data_dir=tmp_path / "kafka", cache_dir=cache_dir, port=port, controller_port=controller_port)


def is_gone(pid: int) -> bool:
    """Whether the process has ended, be it that nobody has asked for its code yet."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_ready_again(status: ChildStatus) -> bool:
    """Whether the child is ready after one restart."""
    return status.state is ChildState.READY and status.restarts == 1


@pytest.mark.crash
@pytest.mark.kafka
def test_a_killed_supervisor_leaves_no_child_no_lock_and_no_port(
    options: BrokerOptions, tmp_path: Path, cache_dir: Path
) -> None:
    arguments = [str(tmp_path), str(cache_dir), str(options.port), str(options.controller_port)]
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(is_gone(pid) for pid in pids)
        supervisor.kill()
    deadline = time.monotonic() + DEADLINE_S
    while not all(is_gone(pid) for pid in pids):
        assert time.monotonic() < deadline, f"of {pids} some outlived their supervisor"
        time.sleep(0.01)
    with DirectoryLock(options.data_dir, setting="GOLDENTHREAD_DATA_DIR"):
        require_free([Port(options.port, "P", "a test"), Port(options.controller_port, "C", "a test")])


@pytest.mark.crash
@pytest.mark.kafka
async def test_a_killed_broker_is_ready_again_with_its_topics_and_stops_cleanly(
    options: BrokerOptions, tmp_path: Path
) -> None:
    broker = LocalBroker(options)
    broker.prepare()
    try:
        policy = RestartPolicy(backoff_min_s=0.01)
        supervisor = Supervisor([broker_child(broker)], log_dir=tmp_path / "logs", policy=policy)
        running = asyncio.create_task(supervisor.run())
        assert await supervisor.wait_ready()
        pid = supervisor.status()[0].pid
        assert pid is not None
        client = {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}
        admin = AdminClient(client)
        admin.create_topics([NewTopic("kept", num_partitions=1)])["kept"].result(timeout=20)
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            while not is_ready_again(supervisor.status()[0]):  # noqa: ASYNC110 - another process gets ready.
                await asyncio.sleep(0.05)
        assert "kept" in admin.list_topics(timeout=10).topics
        supervisor.request_stop()
        assert await running == 0
        assert (options.data_dir / "data" / ".kafka_cleanshutdown").exists()
    finally:
        broker.close()

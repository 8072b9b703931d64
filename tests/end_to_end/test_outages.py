"""The broker goes away in every way and comes back: work goes on by itself, nothing is lost and nothing doubled.

The broker is the test's own, and the system under `up` does not know who runs it, as with a broker elsewhere.
"""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from bench.generator import Plan, generate
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.exactness import assert_exact
from tests.end_to_end.outages import (
    DEFAULT_RESTARTS,
    EVENTS_PER_SECOND,
    RESUMED_WITHIN_S,
    canaries,
    seconds_to_resume,
)
from tests.end_to_end.players import Players
from tests.running_system import RunningSystem
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]

HEAP_MB: Final = 256

Outage = Callable[[LocalBroker, float], None]


def restarted(broker: LocalBroker, seconds: float) -> None:
    """Stopped cleanly, and away for so long."""
    broker.stop()
    time.sleep(seconds)
    broker.start()


def killed(broker: LocalBroker, seconds: float) -> None:
    """Gone without a word."""
    broker.kill()
    time.sleep(seconds)
    broker.start()


def paused(broker: LocalBroker, seconds: float) -> None:
    """There, but silent: connections stay open and nothing answers."""
    os.kill(broker.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(broker.pid, signal.SIGCONT)


def disk_full(broker: LocalBroker, seconds: float) -> None:
    """No file grows any more; the broker ends itself, and is started again once there is room."""
    # Every file that is written to is longer than one byte. The hard limit stays, so nothing needs to be root.
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    wait_until(lambda: not broker.is_running, "the broker's end")
    time.sleep(seconds)
    broker.stop()
    broker.start()


@pytest.fixture
def own_broker(tmp_path: Path, cache_dir: Path, free_ports: FreePorts) -> Iterator[LocalBroker]:
    port, controller_port = free_ports(2)
    options = BrokerOptions(
        data_dir=tmp_path / "kafka", cache_dir=cache_dir, port=port, controller_port=controller_port, heap_mb=HEAP_MB
    )
    with LocalBroker(options) as broker:
        yield broker


def _go_through(
    make_system: SystemMaker,
    broker: LocalBroker,
    outages: list[tuple[Outage, float]],
    resumed_within_s: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each outage under load, one after the other; then everything has to be exact."""
    length_s = sum(seconds + 20 for _, seconds in outages)
    events = int(EVENTS_PER_SECOND * length_s)
    seed = random.SystemRandom().randrange(1_000_000)
    stream = list(generate(Plan(customers=100, events=events, seed=seed, events_per_second=events / (40 * 86_400))))
    settings = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers} | DEFAULT_RESTARTS
    with ExitStack() as stack:
        system = stack.enter_context(make_system("outages", **settings).start())
        players = stack.enter_context(
            Players(system, stream, random.Random(seed), events_per_second=EVENTS_PER_SECOND, give_up_s=length_s + 120)
        )
        besides: list[dict[str, object]] = []
        slow: dict[str, float] = {}
        for outage, seconds in outages:
            outage(broker, seconds)
            wait_until(broker.answers, "the broker's return")
            sent = canaries()
            besides += sent
            resumed_s = seconds_to_resume(system, sent)
            with capsys.disabled():
                print(f"\n{outage.__name__} {seconds:g} s: resumed after {resumed_s:.1f} s", flush=True)  # noqa: T201 - what was measured.
            assert system.process.poll() is None, system.err
            if resumed_s >= resumed_within_s:
                slow[f"{outage.__name__} {seconds:g} s"] = resumed_s
        assert players.finish() == len(stream)
        assert_exact(system, stream, besides)
        assert not slow
        assert system.stop() == 0


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_work_goes_on_by_itself_after_short_outages(
    make_system: SystemMaker, own_broker: LocalBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    _go_through(make_system, own_broker, [(killed, 0), (paused, 8), (disk_full, 0)], SYSTEM_DEADLINE_S, capsys)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_work_goes_on_by_itself_after_long_outages(
    make_system: SystemMaker, own_broker: LocalBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    outages: list[tuple[Outage, float]] = [(restarted, 0), (killed, 0), (paused, 60), (restarted, 120), (disk_full, 20)]
    _go_through(make_system, own_broker, outages, RESUMED_WITHIN_S, capsys)


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_up_starts_its_own_broker_again_and_goes_on(make_system: SystemMaker, free_ports: FreePorts) -> None:
    port, controller_port = free_ports(2)
    settings = DEFAULT_RESTARTS | {
        "KAFKA_BOOTSTRAP_SERVERS": "",
        "GOLDENTHREAD_BROKER_PORT": str(port),
        "GOLDENTHREAD_CONTROLLER_PORT": str(controller_port),
    }
    with make_system("own-broker", **settings).start() as system:
        seconds_to_resume(system, canaries())
        for _ in range(3):
            _have_another_broker(system)
            seconds_to_resume(system, canaries())
        system.wait_quiet()
        assert system.process.poll() is None, system.err
        assert system.stop() == 0


def _have_another_broker(system: RunningSystem) -> None:
    first = system.children()["broker"]
    system.kill("broker")
    wait_until(lambda: system.children().get("broker") not in {None, first}, "another broker")

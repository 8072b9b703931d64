"""Everything is exact, whatever happens to workers: the oracle of `bench` says what every answer must be."""

import random
import subprocess
import time
from typing import Final

import pytest

from bench.generator import Plan, generate
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.exactness import assert_exact
from tests.end_to_end.partitions import ALL_PARTITIONS, partitions_of
from tests.end_to_end.players import Players
from tests.running_system import RunningSystem, request
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

KILLS: Final = 10
#: Between a kill and the next: a worker is back after 2 to 5 seconds, so some die while they start or restore.
KILL_GAP_S: Final = (1.0, 6.0)


@pytest.mark.drill
@pytest.mark.crash
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_contexts_and_interactions_are_exact_after_ten_kills_of_the_worker_under_load(make_system: SystemMaker) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails, so that it can be repeated.
    dice = random.Random(seed)
    stream = list(generate(Plan(customers=150, events=4_000, seed=seed, events_per_second=4_000 / (40 * 86_400))))
    with (
        make_system("killed-worker", GOLDENTHREAD_RESTART_WINDOW_S="1").start() as system,
        Players(system, stream, dice) as players,
    ):
        for _ in range(KILLS):
            time.sleep(dice.uniform(*KILL_GAP_S))
            system.kill("worker")
        assert players.finish() == len(stream)
        assert_exact(system, stream)
        log = (system.data_dir / "logs" / "worker.log").read_text()
        assert log.count(" started as process ") == KILLS + 1
        assert system.stop() == 0


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_a_second_worker_joins_under_load_and_leaves_and_all_is_exact(
    make_system: SystemMaker, free_ports: FreePorts
) -> None:
    stream = list(generate(Plan(customers=80, events=2_000, seed=8, events_per_second=2_000 / (40 * 86_400))))
    dice = random.Random(8)
    with make_system("two-workers").start() as system, Players(system, stream, dice, at_once=0.5) as players:
        wait_until(lambda: partitions_of(system, system.worker_url) == ALL_PARTITIONS, "all partitions at the first")
        port = free_ports(1)[0]
        url = f"http://127.0.0.1:{port}"
        settings = system.environment | {"GOLDENTHREAD_WORKER_PORT": str(port - 1)}
        with (
            (system.folder / "second.log").open("wb") as log,
            subprocess.Popen(
                [*system.program, "worker", "--index", "1"], env=settings, cwd=system.folder, stderr=log
            ) as second,
        ):
            try:
                wait_until(lambda: partitions_of(system, url) > 0, "a share of the partitions for the second")
                wait_until(
                    lambda: partitions_of(system, url) + partitions_of(system, system.worker_url) == ALL_PARTITIONS,
                    "each partition at one of them",
                )
                context = system.metric(url, "goldenthread_assigned_partitions", stage="context")
                assert context == 2, "the stage where the work is was not shared evenly"
                # However long it took to join, there is something left for it.
                players.release()
                wait_until(lambda: processed_by(system, url) > 0, "events for the second")
            finally:
                second.terminate()
            assert second.wait(SYSTEM_DEADLINE_S) == 0
        wait_until(lambda: partitions_of(system, system.worker_url) == ALL_PARTITIONS, "all back at the first")
        assert players.finish() == len(stream)
        assert_exact(system, stream)


def processed_by(system: RunningSystem, url: str) -> float:
    """How many events and pieces of evidence a worker has processed."""
    assert request("GET", f"{url}/readyz").status == 200
    return system.metric(url, "goldenthread_events_processed_total")

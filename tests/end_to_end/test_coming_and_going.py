"""Workers join, leave and are killed every few seconds, and everything is exact."""

import random
import time
from collections import Counter
from typing import Final

import pytest

from bench.generator import Plan, generate
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.exactness import assert_exact
from tests.end_to_end.extra_worker import ExtraWorker
from tests.end_to_end.partitions import ALL_PARTITIONS, partitions_of
from tests.end_to_end.players import Players
from tests.waiting import wait_until

pytestmark = [pytest.mark.drill, pytest.mark.kafka, pytest.mark.crash]

LENGTH_S: Final = 120.0
#: A worker needs 2 to 5 seconds to start and to restore: some go again before they have anything.
GAP_S: Final = (1.0, 6.0)
EVENTS_PER_SECOND: Final = 60.0
#: Of them nine tenths are sent while workers come and go, the rest after that.
EVENTS: Final = int(EVENTS_PER_SECOND * LENGTH_S * 1.2)


@pytest.mark.timeout(900)
def test_workers_that_join_leave_and_are_killed_for_two_minutes_under_load_leave_all_exact(
    make_system: SystemMaker, free_ports: FreePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails, so that it can be repeated.
    dice = random.Random(seed)
    stream = list(generate(Plan(customers=200, events=EVENTS, seed=seed, events_per_second=EVENTS / (40 * 86_400))))
    deeds: Counter[str] = Counter()
    with (
        make_system("coming-and-going", GOLDENTHREAD_RESTART_WINDOW_S="1").start() as system,
        Players(system, stream, dice, events_per_second=EVENTS_PER_SECOND) as players,
        ExtraWorker(system, 1, free_ports(1)[0]) as second,
        ExtraWorker(system, 2, free_ports(1)[0]) as third,
    ):
        ends_s = time.monotonic() + LENGTH_S
        while time.monotonic() < ends_s:
            time.sleep(dice.uniform(*GAP_S))
            worker = dice.choice([None, second, third])
            if worker is None:
                system.kill("worker")
                deeds["kill of the first"] += 1
            elif not worker.is_here:
                worker.join()
                deeds["join"] += 1
            elif dice.random() < 0.5:
                worker.kill()
                deeds["kill of another"] += 1
            else:
                worker.leave()
                deeds["leave"] += 1
        for worker in (second, third):
            if worker.is_here:
                worker.leave()
        wait_until(lambda: partitions_of(system, system.worker_url) == ALL_PARTITIONS, "all back at the first")
        assert players.finish() == len(stream)
        assert_exact(system, stream)
        for worker in (second, third):
            worker.assert_ends_are_in_order()
        with capsys.disabled():
            print(f"\n{dict(deeds)}, ends of the others: {second.ends + third.ends}", flush=True)  # noqa: T201 - what was done.
        assert deeds.keys() >= {"kill of the first", "join", "leave"}
        assert system.process.poll() is None, system.err
        assert system.stop() == 0

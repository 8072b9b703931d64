"""The schedule is a pure function of its seed, and holds to what was asked for."""

from collections import Counter
from itertools import islice, pairwise

import pytest

from bench.drill.schedule import BROKER, EXTRA_WORKER, WEIGHTS, WORKERS, Fault, FaultKind, Timing, schedule
from streams.faults import fault_hook, no_fault, read_plan


def first(count: int, seed: int, *kinds: FaultKind, timing: Timing | None = None) -> list[Fault]:
    return list(islice(schedule(seed, kinds, timing), count))


def test_a_seed_gives_the_same_schedule_again_and_another_seed_another_one() -> None:
    assert first(200, 7) == first(200, 7)
    assert first(200, 7) != first(200, 8)


def test_all_kinds_come_mostly_kills_of_workers_rarely_ones_of_the_broker() -> None:
    counts = Counter(fault.kind for fault in first(2_000, 1))
    assert set(counts) == set(FaultKind) == set(WEIGHTS)
    assert counts.most_common(1)[0][0] is FaultKind.KILL_WORKER
    assert 0 < counts[FaultKind.KILL_BROKER] < counts[FaultKind.KILL_WORKER] / 5


def test_faults_are_numbered_and_follow_each_other_within_the_gap() -> None:
    faults = first(500, 3, timing=Timing(gap_seconds=(0.5, 2.0)))
    assert [fault.number for fault in faults] == list(range(1, 501))
    times = [0.0, *(fault.at_seconds for fault in faults)]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= 0.5
    assert max(gaps) <= 2.0


def test_only_the_kinds_that_were_asked_for_come() -> None:
    kinds = (FaultKind.KILL_WORKER, FaultKind.KILL_LOOKUP)
    assert {fault.kind for fault in first(200, 1, *kinds)} == set(kinds)


def test_a_pause_is_shorter_than_the_session_timeout_and_a_zombie_sleeps_longer() -> None:
    timing = Timing(session_timeout_seconds=6.0)
    faults = first(3_000, 5, timing=timing)
    assert all(0 < fault.lasts_seconds < 6 for fault in faults if fault.kind is FaultKind.PAUSE_WORKER)
    assert all(6 < fault.lasts_seconds < 18 for fault in faults if fault.kind is FaultKind.ZOMBIE_WORKER)
    assert all(fault.lasts_seconds == 0 for fault in faults if fault.kind is FaultKind.KILL_WORKER)


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        (FaultKind.KILL_WORKERS, {WORKERS}),
        (FaultKind.KILL_WORKER, {(name,) for name in WORKERS}),
        (FaultKind.EXTRA_WORKER, {(EXTRA_WORKER,)}),
        (FaultKind.PAUSE_BROKER, {(BROKER,)}),
    ],
)
def test_each_kind_hits_what_its_name_says(kind: FaultKind, targets: set[tuple[str, ...]]) -> None:
    assert {fault.targets for fault in first(100, 1, kind)} == targets


def test_every_plan_is_one_that_a_worker_takes_and_all_stages_come() -> None:
    plans = [fault.plan for fault in first(500, 2, FaultKind.KILL_AT_POINT)]
    entries = [entry for plan in plans for entry in read_plan(plan)]
    assert len(entries) == len(plans)
    assert {entry.stage for entry in entries} == {"intake", "identity", "context"}
    # A point of intake in a plan for another stage would never be passed.
    assert all((entry.stage == "intake") == entry.point.startswith("intake") for entry in entries)
    assert all(entry.action == "kill" for entry in entries)
    assert all(fault_hook(plan, plan.partition("/")[0]) is not no_fault for plan in plans)


def test_a_fault_reads_well() -> None:
    (fault,) = first(1, 1, FaultKind.PAUSE_BROKER)
    assert str(fault) == f"pause-broker broker for {fault.lasts_seconds:.1f} s"

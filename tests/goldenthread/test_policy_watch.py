"""A worker goes by the policy in force, says where its file differs, and does not start where that would route."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from goldenthread.parts import Parts, make_parts
from goldenthread.processes.policy_watch import PolicyWatch
from goldenthread.settings import load_settings
from schemas.errors import PolicyRefused, RestartNeeded
from schemas.identity_policy import DEFAULT_POLICY, Policy
from schemas.keys import Keyring
from schemas.policy_parts import encode_policy
from schemas.rows import POLICY_ROW_KEY, PolicyRow, encode_row
from state.engine import MemoryRows
from streams.metrics import Metrics
from tests.waiting import until

LIMITED = msgspec.structs.replace(DEFAULT_POLICY, cluster_limit=7)
UNLINKABLE = msgspec.structs.replace(DEFAULT_POLICY, unlinkable=("phone:+31201234567",))
ELSEWHERE = msgspec.structs.replace(DEFAULT_POLICY, phone_region="NL")


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """With the default policy as the file's."""
    return make_parts(load_settings(data_dir=tmp_path), "test", Keyring(b"a secret for tests only"))


class _Watched:
    def __init__(self, parts: Parts, in_force: Policy | None) -> None:
        self.rows = MemoryRows()
        if in_force is not None:
            self.put(in_force)
        self.metrics = Metrics("worker", "1")
        self.watch = PolicyWatch(parts, self.rows, self.metrics, interval_s=0.01)
        self.errors: list[BaseException] = []

    def put(self, policy: Policy, change: str = "p1") -> None:
        first = encode_policy(DEFAULT_POLICY)
        self.rows.rows[POLICY_ROW_KEY] = encode_row(PolicyRow(encode_policy(policy), change, 0, "ann", "", 0, first))

    @property
    def differs(self) -> float | None:
        return self.metrics.registry.get_sample_value("goldenthread_identity_policy_differs")


def test_before_the_first_start_the_file_counts(parts: Parts) -> None:
    assert _Watched(parts, None).watch.settle() is parts


def test_the_policy_in_force_counts_and_the_file_is_said_to_differ(parts: Parts) -> None:
    watched = _Watched(parts, UNLINKABLE)
    settled = watched.watch.settle()
    assert settled.policy == UNLINKABLE
    assert settled.cleaner is not parts.cleaner
    assert watched.watch.first == DEFAULT_POLICY
    assert watched.differs == 1


def test_a_file_that_agrees_is_said_to(parts: Parts) -> None:
    watched = _Watched(parts, DEFAULT_POLICY)
    assert watched.watch.settle() is parts
    assert watched.differs == 0


def test_a_file_that_would_route_otherwise_ends_the_start_with_exit_code_4(parts: Parts) -> None:
    with pytest.raises(PolicyRefused, match="phone_region: empty, not NL") as refused:
        _Watched(parts, ELSEWHERE).watch.settle()
    assert refused.value.exit_code == 4


async def _watched_until_it_ends(watched: _Watched) -> BaseException:
    watching = asyncio.create_task(watched.watch.watch(watched.errors.append))
    try:
        await until(lambda: watched.errors)
    finally:
        watching.cancel()
    return watched.errors[0]


async def test_a_worker_starts_again_when_intake_and_contexts_have_to_go_by_another_policy(parts: Parts) -> None:
    watched = _Watched(parts, DEFAULT_POLICY)
    watched.watch.settle()
    watched.put(UNLINKABLE)
    assert isinstance(await _watched_until_it_ends(watched), RestartNeeded)


async def test_a_worker_goes_on_when_only_identity_goes_by_another_policy(parts: Parts) -> None:
    watched = _Watched(parts, DEFAULT_POLICY)
    watched.watch.settle()
    watching = asyncio.create_task(watched.watch.watch(watched.errors.append))
    watched.put(LIMITED)
    await until(lambda: watched.differs == 1)
    assert not watching.done()
    assert not watched.errors
    watching.cancel()

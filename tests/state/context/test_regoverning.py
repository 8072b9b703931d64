"""Another policy: what documents show otherwise is published again, once, and nothing else."""

from typing import Any

import msgspec
import pytest

from schemas.identity_policy import DEFAULT_POLICY, Policy, Strength
from schemas.topics import Topic
from state.context import regoverning
from state.context.regoverning import SHOWN_POLICY_KEY
from state.join import JoinRules
from tests.state.builders import ANN, ANNS_COOKIE, fragment_of, routed
from tests.state.context.bench import Bench, of

MEDIUM = msgspec.structs.replace(
    DEFAULT_POLICY,
    kinds=tuple(
        msgspec.structs.replace(kind, strength=Strength.MEDIUM) if kind.name in {"email", "national_id"} else kind
        for kind in DEFAULT_POLICY.kinds
    ),
)
UNLINKABLE = msgspec.structs.replace(DEFAULT_POLICY, unlinkable=(f"email:{ANN.value}",))
LIMITED = msgspec.structs.replace(DEFAULT_POLICY, cluster_limit=7)


def _bench() -> Bench:
    bench = Bench()
    bench.publish(routed(ANN, grade=2, id="e-1"), routed(ANNS_COOKIE, id="e-2"))
    return bench


def _under(bench: Bench, policy: Policy) -> list[Any]:
    """What a start under the policy says, until it has no more to say."""
    bench.rules = JoinRules(policy)
    bench.arguments = {"first_policy": DEFAULT_POLICY}
    bench.restart()
    said = []
    while (drained := bench.engine.drain()).outputs or drained.rows:
        bench.rows.write(drained.rows)
        bench.engine.settled()
        said += of(Topic.CONTEXT, list(drained.outputs))
    return said


def test_levels_are_published_again_where_strengths_changed_and_only_once() -> None:
    bench = _bench()
    [document] = _under(bench, MEDIUM)
    assert (document["customer"], document["identity"]["level"]) == (fragment_of(ANN), "recognised")
    assert _under(bench, MEDIUM) == []
    [back] = _under(bench, DEFAULT_POLICY)
    assert back["identity"]["level"] == "identified"
    assert bench.rows.get(SHOWN_POLICY_KEY) is None


def test_who_belongs_to_nobody_from_now_on_is_shown_without_what_was_said() -> None:
    bench = _bench()
    [document] = _under(bench, UNLINKABLE)
    assert (document["identity"]["level"], document.get("traits") or {}) == ("shared", {})


def test_what_documents_do_not_show_is_published_to_nobody() -> None:
    bench = _bench()
    assert _under(bench, LIMITED) == []
    assert bench.rows.get(SHOWN_POLICY_KEY) is None


@pytest.mark.parametrize("crash_after", [1, 2])
def test_many_customers_are_published_again_step_by_step_and_after_a_crash_from_the_beginning(
    crash_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regoverning, "CUSTOMERS_PER_STEP", 2)
    bench = Bench()
    names = [ANN._replace(value=f"ann-{number}@example.com") for number in range(7)]
    bench.publish(*(routed(name, grade=2, id=name.value) for name in names))
    bench.rules, bench.arguments = JoinRules(MEDIUM), {"first_policy": DEFAULT_POLICY}
    bench.restart()
    for _ in range(crash_after):
        assert len(of(Topic.CONTEXT, bench.commit())) == 2
    said = _under(bench, MEDIUM)
    assert {document["customer"] for document in said} == {fragment_of(name) for name in names}
    assert {document["identity"]["level"] for document in said} == {"recognised"}
    assert _under(bench, MEDIUM) == []

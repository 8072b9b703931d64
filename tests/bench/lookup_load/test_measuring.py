"""Goal: sorts of questions alternate by weight, and customers made at once are found. Method: a small system."""

from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from bench.lookup_load import LookupPlan, lines, measure
from bench.lookup_load.client import Question, mixed
from bench.lookup_load.contexts import model_document
from schemas.document import ContextDocument


def test_sorts_alternate_by_weight_and_paths_in_turn() -> None:
    asked = list(islice(mixed([Question("a", ["/1", "/2"], 3), Question("b", ["/3"], 1)]), 400))
    assert Counter(name for name, _ in asked) == {"a": 300, "b": 100}
    # No stretch is of one sort alone.
    assert all("b" in {name for name, _ in asked[start : start + 4]} for start in range(396))
    assert [path for name, path in asked if name == "a"][:4] == ["/1", "/2", "/1", "/2"]


def test_the_model_is_a_document() -> None:
    document = msgspec.json.decode(model_document(), type=ContextDocument)
    assert len(document.interactions.recent) == 10
    assert 1_000 < len(model_document()) < 4_000


@pytest.mark.kafka
def test_a_small_system_answers_every_sort_of_question_as_it_should(tmp_path: Path) -> None:
    plan = LookupPlan(
        requests_per_second=100, seconds=2, settle_seconds=0.2, events_per_second=50, warm_events=200, customers=300,
        capacity_step=100, capacity_seconds=1, capacity_max=100,
    )  # fmt: skip
    found = measure(plan, tmp_path)
    assert found.statuses == {200: 160, 404: 40}
    assert {name: latencies.count for name, latencies in found.by_question.items()} == {
        "by id, hit": 80, "by identifier, hit": 80, "by id, miss": 20, "by identifier, miss": 20,
    }  # fmt: skip
    assert [step.requests_per_second for step in found.steps] == [100]
    assert found.events_per_second > 0
    assert any("capacity" in line for line in lines(found))

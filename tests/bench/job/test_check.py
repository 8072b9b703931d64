"""The check finds every way in which an engine can be wrong, and says it in words."""

from typing import Any

import msgspec
import pytest

from bench.job.check import Verdict, judge
from bench.job.events import Plan, event
from bench.job.forms import Forms, job_fields
from bench.job.outputs import Outputs
from bench.job.reference import Expectation, expect
from streams.bulk import Record

FORMS = Forms()
PLAN = Plan(events=60, customers=4)
EVENTS = [(FORMS.customer(each.customer), job_fields(each)) for each in (event(PLAN, n) for n in range(PLAN.events))]


@pytest.fixture(scope="module")
def expectation() -> Expectation:
    return expect(EVENTS)


class Written:
    """An engine that did all of it right, until a test spoils something."""

    def __init__(self, expectation: Expectation) -> None:
        self.interactions = [interaction(customer, fields) for customer, fields in EVENTS]
        self.documents = {key: msgspec.json.decode(value) for key, value in expectation.documents.items()}
        self.partitions: dict[str, int] = {}

    def judged(self, expectation: Expectation, *, exactly_once: bool = True, is_pipeline: bool = False) -> Verdict:
        """What the check says of it."""
        outputs = Outputs()
        outputs.take_interactions(
            [record("interactions", place, each["customer"], each) for place, each in enumerate(self.interactions)]
        )
        outputs.take_documents(
            [record("context", place, key, each) for place, (key, each) in enumerate(self.documents.items())]
        )
        return judge(expectation, outputs, exactly_once=exactly_once, is_pipeline=is_pipeline)


def interaction(customer: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "traits"} | {"customer": customer}


def record(topic: str, offset: int, key: str, value: Any, partition: int = 0) -> Record:
    encoded = None if value is None else msgspec.json.encode(value)
    return Record(topic, partition, offset, 1_000 + offset, key.encode(), encoded)


def test_what_is_right_agrees(expectation: Expectation) -> None:
    verdict = Written(expectation).judged(expectation)
    assert verdict.agrees
    assert verdict.shown == ()
    assert (verdict.events, verdict.customers) == (60, 4)


def test_what_a_document_says_besides_does_not_matter(expectation: Expectation) -> None:
    written = Written(expectation)
    for document in written.documents.values():
        document |= {"version": 3, "refs": []}
        for trait in document["traits"].values():
            trait["grade"] = "login"
        document["interactions"]["recent"][0]["via"] = "cookie"
    assert written.judged(expectation).agrees


def test_a_missing_interaction_is_named(expectation: Expectation) -> None:
    written = Written(expectation)
    gone = written.interactions.pop(7)
    verdict = written.judged(expectation)
    assert verdict.differences == 1
    assert verdict.shown[0] == (f"interaction {gone['source']}/{gone['id']} of customer {gone['customer']} is missing")


def test_a_doubled_interaction_counts_where_exactly_once_was_promised(expectation: Expectation) -> None:
    written = Written(expectation)
    written.interactions.append(written.interactions[3])
    strict, lenient = written.judged(expectation), written.judged(expectation, exactly_once=False)
    assert strict.differences == 1
    assert "more than once" in strict.shown[0]
    assert lenient.agrees
    assert lenient.doubled == 1


def test_an_interaction_of_no_event_is_named(expectation: Expectation) -> None:
    written = Written(expectation)
    written.interactions.append(written.interactions[0] | {"id": "made up"})
    assert "made up is of no event" in written.judged(expectation).shown[0]


def test_an_interaction_that_says_something_else_is_named(expectation: Expectation) -> None:
    written = Written(expectation)
    written.interactions[5] = written.interactions[5] | {"data": {"url": "another"}}
    assert "says something else than its event" in written.judged(expectation).shown[0]


def test_another_customers_interaction_is_named_unless_identity_may_have_moved_it(expectation: Expectation) -> None:
    written = Written(expectation)
    other = next(key for key in written.documents if key != written.interactions[0]["customer"])
    written.interactions[0] = written.interactions[0] | {"customer": other}
    assert "it has to be" in written.judged(expectation).shown[0]
    assert written.judged(expectation, is_pipeline=True).agrees


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("interactions", "count"), 0, "interactions.count is 0, it has to be"),
        (("last", "in"), None, "last.in is null, it has to be"),
        (("days", "2031-01-01"), {"web": 1}, 'days.2031-01-01 is {"web":1}, it has to be absent'),
        (("interactions", "recent"), [], "interactions.recent is [], it has to be"),
    ],
)
def test_a_wrong_field_of_a_document_is_shown(
    expectation: Expectation, path: tuple[str, str], value: Any, said: str
) -> None:
    written = Written(expectation)
    document = next(iter(written.documents.values()))
    document[path[0]][path[1]] = value
    verdict = written.judged(expectation)
    assert not verdict.agrees
    assert said in verdict.shown[0]
    assert document["customer"] in verdict.shown[0]


def test_a_missing_and_an_unexpected_document_are_named(expectation: Expectation) -> None:
    written = Written(expectation)
    gone = next(iter(written.documents))
    written.documents["f" * 32] = written.documents.pop(gone)
    shown = "\n".join(written.judged(expectation).shown)
    assert f"customer {gone} has no document" in shown
    assert f"customer {'f' * 32} has a document and no events" in shown


def test_a_document_that_was_taken_back_is_missing(expectation: Expectation) -> None:
    written = Written(expectation)
    gone = next(iter(written.documents))
    written.documents[gone] = None
    assert "has no document" in written.judged(expectation).shown[0]


def test_a_document_of_another_shape_is_told_not_raised(expectation: Expectation) -> None:
    written = Written(expectation)
    written.documents[next(iter(written.documents))] = {"customer": "x"}
    assert "can't be read" in written.judged(expectation).shown[0]


def test_one_customer_in_two_partitions_has_no_last_value() -> None:
    outputs = Outputs()
    outputs.take_documents([record("context", 0, "a", {}, partition=0), record("context", 0, "a", {}, partition=1)])
    assert "two partitions" in outputs.unreadable[0]


def test_what_is_no_json_is_told() -> None:
    outputs = Outputs()
    outputs.take_interactions([Record("interactions", 0, 4, 0, b"a", b"no")])
    assert "interactions/0 at 4 is no JSON object" in outputs.unreadable[0]


def test_only_the_documents_that_are_judged_are_kept() -> None:
    outputs = Outputs(kept=frozenset({"a"}))
    outputs.take_documents([record("context", 0, "a", {}), record("context", 1, "b", {})])
    assert outputs.documents.keys() == {"a"}
    assert outputs.document_records == 2

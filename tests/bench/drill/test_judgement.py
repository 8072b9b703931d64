"""The judgement can be bad: whatever is lost, doubled, altered or repeated on purpose is counted."""

import copy
from typing import Any

import pytest

from bench.compare import Report
from bench.drill.judgement import judge
from bench.drill.outputs import DeadLetters, Outputs
from bench.drill.verdict import Findings
from bench.generator import Plan, generate, load_sources
from bench.oracle import Expectation, expect
from schemas.errors import DeadCode
from tests.bench.drill.records import contexts, fragment_id, interaction, outputs, record

Documents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return list(generate(Plan(customers=40, events=600)))


@pytest.fixture(scope="module")
def expectation(events: list[dict[str, Any]]) -> Expectation:
    return expect(events, load_sources())


@pytest.fixture
def documents(expectation: Expectation) -> Documents:
    """Right ones, which a test may spoil."""
    return contexts(expectation)


class Judge:
    """Judges outputs and contexts of a run, all else being right."""

    def __init__(self, events: list[dict[str, Any]], expectation: Expectation) -> None:
        self.events = events
        self.expectation = expectation

    def __call__(self, found: Outputs, letters: DeadLetters | None = None, **lookups: Report) -> Findings:
        """What is wrong with these."""
        return judge(
            [(event["source"], event["id"]) for event in self.events],
            self.expectation,
            outputs=found,
            letters=letters or DeadLetters([], {}, {}),
            lookups=lookups,
            id_of=fragment_id,
        )


@pytest.fixture
def judgement(events: list[dict[str, Any]], expectation: Expectation) -> Judge:
    return Judge(events, expectation)


def somebody(documents: Documents) -> dict[str, Any]:
    """A context with more than one interaction."""
    return next(one for one in documents.values() if one["interactions"]["count"] > 1 and one["identifiers"])


def test_nothing_is_wrong_where_all_is_right(judgement: Judge, documents: Documents) -> None:
    findings = judgement(outputs(judgement.events, documents), lookup=Report(customers=3))
    assert set(findings.counts.values()) == {0}, findings.examples
    assert findings.examples == []


def test_an_event_without_an_interaction_is_lost(judgement: Judge, documents: Documents) -> None:
    gone = judgement.events[7]
    rest = [event for event in judgement.events if (event["source"], event["id"]) != (gone["source"], gone["id"])]
    findings = judgement(outputs(rest, documents))
    assert findings.counts == Findings(lost=1).counts
    assert findings.examples == [f"no interaction for {gone['id']} of {gone['source']}"]


def test_an_event_that_a_context_does_not_count_is_lost_once(judgement: Judge, documents: Documents) -> None:
    somebody(documents)["interactions"]["count"] -= 1
    findings = judgement(outputs(judgement.events, documents))
    assert (findings.lost, findings.doubled, findings.wrong_fields) == (1, 0, 1)
    gone = judgement.events[7]
    rest = [event for event in judgement.events if (event["source"], event["id"]) != (gone["source"], gone["id"])]
    assert judgement(outputs(rest, documents)).lost == 1


def test_an_event_that_a_context_counts_twice_is_doubled(judgement: Judge, documents: Documents) -> None:
    somebody(documents)["interactions"]["count"] += 1
    findings = judgement(outputs(judgement.events, documents))
    assert (findings.lost, findings.doubled, findings.wrong_fields) == (0, 1, 1)


def test_a_shared_identifier_that_counts_one_too_many_is_noticed_in_the_sum(
    judgement: Judge, documents: Documents
) -> None:
    shared = next(one for one in documents.values() if one["identity"]["level"] == "shared")
    shared["interactions"]["count"] += 1
    assert judgement(outputs(judgement.events, documents)).counts == Findings(doubled=1).counts
    shared["interactions"]["count"] -= 2
    assert judgement(outputs(judgement.events, documents)).counts == Findings(lost=1).counts


def test_an_interaction_that_comes_twice_is_doubled_and_repeated(judgement: Judge, documents: Documents) -> None:
    found = outputs(judgement.events, documents)
    found.take(interaction(judgement.events[3]))
    findings = judgement(found)
    assert findings.counts == Findings(doubled=1, repeated_outputs=1).counts


def test_an_interaction_of_an_event_that_nobody_sent_is_one_too_many(judgement: Judge, documents: Documents) -> None:
    found = outputs(judgement.events, documents)
    found.take(interaction({"source": "nobody", "id": "e-1"}))
    assert judgement(found).counts == Findings(doubled=1).counts


def test_an_altered_field_is_wrong_and_says_where(judgement: Judge, documents: Documents) -> None:
    context = next(one for one in documents.values() if one.get("traits"))
    trait = next(iter(context["traits"].values()))
    trait["value"] = "somebody else's"
    findings = judgement(outputs(judgement.events, documents))
    assert findings.counts == Findings(wrong_fields=1).counts
    assert "somebody else's" in findings.examples[0]


def test_a_context_that_is_not_there_loses_all_its_events(judgement: Judge, documents: Documents) -> None:
    gone = somebody(documents)
    del documents[gone["customer"]]
    findings = judgement(outputs(judgement.events, documents))
    assert (findings.lost, findings.wrong_fields) == (gone["interactions"]["count"], 1)


def test_a_context_of_its_own_of_somebody_who_was_merged_is_wrong(judgement: Judge, documents: Documents) -> None:
    customer = next(one for one in judgement.expectation.customers if len(one.homes) == 1 and len(one.members) > 1)
    (home,) = customer.homes
    other = next(f"{kind}:{value}" for kind, value in customer.members if f"{kind}:{value}" != home)
    stale = copy.deepcopy(documents[home])
    kind, _, value = other.partition(":")
    stale["identifiers"] = [{"kind": kind, "value": value, "role": "home"}]
    stale["interactions"]["count"] = 0
    findings = judgement(outputs(judgement.events, {other: stale, **documents}))
    assert findings.wrong_fields > 0
    assert findings.doubled == findings.lost == 0 or findings.lost == documents[home]["interactions"]["count"]


def test_a_context_that_still_settles_is_wrong(judgement: Judge, documents: Documents) -> None:
    somebody(documents)["settling"] = True
    assert judgement(outputs(judgement.events, documents)).counts == Findings(wrong_fields=1).counts


def test_a_version_that_does_not_grow_is_a_repeated_output(judgement: Judge, documents: Documents) -> None:
    found = outputs(judgement.events, documents)
    context = somebody(documents)
    found.take(record("context", context, key=context["customer"]))
    assert judgement(found).counts == Findings(repeated_outputs=1).counts


def test_what_the_lookup_says_differently_is_wrong(judgement: Judge, documents: Documents) -> None:
    right = outputs(judgement.events, documents)
    findings = judgement(right, lookup=Report(differences=["email:a: /traits is 1"]), rebuilt=Report(differences=["x"]))
    assert findings.counts == Findings(wrong_fields=2).counts
    assert findings.examples == ["lookup: email:a: /traits is 1", "rebuilt: x"]


def test_a_bad_event_that_is_nowhere_is_lost(judgement: Judge, documents: Documents) -> None:
    letters = DeadLetters([], {b"bad": (DeadCode.NOT_JSON, 1)}, {})
    assert judgement(outputs(judgement.events, documents), letters).counts == Findings(lost=1).counts

"""Whatever repeats or goes back on the public topics is found, and so is every dead letter too few or too many."""

from typing import Any

import pytest

from bench.drill.judgement import judge
from bench.drill.outputs import DeadLetters, Outputs
from bench.drill.verdict import Verdict
from bench.drill.workload import bad_event
from bench.oracle import Expectation
from schemas.errors import DeadCode
from schemas.topics import DEFAULT_PREFIX
from streams.bulk import Record
from streams.dead import DeadLetterRecord
from tests.bench.drill.records import interaction, record

EVENT = {"source": "shop", "id": "e-1"}


def decision(offset: int, **fields: Any) -> Record:
    value = {"change": "linked", "customer": "c", "fragment": "f", "offset": offset} | fields
    return record("identity.changes", value, offset=offset)


def context(version: int | None) -> Record:
    return record("context", None if version is None else {"version": version}, key="c")


def repeated(*records: Record) -> int:
    outputs = Outputs(DEFAULT_PREFIX)
    for one in records:
        outputs.take(one)
    assert len(outputs.examples) == outputs.repeated
    return outputs.repeated


def test_outputs_that_come_once_and_versions_that_grow_are_fine() -> None:
    outputs = [
        interaction(EVENT),
        interaction(EVENT | {"source": "till"}),
        decision(3),
        decision(3, fragment="g"),
        decision(4),
        context(1),
        context(4),
        context(None),
        context(5),
    ]
    assert repeated(*outputs) == 0


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("an interaction", [interaction(EVENT), interaction(EVENT)]),
        ("a decision", [decision(3), decision(4, fragment="g"), decision(3)]),
        ("an earlier evidence", [decision(4), decision(3)]),
        ("a version", [context(2), context(2)]),
        ("an older version", [context(2), context(1)]),
        ("a version from before a tombstone", [context(2), context(None), context(2)]),
        (
            "changes of a version",
            [record("context.changes", {"customer": "c", "version": 2}) for _ in range(2)],
        ),
    ],
)
def test_what_repeats_or_goes_back_is_counted(name: str, again: list[Record]) -> None:
    assert repeated(*again) == 1, name


def test_the_newest_contexts_are_kept_and_tombstones_end_them() -> None:
    outputs = Outputs(DEFAULT_PREFIX)
    for one in (context(1), context(2), record("context", {"version": 1}, key="d"), record("context", None, key="d")):
        outputs.take(one)
    assert outputs.contexts == {"c": {"version": 2}}


BAD = {sending.body: sending.code for sending in map(bad_event, range(6)) if sending.code is not None}
FORGED = ("drill-canary", "canary-5")
CONFLICT = b'{"source": "drill-canary", "id": "canary-5"}'


def letter(value: bytes | None, code: str, offset: int = 0) -> DeadLetterRecord:
    return DeadLetterRecord(offset, 0, code, "message", "", "intake", None, None, value, ())


def judged(*letters: DeadLetterRecord) -> tuple[int, int]:
    bodies = {body: (code, 1) for body, code in BAD.items()}
    found = DeadLetters(letters, bodies, {FORGED: 1})
    assert bool(found.examples) == bool(found.missing + found.unexpected)
    return found.missing, found.unexpected


def expected_letters() -> list[DeadLetterRecord]:
    return [letter(body, code) for body, code in BAD.items()] + [letter(CONFLICT, DeadCode.CONTENT_CONFLICT)]


def test_every_kind_of_bad_event_has_a_code_of_its_own() -> None:
    assert len(BAD) == len(set(BAD.values())) == 6


def test_each_expected_letter_once_is_fine_and_a_forgery_that_is_told_of_twice_is_not() -> None:
    assert judged(*expected_letters()) == (0, 0)
    assert judged(*expected_letters(), letter(CONFLICT, DeadCode.CONTENT_CONFLICT)) == (0, 1)


@pytest.mark.parametrize("place", range(7))
def test_a_letter_that_is_not_there_is_missing(place: int) -> None:
    letters = expected_letters()
    del letters[place]
    assert judged(*letters) == (1, 0)


def test_a_letter_too_many_a_foreign_one_and_a_wrong_code_are_unexpected() -> None:
    letters = expected_letters()
    assert judged(*letters, letters[0]) == (0, 1)
    assert judged(*letters, letter(b"a good event", DeadCode.CONTENT_CONFLICT)) == (0, 1)
    assert judged(*letters[1:], letters[0]._replace(code="null_byte")) == (1, 1)


def test_a_body_that_the_broker_has_twice_is_refused_twice() -> None:
    (body, code), *_ = BAD.items()
    assert DeadLetters([letter(body, code)] * 2, {body: (code, 2)}, {}).unexpected == 0
    assert DeadLetters([letter(body, code)], {body: (code, 2)}, {}).missing == 1
    conflict = letter(CONFLICT, DeadCode.CONTENT_CONFLICT)
    assert DeadLetters([conflict] * 2, {}, {FORGED: 2}).examples == []
    assert DeadLetters([conflict], {}, {FORGED: 2}).missing == 1
    assert DeadLetters([conflict] * 3, {}, {FORGED: 2}).unexpected == 1


@pytest.mark.parametrize("place", range(7))
def test_a_doubled_letter_makes_the_verdict_bad(place: int) -> None:
    bodies = {body: (code, 1) for body, code in BAD.items()}
    verdicts = []
    for doubled in ([], [expected_letters()[place]]):
        letters = DeadLetters([*expected_letters(), *doubled], bodies, {FORGED: 1})
        findings = judge(
            [], Expectation(0, [], []), outputs=Outputs(DEFAULT_PREFIX), letters=letters, lookups={}, id_of=str
        )
        verdict = Verdict(
            seed=1,
            seconds=1,
            events=0,
            orders=0,
            sends=7,
            retries=0,
            kills=0,
            faults={},
            recoveries=[],
            findings=findings,
        )
        verdicts.append((verdict.name, findings.unexpected_dead_letters))
    assert verdicts == [("exact", 0), ("wrong", 1)]

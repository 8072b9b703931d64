"""The comparison against a lookup that says what the oracle says, and against ones that don't."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench import __main__ as command_line
from bench.compare import LAG_HEADER, MATCH_HEADER, Report, compare, document_differences
from bench.generator import Plan, generate, load_sources
from bench.oracle import Expectation, expect
from schemas.errors import RestartNeeded

Documents = dict[str, tuple[int, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def expectation() -> Expectation:
    return expect(generate(Plan(customers=40, events=600)), load_sources())


def right_answers(expectation: Expectation) -> Documents:
    """Status, match and body by identifier, as a lookup without faults gives them; the last home is the home."""
    answers: Documents = {}
    for place, customer in enumerate(expectation.customers):
        for kind, value in customer.members if customer.homes else []:
            home = list(customer.homes.values())[-1]
            match = f"{kind}; {home.grades[f'{kind}:{value}']}; {home.level}"
            document = copy.deepcopy(home.document) | {"customer": str(place), "version": 3, "settling": False}
            answers[f"{kind}:{value}"] = (200, match, document)
    for shared in expectation.shared:
        candidates = [str(place) for place in shared.candidates if expectation.customers[place].homes][:5]
        body = {"code": "identifier_shared", "candidates": candidates}
        answers[f"{shared.kind}:{shared.value}"] = (409, "", body)
    return answers


async def report_of(expectation: Expectation, answers: Documents, lags: list[float] | None = None) -> Report:
    waiting = list(lags or [0.0])

    async def answer(request: web.Request) -> web.Response:
        (asked,) = (await request.json())["identifiers"]
        status, match, body = answers.get(f"{asked['kind']}:{asked['value']}", (404, "", {"code": "not_known"}))
        if status == 200:
            body = {"match": {"kind": asked["kind"]}, "context": body, "conflicts": []}
        lag = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return web.json_response(body, status=status, headers={MATCH_HEADER: match, LAG_HEADER: str(lag)})

    application = web.Application()
    application.router.add_post("/v1/lookup", answer)
    async with TestServer(application) as server:
        return await compare(expectation, str(server.make_url("/")), deadline_seconds=2)


async def test_a_lookup_that_says_the_same_agrees(expectation: Expectation) -> None:
    report = await report_of(expectation, right_answers(expectation), lags=[3.0, 0.5, 0.0])
    assert report.differences == []
    assert report.agrees
    assert report.customers == len(expectation.customers) > 40
    assert "all agree" in list(report.lines())[-1]


async def test_a_lookup_that_never_catches_up_is_given_up(expectation: Expectation) -> None:
    with pytest.raises(RestartNeeded, match="did not catch up"):
        await report_of(expectation, right_answers(expectation), lags=[7.0])


def _other_count(answers: Documents) -> None:
    answers["crm:8812"][2]["interactions"]["count"] += 1


def _other_field(answers: Documents) -> None:
    answers["crm:8812"][2]["traits"]["invented"] = {"value": 1}


def _other_match(answers: Documents) -> None:
    status, _, body = answers["crm:8812"]
    answers["crm:8812"] = (status, "crm; claimed; recognised", body)


def _missing(answers: Documents) -> None:
    del answers["crm:8812"]


def _elsewhere(answers: Documents) -> None:
    answers["crm:8812"][2]["customer"] = "another"


def _invented(answers: Documents) -> None:
    answers["email:nobody-at-all@nowhere.example"] = answers["crm:8812"]


def _shown_though_shared(answers: Documents) -> None:
    answers["cookie:kiosk-0"] = answers["crm:8812"]


def _foreign_candidate(answers: Documents) -> None:
    answers["cookie:kiosk-0"][2]["candidates"] = ["nobody"]


def _two_in_one(answers: Documents) -> None:
    for status, _, body in answers.values():
        if status == 200:
            body["customer"] = "one"


@pytest.mark.parametrize(
    "spoil",
    [
        _other_count,
        _other_field,
        _other_match,
        _missing,
        _elsewhere,
        _invented,
        _shown_though_shared,
        _foreign_candidate,
        _two_in_one,
    ],
)
async def test_a_fault_in_one_answer_is_found(expectation: Expectation, spoil: Callable[[Documents], None]) -> None:
    answers = right_answers(expectation)
    spoil(answers)
    report = await report_of(expectation, answers)
    assert not report.agrees


def test_differences_name_the_field_and_both_values() -> None:
    lines = document_differences({"last": {"in": None}, "refs": [1]}, {"last": {"in": {"time": "t"}}, "refs": []})
    assert lines == ["/last/in is {'time': 't'}, expected None", "/refs is [], expected [1]"]


def test_the_order_of_identifiers_and_groups_does_not_matter_but_that_of_recent_does() -> None:
    one, other = {"kind": "email", "value": "a"}, {"kind": "email", "value": "b"}
    expected = {"identifiers": [one, other], "groups": {"list": ["x", "y"]}}
    assert document_differences(expected, {"identifiers": [other, one], "groups": {"list": ["y", "x"]}}) == []
    assert document_differences({"interactions": {"recent": [1, 2]}}, {"interactions": {"recent": [2, 1]}}) != []


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    code = stopped.value.code
    return code if isinstance(code, int) else 0


def test_files_go_from_generate_to_expect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, truth = tmp_path / "events.jsonl", tmp_path / "expectation.json"
    assert run(["generate", "--out", str(events), "--customers", "20", "--events", "200"], monkeypatch) == 0
    assert run(["expect", str(events), "--out", str(truth)], monkeypatch) == 0
    written = [json.loads(line) for line in events.read_text().splitlines()]
    assert Expectation.from_json(json.loads(truth.read_text())) == expect(written, load_sources())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["expect", "missing.jsonl", "--out", "x"], "missing.jsonl: No such file"),
        (["compare", "missing.json"], "missing.json: No such file"),
        (["generate", "--out", "x", "--start", "yesterday"], "--start 'yesterday'"),
    ],
)
def test_wrong_arguments_are_said_in_a_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments, monkeypatch) == 2
    assert said in capsys.readouterr().err

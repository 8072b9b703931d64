"""Goal: `dead` says where letters come from, and knows its codes. Method: the command on letters of our own."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import goldenthread.commands.dead as dead_command
from goldenthread.dead_letters.history import History
from schemas.errors import UsageError
from streams.dead import DeadLetterRecord
from streams.dead_retries import Retry

ORIGINS = (("gt.raw.web", 1, 42), ("hook:chat", None, None), ("segment:shop", None, None), ("import:a.csv", 0, 3), None)
PLACES = ("gt.raw.web/1@42", "hook:chat", "segment:shop", "import:a.csv/0@3")


def _letters(start: int) -> Iterator[DeadLetterRecord]:
    for offset, origin in enumerate(ORIGINS):
        # The last one is what the first one became.
        headers = (("gt-retry-of", b"0"),) if offset == len(ORIGINS) - 1 else ()
        if offset >= start:
            yield DeadLetterRecord(offset, 1000 * offset, "not_json", "m", "", "intake", origin, None, b"v", headers)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_command, "_letters", _letters)
    notes = {1: Retry(1, "accepted", 2_000, "t")}
    monkeypatch.setattr(dead_command, "_history", lambda: History(notes))


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(dead_command.dead, arguments, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_every_origin_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [json.loads(line)["origin"] for line in run("list", "--json").splitlines()]
    keys = ("topic", "partition", "offset")
    assert listed == [None if origin is None else dict(zip(keys, origin, strict=True)) for origin in ORIGINS]
    shown = json.loads(run("show", "1", "--json"))
    assert shown["origin"] == {"topic": "hook:chat", "partition": None, "offset": None}
    dead_command.list_()
    table = capsys.readouterr().out
    assert all(place in table for place in PLACES)


def test_a_code_that_there_is_not_is_answered_with_the_nearest() -> None:
    assert len(run("list", "--code", "not_json", "--json").splitlines()) == len(ORIGINS)
    with pytest.raises(UsageError, match="did you mean 'not_json'"):
        run("list", "--code", "notjson")
    with pytest.raises(UsageError, match="there are broken_avro, "):
        run("list", "--code", "zzz")


def test_the_list_says_what_became_of_those_that_were_sent_again() -> None:
    retried = [json.loads(line)["retried"] for line in run("list", "--json").splitlines()]
    assert retried[0] == {"outcome": "not_json", "letter": 4, "time": "1970-01-01T00:00:04Z"}
    assert retried[1] == {"outcome": "accepted", "letter": None, "time": "1970-01-01T00:00:02Z"}
    assert retried[2:] == [None, None, None]
    assert json.loads(run("show", "4", "--json"))["retry_of"] == 0


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        (["--stage", "intake"], [0, 1, 2, 3, 4]),
        (["--stage", "collect"], []),
        (["--source", "chat"], [1]),
        (["--source", "shop"], [2]),
        (["--since", "1970-01-01T00:00:02Z"], [2, 3, 4]),
        (["--since", "1970-01-01T00:00:01.0005Z", "--until", "1970-01-01T00:00:03Z"], [2]),
        (["--until", "2h"], [0, 1, 2, 3, 4]),
        (["--since", "2h"], []),
        (["--code", "not_json", "--code", "null_byte"], [0, 1, 2, 3, 4]),
        (["--code", "null_byte"], []),
    ],
)
def test_letters_are_listed_by_stage_source_code_and_time(filters: list[str], offsets: list[int]) -> None:
    assert [json.loads(line)["offset"] for line in run("list", *filters, "--json").splitlines()] == offsets


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["retry"], "say which letters"),
        (["retry", "--code", "notjson"], "did you mean 'not_json'"),
        (["list", "--stage", "intak"], "did you mean 'intake'"),
        (["list", "--since", "yesterday"], "2h"),
        (["list", "--since", "1h", "--until", "2h"], "not before"),
    ],
)
def test_what_is_not_meant_is_refused(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run(*arguments)

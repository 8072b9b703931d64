"""Goal: `dead` says where letters come from, and knows its codes. Method: the command on letters of our own."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import goldenthread.commands.dead as dead_command
from schemas.errors import UsageError
from streams.dead import DeadLetterRecord

ORIGINS = (("gt.raw.web", 1, 42), ("hook:chat", None, None), ("segment:shop", None, None), ("import:a.csv", 0, 3), None)
PLACES = ("gt.raw.web/1@42", "hook:chat", "segment:shop", "import:a.csv/0@3")


def _letters(start: int) -> Iterator[DeadLetterRecord]:
    for offset, origin in enumerate(ORIGINS):
        if offset >= start:
            yield DeadLetterRecord(offset, 1000, "not_json", "m", "", "s", origin, None, b"v", ())


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_command, "_letters", _letters)


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

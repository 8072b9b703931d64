"""Wrong arguments are told before anything is started."""

import pytest
from typer.testing import CliRunner

from goldenthread.cli import application
from schemas.errors import EXIT_USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--kills", "0"),
        ("--rate", "inf"),
        ("--only", "earthquake"),
        ("--gap", "5", "1"),
        ("--gap", "0", "1"),
        ("--session-timeout", "0.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(application, ["drill", *arguments])
    assert answer.exit_code == EXIT_USAGE
    assert arguments[0].removeprefix("--") in answer.output or "a number of seconds" in answer.output
    assert "starting" not in answer.output

"""What people see of a fetch."""

import io

from rich.console import Console

from goldenthread.supervisor.fetch_reporter import LINES_MAX, FetchReporter
from streams.broker.jars import FetchProgress


def show(*, is_terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=100)
    with FetchReporter(console) as reporter:
        for jars_done in range(47):
            for _ in range(20):
                reporter(FetchProgress(jars_done, 46, jars_done * 1_000_000))
    return output.getvalue()


def test_without_a_terminal_a_few_lines_tell_first_and_last() -> None:
    lines = show(is_terminal=False).splitlines()
    assert lines[0] == "Fetching Kafka 4.3.0: 0 of 46 jars, 0.0 MB"
    assert lines[-1] == "Fetching Kafka 4.3.0: 46 of 46 jars, 46.0 MB"
    assert len(lines) == LINES_MAX + 1


def test_on_a_terminal_a_bar_counts_jars_and_megabytes() -> None:
    shown = show(is_terminal=True)
    assert "46/46" in shown
    assert "46.0 MB" in shown


def test_nothing_fetched_shows_nothing() -> None:
    output = io.StringIO()
    with FetchReporter(Console(file=output, force_terminal=True)):
        pass
    assert output.getvalue() == ""

"""The table: every way and difficulty in it, means with their ranges, and where it is written."""

from pathlib import Path

import pytest

from bench.identity.clusters import Scores
from bench.identity.exposure import Exposure, Exposures
from bench.identity.measure import CAREFUL, CEILING, GOLDENTHREAD, UNION_FIND, UNIQUE_IDS, Measured, Run
from bench.identity.shares import OF_EVENTS, OF_PERSONS
from bench.identity.table import markdown, write_into
from schemas.errors import UsageError


def run(seed: int, wrong: float, stranger: int) -> Run:
    scores = Scores(100, wrong, 0.9, 0.8, 0.75, 0.5)
    difficulties = dict.fromkeys((*OF_PERSONS, *OF_EVENTS), scores)
    asked = Exposures(all=Exposure(lookups=100, answered=90, stranger=stranger, close=2, planted=3))
    ways = {
        name: Measured(scores, 0.1, difficulties, {"claimed": asked} if name in (UNION_FIND, UNIQUE_IDS) else {})
        for name in (UNION_FIND, UNIQUE_IDS, CEILING, CAREFUL)
    }
    ways[GOLDENTHREAD] = Measured(scores, 0.1, difficulties, {"claimed": asked, "login": asked})
    exposures = {"claimed": asked, "login": asked}
    return Run(50, seed, 100, 5, 1, 2.0, ways, of_nobody=exposures, in_between={0.5: exposures})


def test_figures_are_means_with_their_range() -> None:
    text = markdown([run(1, 0.02, 1), run(2, 0.04, 1)], "1.2.3")
    ours = next(line for line in text.splitlines() if line.startswith(f"| {GOLDENTHREAD} |"))
    assert ours == f"| {GOLDENTHREAD} | 3.0 (2.0-4.0) | 10.0 | 0.750 | 0.500 | 0.600 | 0.900 | 0.800 | 0.847 |"
    assert "Version 1.2.3; seeds 1, 2; 50 persons; 100 events, 5 copies on top, 1 without" in text
    assert f"| {GOLDENTHREAD} | `login` | 100 | 90.0 | 1.0 | 2.0 | 3.0 |" in text
    assert f"| {UNION_FIND} | `login` |" not in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    columns = 0
    for line in [*markdown([run(1, 0.1, 0)], "1").splitlines(), ""]:
        if not line.startswith("|"):
            columns = 0
        elif columns:
            assert line.count(" | ") == columns, line
        else:
            columns = line.count(" | ")


def test_every_difficulty_has_its_row() -> None:
    text = markdown([run(1, 0.1, 0)], "1").partition("### By what is hard")[2].partition("###")[0]
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 2 + len(OF_PERSONS) + len(OF_EVENTS)


def test_the_tables_replace_what_stands_between_the_marks(tmp_path: Path) -> None:
    file = tmp_path / "quality.md"
    begin, end = "<!-- Begin: written by `python -m bench identity`. -->", "<!-- End. -->"
    file.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    write_into(file, "new")
    assert file.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
    file.write_text("no marks")
    with pytest.raises(UsageError, match=r"quality\.md has no lines"):
        write_into(file, "new")


def test_a_run_is_json_whole() -> None:
    told = run(7, 0.1, 1).to_json()
    assert told["seed"] == 7
    assert told["ways"][GOLDENTHREAD]["exposures"]["login"]["all"]["stranger"] == 1
    assert set(told["in_between"]) == {"0.5"}

"""No promise without a test: docs/guarantees.md names tests that exist, and every place where a process may be hit."""

import ast
import functools
import re
from pathlib import Path

import pytest

from schemas.topics import PUBLIC_TOPICS, Topic
from streams.faults import FaultPoint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
#: What proves a promise: a test, or a drill of the whole.
_PROOF = re.compile(rf"{_TEST.pattern}|`goldenthread drill[^`]*`")


def _rows(heading: str) -> list[list[str]]:
    """The cells of all rows of the tables under a heading, without the tables' own headings."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = (each for each in section if each.startswith(heading))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    headings = {place - 1 for place, line in enumerate(lines) if line.startswith("| ---")}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for place, line in enumerate(lines)
        if place not in headings and not line.startswith("| ---")
    ]


@functools.cache
def _functions(path: str) -> dict[str, str]:
    """The functions of a test file, each with its marks as they are written: its own, and those of the whole file."""
    tree = ast.parse((ROOT / path).read_text())
    marks = " ".join(
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    )
    return {
        node.name: " ".join(
            [marks, *(ast.unparse(each) for each in node.decorator_list if "param" not in ast.unparse(each))]
        )
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize(("path", "name"), sorted(set(_TEST.findall(PAGE))))
def test_every_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), path
    assert name.startswith("test_")
    assert name in _functions(path), f"{path} has no {name}"


def test_a_test_that_make_test_leaves_out_is_called_a_drill() -> None:
    for path, name in set(_TEST.findall(PAGE)):
        is_drill = "mark.drill" in _functions(path).get(name, "")
        for before in re.findall(rf"(.*)`{re.escape(path)}::{name}`", PAGE):
            # A list of drills has the word in front of it once.
            cell = re.split(r"[|;]", before)[-1]
            assert ("*drill*" in cell) == is_drill, f"{path}::{name}"


@pytest.mark.parametrize("row", _rows("Promises"), ids=lambda row: row[0][:40])
def test_no_promise_is_without_a_test_and_the_faults_under_which_it_holds(row: list[str]) -> None:
    promise, faults, proof = row
    assert promise
    assert faults
    assert _PROOF.search(proof), f"nothing holds the promise: {promise}"


def test_twelve_questions_have_an_answer_each() -> None:
    rows = _rows("Twelve hard questions")
    assert [row[0].split(".")[0] for row in rows] == [str(number) for number in range(1, 13)]
    for question, answer in rows:
        assert _PROOF.search(answer), f"no answer: {question}"


def test_every_fault_point_stands_in_the_table_in_the_order_in_which_it_is_passed() -> None:
    points = [cells[0].strip("`") for cells in _rows("Step by step")]
    assert points == [point.value for point in FaultPoint]
    assert all(all(cells) for cells in _rows("Step by step"))


def test_every_public_topic_says_how_a_repeat_is_told() -> None:
    topics = {cells[0].strip("`") for cells in _rows("What a consumer must set") if cells[0].startswith("`")}
    assert topics == {*map(str, PUBLIC_TOPICS), str(Topic.DEAD)}

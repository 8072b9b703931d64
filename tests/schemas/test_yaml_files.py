"""Goal: a file is read as its writer meant it, or refused with its name and place, whatever is in it, and at once."""

import time

import msgspec
import pytest

from schemas.errors import SettingError
from schemas.yaml_files import DEPTH_MAX, NODES_MAX, decode_yaml

SECONDS_MAX = 10.0


class _Shape(msgspec.Struct):
    tables: dict[str, object] = {}


def _refusal(content: str) -> str:
    started = time.monotonic()
    with pytest.raises(SettingError) as refused:
        decode_yaml(content.encode(), _Shape, "some.yaml")
    assert time.monotonic() - started < SECONDS_MAX
    assert str(refused.value).startswith("some.yaml: ")
    return str(refused.value)


def _billion_laughs() -> str:
    lines = ["l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 12)]
    return "tables:\n" + "\n".join(f"  {line}" for line in lines)


@pytest.mark.parametrize(
    "content",
    [
        "tables: {a: {email: mail, phone: tel, email: other}}",
        "tables: {a: 1}\ntables: {b: 2}",
        "tables: {a: {1: x, '1': y}}",
        "tables:\n  a: [{k: {v: 1}, k: 2}]",
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(content: str) -> None:
    message = _refusal(content)
    assert "stands twice" in message
    assert "line " in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("tables: [", "line 2, column 1: did not find expected node content"),
        ("tables:\n\ta: 1", "line 2, column 1: found character that cannot start any token"),
        ("tables: {a: {k: 1}\n  b: 2", "line 2, column 3: did not find expected ',' or '}'"),
        ("tables: *absent", "line 1, column 9: found undefined alias"),
        ("tables: \x07", "at position 8: control characters are not allowed"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line_in_the_file_that_has_it(content: str, told: str) -> None:
    message = _refusal(content)
    assert message.startswith(f"some.yaml: {told}")
    assert "byte string" not in message


def test_the_same_key_may_stand_in_different_places() -> None:
    content = b"tables: {a: {k: k, v: {k: v}}, b: [{k: 1}, {k: 2}, k, k]}"
    read = decode_yaml(content, _Shape, "some.yaml")
    assert read.tables == {"a": {"k": "k", "v": {"k": "v"}}, "b": [{"k": 1}, {"k": 2}, "k", "k"]}


def test_aliases_repeat_what_they_name() -> None:
    read = decode_yaml(b"tables: {a: &a [x, {y: z}], b: *a, c: {<<: {d: 1}, e: *a}}", _Shape, "some.yaml")
    assert read.tables == {"a": ["x", {"y": "z"}], "b": ["x", {"y": "z"}], "c": {"d": 1, "e": ["x", {"y": "z"}]}}


def test_aliases_that_stand_for_billions_of_values_are_refused_at_once() -> None:
    assert f"more than {NODES_MAX} keys and values" in _refusal(_billion_laughs())


@pytest.mark.parametrize("content", ["tables: {a: &a [*a]}", "tables: &t {a: {b: *t}}"])
def test_an_alias_within_itself_is_refused(content: str) -> None:
    assert "stands within itself" in _refusal(content)


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_nesting_without_an_end_is_refused(opening: str) -> None:
    assert f"nested deeper than {DEPTH_MAX} levels" in _refusal("tables: " + opening * 200_000)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-99-99", "0b_", "0x_", "1" * 5_000, "!!python/name:x", "!x y"),
        *("!!float x", "!!int x", "!!bool x", "!!timestamp x"),
    ],
)
def test_a_value_that_is_not_what_it_looks_like_is_refused_in_words(value: str) -> None:
    _refusal(f"tables: {{a: {value}}}")

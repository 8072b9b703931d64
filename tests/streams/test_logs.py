"""Goal: lines that machines read, and nobody's data in them. Method: a stream in memory."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from streams.logs import PERSONAL_FIELDS, REDACTED, configure_logs, logger


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, levels = list(root.handlers), root.level, {}
    for name in ("aiokafka", "faust", "mode", "asyncio"):
        levels[name] = logging.getLogger(name).level
    yield
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_line_is_json() -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("our.module").info("partition restored", records=3)
    logging.getLogger("library").warning("slow by %d ms", 7)
    ours, theirs = _lines(stream)
    assert (ours["event"], ours["records"], ours["logger"], ours["level"]) == (
        "partition restored", 3, "our.module", "info",
    )  # fmt: skip
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("slow by 7 ms", "library", "warning")
    assert ours["timestamp"].endswith("Z")


def test_on_a_terminal_lines_are_for_people() -> None:
    stream = _Terminal()
    configure_logs("INFO", stream)
    logger("our.module").info("partition restored", records=3)
    assert "partition restored" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


@pytest.mark.parametrize("field", sorted(PERSONAL_FIELDS))
def test_personal_fields_are_redacted(field: str) -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("m").info("e", **{field: {"name": "Ann"}})
    assert _lines(stream)[0][field] == REDACTED


def test_addresses_and_numbers_are_redacted_in_any_text() -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("m").info("refused ann@example.com", reason="bad +31201234567, sorry")
    logging.getLogger("library").warning("can't parse %s", "ann.b+c@mail.example.com")
    try:
        raise ValueError("no such customer: ann@example.com")
    except ValueError:
        logger("m").exception("failed")
        logging.getLogger("library").exception("failed with +31201234567")
    text = stream.getvalue()
    assert "example.com" not in text
    assert "31201234567" not in text
    ours, _, failed, library = _lines(stream)
    assert ours["event"] == f"refused {REDACTED}"
    assert ours["reason"] == f"bad {REDACTED}, sorry"
    for line in (failed, library):
        assert f"no such customer: {REDACTED}" in line["exception"]


def test_offsets_and_ids_are_no_personal_data() -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("m").info("e", topic="gt.routed", offset=31201234567, fragment="0" * 32)
    line = _lines(stream)[0]
    assert (line["topic"], line["offset"], line["fragment"]) == ("gt.routed", 31201234567, "0" * 32)


@pytest.mark.parametrize("odd", ["half \ud800 a pair", 1 << 80, {1: 2, (3, 4): 5}, object(), float("nan"), b"\xff"])
def test_whatever_is_logged_there_is_a_line(odd: object) -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("m").info("ours", odd=odd)
    logging.getLogger("library").warning("theirs", extra={"odd": odd})
    assert [line["event"] for line in _lines(stream)] == ["ours", "theirs"]


def test_a_sign_of_percent_is_no_place_for_arguments() -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("m").info("100 %s", full="50 %d")
    assert (_lines(stream)[0]["event"], _lines(stream)[0]["full"]) == ("100 %s", "50 %d")


def test_the_level_counts_and_libraries_are_quiet() -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    logger("m").debug("not shown")
    logging.getLogger("aiokafka.consumer").info("not shown")
    logging.getLogger("aiokafka.consumer").warning("shown")
    assert [line["event"] for line in _lines(stream)] == ["shown"]

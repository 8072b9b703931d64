"""Goal: printed JSON keeps its meaning and never steers the terminal. Method: texts that try to."""

import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest

import goldenthread.commands.data
import goldenthread.commands.dead
from goldenthread.commands.data import send
from goldenthread.commands.dead import show
from goldenthread.commands.output import print_json, print_pretty
from streams.dead import DeadLetterRecord

STEERING = "\x1b\x7f\x80\x9b2J\x9f\u2028\u202e\u2066"
HOSTILE = f"{STEERING}[bold]\\[/]\n:smile: Zoë 👩\u200d👧"


def _harmless(out: str) -> str:
    assert not set(STEERING) - {"2", "J"} & set(out)
    return out


@pytest.mark.parametrize("printed", [print_json, print_pretty])
def test_printed_json_means_the_same_and_steers_nothing(
    printed: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    value = {HOSTILE: [HOSTILE, 1, 1.5, None, True, {}, []], "long": "x y " * 500}
    printed(value)
    out = _harmless(capsys.readouterr().out)
    assert json.loads(out) == value
    assert "Zoë 👩\u200d👧" in out
    assert len(out.splitlines()) == (1 if printed is print_json else 12)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_dead_letter_is_shown_whole_and_steers_nothing(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = HOSTILE.encode()
    letter = DeadLetterRecord(3, 1000, "not_json", HOSTILE, "", "intake", None, b"\xff", content, ((HOSTILE, content),))
    monkeypatch.setattr(goldenthread.commands.dead, "_letters", lambda _start: iter([letter]))
    show(3, json=as_json)
    shown = json.loads(_harmless(capsys.readouterr().out))
    assert (shown["value"], shown["headers"]) == ({"text": HOSTILE}, {HOSTILE: {"text": HOSTILE}})


class _Opener:
    """Answers with a body, or refuses with it."""

    def __init__(self, body: bytes, *, refused: bool) -> None:
        self._body = body
        self._refused = refused

    def open(self, request: urllib.request.Request, **_options: float) -> io.BytesIO:
        body = io.BytesIO(self._body)
        if self._refused:
            raise urllib.error.HTTPError(request.full_url, 400, "no", Message(), body)
        return body


@pytest.mark.parametrize("refused", [False, True])
def test_what_send_prints_steers_nothing(
    refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"detail": HOSTILE}, ensure_ascii=False, indent=2).encode() + b"\xff"
    monkeypatch.setattr(goldenthread.commands.data, "_DIRECTLY", _Opener(body, refused=refused))
    if refused:
        with pytest.raises(SystemExit):
            send("{}", url="http://collect")
    else:
        send("{}", url="http://collect")
    out = _harmless(capsys.readouterr().out)
    # Lines stay lines, and what is no UTF-8 is replaced.
    assert json.loads(out.rstrip("\ufffd\n")) == {"detail": HOSTILE}

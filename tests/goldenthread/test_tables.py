"""Goal: what an event says is shown as it is, and never steers the terminal. Method: texts that try to."""

import pytest

import goldenthread.commands.dead
from goldenthread.commands.data import _show
from goldenthread.commands.dead import list_
from goldenthread.commands.output import OUT
from goldenthread.commands.tables import table
from goldenthread.dead_letters.history import History
from streams.dead import DeadLetterRecord

HOSTILE = "\x1b[2J\x9b2J\r[bold]\\[/]\x07\u202e\n[link=x]end"
HARMLESS = "\ufffd[2J\ufffd2J\ufffd[bold]\\[/]\ufffd\ufffd\ufffd[link=x]end"


def test_a_cell_shows_markup_and_replaces_what_steers(capsys: pytest.CaptureFixture[str]) -> None:
    OUT.print(table(("one", "two"), [(HOSTILE, None), (17, "Zoë 👩‍👧")]))
    header, hostile, plain = capsys.readouterr().out.splitlines()
    assert header.split() == ["one", "two"]
    assert hostile.strip() == HARMLESS
    assert plain.split(maxsplit=1)[0] == "17"
    assert "Zoë 👩‍👧" in plain


def test_a_context_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {
        "kind": HOSTILE, "value": HOSTILE, "grade": "login", "role": "home", "first": None, "last": None,
    }  # fmt: skip
    context = {
        "customer": "c" * 32,
        "identity": {"level": "recognised", "strongest": HOSTILE},
        "identifiers": [shown],
        "traits": {HOSTILE: {"value": HOSTILE, "source": HOSTILE, "time": "2026-11-22T10:00:00Z"}},
        "channels": {HOSTILE: {"interactions": 1}},
        "interactions": {
            "count": 1,
            "recent": [{"time": "2026-11-22T10:00:00Z", "channel": "web", "type": HOSTILE, "summary": HOSTILE}],
        },
    }
    _show(context, HOSTILE, "0")
    out = capsys.readouterr().out
    assert not set("\x1b\x9b\r\x07\u202e") & set(out)
    assert out.count("[link=x]end") == 10
    assert out.startswith("c" * 32 + "  recognised, by ")


def test_dead_letters_are_listed_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = [
        DeadLetterRecord(offset, 1000, "not_json", HOSTILE, HOSTILE, "intake", ("gt.raw.web", 1, 42), None, b"v", ())
        for offset in range(3)
    ]
    monkeypatch.setattr(goldenthread.commands.dead, "_letters", lambda _start: iter(letters))
    monkeypatch.setattr(goldenthread.commands.dead, "_history", lambda: History({}))
    list_(limit=2, json=False)
    _, *rows, total = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert all("gt.raw.web/1@42" in row and row.count(HARMLESS) == 2 for row in rows)
    assert total == "3 dead letters: not_json 3"

"""`config check --sample`: what comes out is shown, and the exit code says whether all is well."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goldenthread.commands.config import check
from goldenthread.commands.mapping_check import SampleOptions, check_sample
from schemas.errors import SettingError, UsageError

MAPPING = """
version: 1
source: tool
when: kind != 'ping'
event:
  id: id
  type: concat('tool.', kind)
  time: iso(at) || _received
  data:
    identifiers: {email: mail, phone: phone}
    traits: {first_name: name}
    summary: subject
    topic: _request.headers."x-topic"
"""
GOOD = {"id": "1", "kind": "sent", "at": "2026-01-01T00:00:00Z", "mail": "Ann@Example.com", "phone": "0", "name": "Ann"}


class Checked:
    """Runs checks in a folder of its own, where no settings are."""

    def __init__(self, folder: Path, captured: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._captured = captured
        self.mapping = folder / "tool.yaml"
        self.mapping.write_text(MAPPING)

    def run(self, sample: Any, name: str = "sample.json", **options: Any) -> tuple[int, str]:
        """Exit code and output; a sample that is no text is written as JSON."""
        path = self._folder / name
        path.write_text(sample if isinstance(sample, str) else json.dumps(sample))
        given = {
            "written": None, "source": None, "channel": None, "headers": (), "query": (), "shown_max": 5,
        } | options  # fmt: skip
        as_json = given.pop("as_json", False)
        mappings = given.pop("mappings", [self.mapping])
        try:
            check_sample(mappings, SampleOptions(path, **given), as_json)
        except SystemExit as ended:
            return int(str(ended.code)), self._captured.readouterr().out
        return 0, self._captured.readouterr().out

    def report(self, sample: Any, **options: Any) -> dict[str, Any]:
        """The report as JSON."""
        report: dict[str, Any] = json.loads(self.run(sample, as_json=True, **options)[1])
        return report


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Checked:
    monkeypatch.chdir(tmp_path)
    return Checked(tmp_path, capsys)


def test_each_record_is_shown_with_what_comes_out(checked: Checked, tmp_path: Path) -> None:
    code, out = checked.run([GOOD, {"kind": "ping"}], headers=("X-Topic: orders",), channel="chat")
    assert code == 0
    for line in (
        "record 1: event",
        "event      tool.sent 1",
        "email      Ann@Example.com -> ann@example.com, finds the customer",
        "phone      0 -> dropped: it identifies nobody",
        "evidence   none",
        'traits     {"first_name":"Ann"}',
        'data       {"topic":"orders"}',
        "record 2: skipped",
        "tool: 2 records, 1 events, 0 dead, 1 skipped",
        "- event.data.summary yields nothing for any record",
        "- tool is not registered",
    ):
        assert line in out
    # Nothing is made where it runs: no secret, no data directory.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample.json", "tool.yaml"]


def test_a_dead_letter_is_shown_with_its_reason_and_exits_1(checked: Checked) -> None:
    code, out = checked.run([GOOD, {**GOOD, "mail": "nobody"}, {**GOOD, "at": "soon"}, 7])
    assert code == 1
    assert "no_usable_identifier at /data/identifiers" in out
    assert "event.time: 'soon' is no ISO 8601 time" in out
    assert "4 records, 1 events, 3 dead, mapping_failed 1, no_usable_identifier 1, not_an_object 1" in out


def test_a_mapping_that_yields_nothing_exits_1(checked: Checked) -> None:
    code, out = checked.run({"other": 1})
    assert code == 1
    assert "the mapping yields nothing: the record has none of the fields that it reads" in out
    assert "! the mapping yields no event for any record" in out
    code, out = checked.run({"kind": "ping"})
    assert (code, "`when` leaves out every record" in out) == (1, True)
    code, out = checked.run([])
    assert (code, "the sample holds no record" in out) == (1, True)


def test_the_report_as_json_counts_all_and_shows_the_first(checked: Checked) -> None:
    report = checked.report([{**GOOD, "id": str(number), "own": 1} for number in range(7)], shown_max=2)
    assert (report["records"], report["events"], len(report["shown"])) == (7, 7, 2)
    assert report["unread"] == ["own"]
    assert set(report["silent"]) == {"event.data.summary", "event.data.topic"}
    assert (report["without_channel"], len(report["warnings"])) == (7, 1)
    assert report["warnings"][0].startswith("no channel, so intake would refuse it as unknown_channel: register")
    assert report["shown"][0]["identifiers"][0] == {
        "kind": "email", "given": "Ann@Example.com", "normalised": "ann@example.com",
    }  # fmt: skip


def test_events_that_are_on_no_channel_exit_1(checked: Checked) -> None:
    code, out = checked.run(GOOD)
    assert (code, "! no channel, so intake would refuse it as unknown_channel" in out) == (1, True)
    code, out = checked.run(GOOD, channel="chat")
    assert (code, "no channel" in out) == (0, False)


def checked_without_a_sample(*arguments: str) -> tuple[int, str, str]:
    environment = {**os.environ, "GOLDENTHREAD_SECRET": "a secret of tests, long enough"}
    done = subprocess.run(
        [sys.executable, "-m", "goldenthread", "config", "check", *arguments],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_without_a_sample_a_mapping_that_names_no_channel_is_noted(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = checked_without_a_sample("--mapping", str(checked.mapping))
    assert code == 0
    assert "tool.yaml: the mapping names no channel: it needs a registration of tool with a channel" in out
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: {tool: {channel: chat, mapping: tool.yaml}}")
    monkeypatch.setenv("GOLDENTHREAD_SOURCES_FILE", str(sources))
    code, out, _ = checked_without_a_sample("--mapping", str(checked.mapping))
    assert (code, "channel:" in out) == (0, False)


def test_what_is_odd_about_keys_is_a_line_of_the_command_and_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tokens = tmp_path / "access.yaml"
    tokens.write_text("tokens: [{name: one, role: collect, token: a-token-of-tests}]")
    monkeypatch.setenv("GOLDENTHREAD_ACCESS_FILE", str(tokens))
    code, out, err = checked_without_a_sample()
    note = "nobody may read /metrics of collect: no token has the role metrics"
    assert (code, err) == (0, "")
    assert f"- {note}" in out.splitlines()
    assert "All is well" in out
    assert json.loads(checked_without_a_sample("--json")[1])["notes"] == [note]
    tokens.write_text("tokens: [{name: one, roles: [collect, metrics], token: a-token-of-tests}]")
    assert "metrics" not in checked_without_a_sample()[1]


def test_samples_are_read_as_every_way_in_would(checked: Checked) -> None:
    line = json.dumps(GOOD)
    assert checked.report(line + "\n" + line, name="sample.jsonl")["events"] == 2
    assert checked.report("id=1&kind=sent&mail=ann%40example.com", name="sample.form")["events"] == 1
    assert checked.report("id=1&kind=sent&mail=ann%40example.com", name="sample", written="form")["events"] == 1
    table = "id,kind,at,mail,phone,name,subject\n1,sent,2026-01-01,ann@example.com,,,\n2,sent,,ann@example.com,,,\n"
    report = checked.report(table, name="sample.csv")
    # A row of a file has no time of receipt.
    assert (report["events"], report["dead"], report["shown"][1]["pointer"]) == (1, 1, "/time")


def test_a_registered_source_gives_mapping_channel_and_grade(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources.yaml"
    sources.write_text('sources: {tool: {channel: chat, mapping: tool.yaml, grades: {"*": record}}, plain: {}}')
    monkeypatch.setenv("GOLDENTHREAD_SOURCES_FILE", str(sources))
    report = checked.report({**GOOD, "phone": "+31612345678"}, mappings=[], source="tool")
    assert (report["registered"], report["shown"][0]["channel"], report["shown"][0]["evidence"]) == (
        True,
        "chat",
        "record",
    )
    with pytest.raises(UsageError, match="'plain'"):
        checked.run(GOOD, mappings=[], source="plain")


def test_what_does_not_fit_together_is_told(checked: Checked, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--format"):
        checked.run(GOOD, name="sample.txt")
    with pytest.raises(UsageError, match="one mapping"):
        checked.run(GOOD, source="tool")
    with pytest.raises(UsageError, match="NAME:VALUE"):
        checked.run(GOOD, headers=("topic",))
    with pytest.raises(UsageError, match="not JSON"):
        checked.run("{")
    with pytest.raises(UsageError, match="No such file"):
        check_sample([checked.mapping], SampleOptions(tmp_path / "absent.json", None, None, None, (), (), 5), False)
    with pytest.raises(SettingError, match="moon"):
        checked.run(GOOD, channel="moon")
    with pytest.raises(SettingError, match="'at'"):
        checked.run("a,b\n1,2\n", name="sample.csv")
    with pytest.raises(UsageError, match="--sample"):
        check(source="tool")


def test_texts_of_records_do_not_steer_the_terminal(checked: Checked) -> None:
    _, out = checked.run({**GOOD, "mail": "a\x1b[2J@example.com", "id": "[bold]\x07"})
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]" in out

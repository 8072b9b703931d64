"""Import of files: every row arrives once acknowledged, a bad one is told with its line, a broken run goes on."""

import contextlib
import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.collect.files import BATCH_ROWS_MAX, BadRow, ImportProgress, import_file
from connectors.collect.files_progress import Progress, ProgressFile
from schemas.errors import DeadCode, DeliveryFailed, SettingError, UsageError
from schemas.event import read_record
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.mapping import Mapping, load_mapping
from streams.producer import Record
from streams.recording_producer import RecordingProducer
from tests.connectors.orders import (
    CATALOGUE,
    DEAD,
    HEADER,
    MAPPING,
    dead,
    destination,
    ids,
    mapping,
    notes,
    row,
    run,
    write,
)

ROOT = Path(__file__).parents[2]
COMPLAINTS = Path(os.environ.get("COMPLAINTS_CSV", ROOT.parent / "shared" / "data" / "bpic16" / "complaints.csv"))
COMPLAINTS_MAPPING = ROOT / "connectors" / "collect" / "mappings" / "complaints.yaml"


def test_rows_become_events_on_the_topic_of_their_channel(tmp_path: Path) -> None:
    result, producer = run(write(tmp_path, HEADER, row(1, "a"), "", row(2, 'b "quoted"'), row(3, '"c;\r\nd"')))
    assert (result.rows, result.accepted, result.dead, result.resumed_rows, result.problems) == (3, 3, 0, 0, ())
    assert {each.topic for each in producer.records} == {"gt.raw.web"}
    assert ids(producer) == ["1", "2", "3"]
    assert notes(producer) == ["a", 'b "quoted"', "c;\r\nd"]
    assert [each.key for each in producer.records] == [b"shop\x001", b"shop\x002", b"shop\x003"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp437"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_encoding_is_read_by_lines(tmp_path: Path, encoding: str, end: str) -> None:
    # U+0A0A holds the byte of a line end twice.
    special = "\u0a0a" if encoding.startswith("utf") else "é"
    path = write(tmp_path, HEADER, row(1, f"{special}"), row(2, f'"x{end}y"'), row(3), encoding=encoding, end=end)
    result, producer = run(path, given=mapping(encoding=encoding))
    assert (result.accepted, result.dead) == (3, 0)
    assert notes(producer) == [special, f"x{end}y", ""]


def test_a_mark_before_the_header_is_no_part_of_it(tmp_path: Path) -> None:
    result, _ = run(write(tmp_path, "\ufeff" + HEADER, row(1)))
    assert (result.accepted, result.dead) == (1, 0)


def test_bad_rows_are_told_with_line_and_reason_and_kept_whole(tmp_path: Path) -> None:
    lines = [
        HEADER.encode(),
        row(1).encode(),
        b"2;too;few",
        row(3, "\xff").encode("latin-1"),
        row(4).replace("2026-01-01", "someday").encode(),
        row(5, customer="null").encode(),
        row(6).replace("web", "telex").encode(),
        row(7).replace("2026", "2027").encode(),
        row(8, '"quoted" and more').encode(),
        b";2026-01-01T00:00:00Z;web;8812;",
        row(9, "n\0").encode(),
        row(10, "x" * EVENT_SIZE_BYTES_MAX).encode(),
        row(11).encode(),
    ]
    path = tmp_path / "orders.csv"
    path.write_bytes(b"\n".join(lines))
    told: list[BadRow] = []
    producer = RecordingProducer(CATALOGUE)
    result = import_file(
        path,
        mapping=mapping(),
        destination=destination(producer),
        progress_folder=tmp_path,
        on_bad_row=told.append,
    )
    assert ids(producer) == ["1", "11"]
    assert [(bad.line, bad.code) for bad in told] == [
        (3, DeadCode.MAPPING_FAILED),
        (4, DeadCode.INVALID_UTF8),
        (5, DeadCode.MAPPING_FAILED),
        (6, DeadCode.NO_USABLE_IDENTIFIER),
        (7, DeadCode.UNKNOWN_CHANNEL),
        (8, DeadCode.FUTURE_TIME),
        (9, DeadCode.MAPPING_FAILED),
        (10, DeadCode.MAPPING_FAILED),
        (11, DeadCode.NULL_BYTE),
        (12, DeadCode.RECORD_TOO_LARGE),
    ]
    assert tuple(told) == result.problems
    assert (result.rows, result.accepted, result.dead) == (12, 2, 10)
    letters = dead(producer)
    assert [each.value for each in letters[:8]] == [line + b"\n" for line in lines[2:10]]
    headers = dict(letters[0].headers)
    assert headers["gt-stage"] == b"import"
    assert headers["gt-code"] == b"mapping_failed"
    assert headers["gt-message"].startswith(b"line 3: ")
    assert headers["gt-topic"] == b"import:orders.csv"
    assert headers["gt-offset"] == b"3"
    # Of a row past any bound the beginning is kept.
    assert letters[-1].value == (lines[11] + b"\n")[: EVENT_SIZE_BYTES_MAX + 1]


def test_an_open_quote_costs_its_own_row_only(tmp_path: Path) -> None:
    lines = [row(number) for number in range(2, 3000)]
    result, producer = run(write(tmp_path, HEADER, row(0), row(1, '"never closed'), *lines))
    assert [(bad.line, bad.code) for bad in result.problems] == [(3, DeadCode.MAPPING_FAILED)]
    assert "quote" in result.problems[0].message
    assert ids(producer) == ["0", *map(str, range(2, 3000))]


def test_lines_of_json_are_read_each_by_itself(tmp_path: Path) -> None:
    good = {"id": 1, "at": "2026-01-01T00:00:00Z", "channel": "web", "customer": 8812}
    lines = [json.dumps(good), "", "[]", "{", json.dumps({**good, "id": 2}), '{"id": "\\ud800"}']
    result, producer = run(write(tmp_path, *lines, end="\n"), given=mapping("jsonl"))
    assert ids(producer) == ["1", "2"]
    assert [(bad.line, bad.code) for bad in result.problems] == [
        (3, DeadCode.NOT_AN_OBJECT),
        (4, DeadCode.NOT_JSON),
        (6, DeadCode.INVALID_UTF8),
    ]


def test_lines_that_are_events_need_no_mapping(tmp_path: Path) -> None:
    event = {"specversion": "1.0", "id": "e", "source": "s", "type": "t", "time": "2026-01-01T00:00:00Z"}
    path = write(tmp_path, json.dumps({**event, "channel": "app", "data": {"identifiers": {"crm": "1"}}}), end="\n")
    producer = RecordingProducer(CATALOGUE)
    result = import_file(path, mapping=None, destination=destination(producer), progress_folder=tmp_path)
    assert result.accepted == 1
    assert producer.records[0].topic == "gt.raw.app"


def test_events_that_name_no_channel_take_the_one_given(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, row(1).replace("web", ""), row(2))
    result, producer = run(path, channel="store")
    assert result.dead == 0
    assert [each.topic for each in producer.records] == ["gt.raw.store", "gt.raw.web"]
    with pytest.raises(SettingError, match="telex"):
        run(path, channel="telex")


class FailingProducer(RecordingProducer):
    """Refuses the flush after some that it took."""

    def __init__(self, flushes: int) -> None:
        super().__init__(CATALOGUE)
        self.flushes = flushes

    def flush(self, timeout_s: float) -> None:
        """Acknowledge, or fail for good."""
        self.failure = None if self.flushes > 0 else "the broker is gone"
        self.flushes -= 1
        super().flush(timeout_s)


def interrupted(tmp_path: Path) -> tuple[Path, list[str]]:
    """A file of which a failed run brought one batch."""
    count = BATCH_ROWS_MAX * 2 + 500
    lines = [row(number, '"two\nlines"' if number % 3 == 0 else "") for number in range(count)]
    lines[7] = "bad"
    path = write(tmp_path, HEADER, *lines, end="\n")
    producer = FailingProducer(flushes=1)
    with pytest.raises(DeliveryFailed):
        run(path, producer)
    assert len(producer.records) == BATCH_ROWS_MAX
    return path, [str(number) for number in range(count) if number != 7]


def test_an_interrupted_import_goes_on_behind_what_was_acknowledged(tmp_path: Path) -> None:
    path, expected = interrupted(tmp_path)
    result, producer = run(path)
    assert ids(producer) == expected[BATCH_ROWS_MAX - 1 :]
    assert result.resumed_rows == BATCH_ROWS_MAX
    assert (result.rows, result.accepted, result.dead) == (len(expected) + 1, len(expected), 1)
    assert list((tmp_path / "imports").iterdir()) == []


class EndingProducer(RecordingProducer):
    """A producer whose process is killed at its n-th call; of what was not flushed the broker has a part, or not."""

    def __init__(self, calls: int) -> None:
        super().__init__(CATALOGUE)
        self.calls = calls

    def produce(self, record: Record) -> None:
        """Keep the record; while it is under way, the broker may have it and nobody knows."""
        self._count()
        super().produce(record)
        if len(self._unflushed) % 2:
            self.records.append(self._unflushed[-1])

    def flush(self, timeout_s: float) -> None:
        """Acknowledge."""
        self._count()
        super().flush(timeout_s)

    def _count(self) -> None:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt


def test_wherever_an_import_is_cut_short_no_row_is_lost_and_what_repeats_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.collect.files.BATCH_ROWS_MAX", 3)
    lines = [row(number) for number in range(11)]
    lines[4] = "bad"
    path = write(tmp_path, HEADER, *lines)
    expected = sorted(str(number) for number in range(11) if number != 4)
    written = ProgressFile.write
    producer = EndingProducer(0)
    torn = -1

    def write_progress(file: ProgressFile, progress: Progress) -> None:
        if producer.calls == torn:
            # Between the acknowledgement and the note of it.
            raise KeyboardInterrupt
        written(file, progress)

    monkeypatch.setattr(ProgressFile, "write", write_progress)
    for calls in range(16):
        for left in (calls // 2, -1):
            torn, producer = left, EndingProducer(calls)
            with contextlib.suppress(KeyboardInterrupt):
                run(path, producer)
            arrived = producer.records
            producer = EndingProducer(1_000)
            run(path, producer)
            arrived += producer.records
            events = {(record.topic, record.key, record.value) for record in arrived if record.topic != DEAD}
            assert sorted(json.loads(value or b"")["id"] for _, _, value in events) == expected
            # One of each: what came twice is the same, by which it counts once and is listed once.
            assert len({(record.value, record.headers) for record in arrived if record.topic == DEAD}) == 1


def test_lines_are_counted_on_after_an_interruption(tmp_path: Path) -> None:
    path, _ = interrupted(tmp_path)
    whole = path.read_text().splitlines()
    changed = path.stat()
    whole[-1] = "x" * len(whole[-1])
    path.write_text("\n".join(whole) + "\n")
    os.utime(path, ns=(changed.st_atime_ns, changed.st_mtime_ns))
    # Both ends of so small a file are all of it, so the change is seen and the import starts anew.
    result, _ = run(path)
    assert result.resumed_rows == 0
    assert result.problems[-1].line == len(whole)


def test_restart_begins_at_the_first_row(tmp_path: Path) -> None:
    path, expected = interrupted(tmp_path)
    result, producer = run(path, restart=True)
    assert result.resumed_rows == 0
    assert ids(producer) == expected


def test_another_mapping_begins_at_the_first_row(tmp_path: Path) -> None:
    path, expected = interrupted(tmp_path)
    result, producer = run(path, given=Mapping(MAPPING.replace("FORMAT", "csv").replace("ENCODING", "ascii").encode()))
    assert result.resumed_rows == 0
    assert ids(producer) == expected


def test_a_damaged_progress_file_costs_a_second_import(tmp_path: Path) -> None:
    path, expected = interrupted(tmp_path)
    (progress,) = (tmp_path / "imports").iterdir()
    progress.write_bytes(b"{")
    assert ids(run(path)[1]) == expected


def test_a_finished_import_may_be_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, row(1), row(2))
    first, second = run(path)[1].records, run(path)[1].records
    assert first == second


def test_progress_is_told_batch_by_batch(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, *(row(number) for number in range(BATCH_ROWS_MAX + 1)))
    told: list[ImportProgress] = []
    import_file(
        path,
        mapping=mapping(),
        destination=destination(RecordingProducer(CATALOGUE)),
        progress_folder=tmp_path / "imports",
        on_progress=told.append,
    )
    size_bytes = path.stat().st_size
    assert [each.rows for each in told] == [0, BATCH_ROWS_MAX, BATCH_ROWS_MAX + 1]
    assert told[-1].done_bytes == size_bytes == told[0].total_bytes


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"\n" + HEADER.encode(), "no columns"),
        (HEADER.replace(";", ",").encode(), "delimiter ';'"),
        (HEADER.replace("customer", "customr").encode(), "did you mean 'customr'"),
        (b"id;id;at", "'id' twice"),
        (b"\xff\xfe" + HEADER.encode("utf-16-le"), "check input in the mapping"),
        (HEADER.replace(";", "\r").encode(), "header"),
    ],
)
def test_a_header_that_does_not_fit_stops_the_import(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        run(path)
    assert told in str(caught.value)


def test_columns_of_the_mapping_stand_for_a_header(tmp_path: Path) -> None:
    headless = Mapping(
        MAPPING.replace("FORMAT, encoding: ENCODING", f"csv, columns: [{HEADER.replace(';', ', ')}]").encode()
    )
    assert ids(run(write(tmp_path, row(1), row(2)), given=headless)[1]) == ["1", "2"]


def test_a_file_that_is_not_there_is_a_matter_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.csv"):
        run(tmp_path / "absent.csv")


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=60
)
@given(st.binary(max_size=300) | st.text(alphabet='ab;"\r\n\0é', max_size=200).map(str.encode))
def test_no_file_crashes_an_import_and_no_line_is_lost(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes((HEADER + "\n").encode() + content)
    result, producer = run(path)
    assert result.rows == result.accepted + result.dead == len(producer.records)
    kept = b"".join(each.value or b"" for each in dead(producer))
    if result.accepted == 0:
        blank = b"\r\n"
        assert kept.translate(None, blank) == content.translate(None, blank)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=40
)
@given(
    st.lists(st.text(alphabet='ab ;"\r\né', max_size=12), max_size=8), st.sampled_from(["utf-8", "utf-16", "cp1252"])
)
def test_whatever_a_csv_writer_wrote_is_read_back(tmp_path: Path, texts: list[str], encoding: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=";")
    writer.writerow(HEADER.split(";"))
    for number, text in enumerate(texts):
        writer.writerow([number, "2026-01-01T00:00:00Z", "web", "8812", text])
    path = tmp_path / "written.csv"
    path.write_bytes(written.getvalue().encode(encoding))
    result, producer = run(path, given=mapping(encoding=encoding))
    assert result.dead == 0
    assert notes(producer) == texts


@pytest.mark.skipif(not COMPLAINTS.is_file(), reason="set COMPLAINTS_CSV to the complaints file of BPIC 2016")
def test_the_complaints_of_bpic_2016_arrive_whole(tmp_path: Path) -> None:
    producer = RecordingProducer(CATALOGUE)
    given = load_mapping(COMPLAINTS_MAPPING)
    to = destination(producer)
    result = import_file(COMPLAINTS, mapping=given, destination=to, progress_folder=tmp_path)
    assert (result.rows, result.accepted, result.dead) == (289, 289, 0)
    events = [read_record(each.value, each.headers) for each in producer.records]
    assert len({event.id for event in events}) == 289
    cleaned = [to.cleaner.clean(event, topic_channel=None, now_us=to.clock.now_us()) for event in events]
    assert len({each.routed.target for each in cleaned}) == 226
    assert all(each.routed.refs[0].kind == "dossier" and each.routed.refs[0].id for each in cleaned)
    assert all(json.loads(event.data)["theme"]["en"] for event in events)
    # A date is its midnight in Amsterdam, an hour or two before the one of UTC.
    assert {event.time // 3_600_000_000 % 24 for event in events} <= {22, 23}


LOG = """
version: 1
source: log
input: {format: jsonl, records: "calls || [@]"}
when: kind != 'test'
event:
  id: id
  type: "'call.ended'"
  time: iso(at)
  channel: "'voice'"
  data:
    identifiers: {phone: phone}
"""


def test_rows_are_left_out_on_purpose_and_may_hold_several_records(tmp_path: Path) -> None:
    call = {"id": "1", "at": "2026-01-01T00:00:00Z", "phone": "+31201234567"}
    lines = ({**call, "kind": "test"}, {"calls": [call, {**call, "id": "2"}, 7]}, {**call, "id": "3"})
    result, producer = run(write(tmp_path, *map(json.dumps, lines)), given=Mapping(LOG.encode(), "log.yaml"))
    assert (result.rows, result.accepted, result.dead, result.skipped) == (5, 3, 1, 1)
    assert ids(producer) == ["1", "2", "3"]
    assert result.problems[0].line == 2


def test_a_mapping_that_takes_no_time_from_a_row_stops_the_import(tmp_path: Path) -> None:
    timeless = Mapping(LOG.replace("  time: iso(at)\n", "").encode(), "log.yaml")
    with pytest.raises(SettingError, match=r"event\.time"):
        run(write(tmp_path, "{}"), given=timeless)

"""Goal: `state` says what is wrong with a store, mends it, and never takes half of a snapshot for a whole one."""

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from goldenthread import snapshots as snapshots_module
from goldenthread.cli import application
from goldenthread.parts import catalogue_of, kafka_of
from goldenthread.secret import keyring
from goldenthread.settings import load_settings
from schemas.errors import EXIT_INTERRUPTED, SettingError, StateError, UsageError
from schemas.topics import TOMBSTONE_RETENTION_MS, Topic
from state import store as store_module
from state.snapshot import MANIFEST_FILE, Manifest
from state.store import Store, StoredPosition, StoreMeta
from state.store_cache import shared_cache
from streams.broker.directory_lock import DirectoryLock
from streams.checkpoint_options import CheckpointOptions
from streams.metrics import Metrics
from streams.restore import Restore
from streams.topics import create_topics, topic_ids
from tests.streams.feeding import send

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("clean_environment")]
ROWS = 300
ANOTHER = "another"


class _Installation:
    """A data directory with the stores of two partitions of the context, and topics of its own."""

    def __init__(self, folder: Path) -> None:
        settings = load_settings()
        self.folder = folder
        self.worker = settings.worker_dir
        self.catalogue = catalogue_of(settings)
        self.kafka = kafka_of(settings, "test")
        self.fingerprint = keyring(settings).fingerprint
        create_topics(self.kafka, self.catalogue)
        self.changelog = self.catalogue.name(Topic.STATE)
        for partition in (0, 1):
            self.feed({b"row/%04d" % number: b"1" * 100 for number in range(ROWS)}, partition)
            self.restore(partition)

    def feed(self, rows: Mapping[bytes, bytes | None], partition: int = 0) -> None:
        """Changelog records."""
        send(self.kafka, self.changelog, rows.items(), partition)

    def restore(self, partition: int = 0) -> int:
        """What a worker does at its start; how many records that took."""
        options = CheckpointOptions(
            self.kafka, self.catalogue, "test", "context", Topic.ROUTED, Topic.STATE, self.worker, self.fingerprint,
            Metrics("test", "1"), shared_cache(8 * 1024 * 1024),
        )  # fmt: skip
        changelog_id = topic_ids(self.kafka, [self.changelog])[self.changelog]
        store, records = Restore(options, partition, changelog_id=changelog_id, closing=threading.Event()).run()
        store.close()
        return records

    def change(self, rows: Mapping[bytes, bytes | None], **position: Any) -> None:
        """Change the first store behind everybody's back."""
        store = Store.open(self.worker / "context-0", secret_fingerprint=self.fingerprint)
        stored = store.position(self.changelog, 0)
        assert stored is not None
        known: dict[str, Any] = {
            "topic_id": stored.topic_id,
            "next_offset": stored.next_offset,
            "caught_up_ms": stored.caught_up_ms,
        }
        store.write(rows, {(self.changelog, 0): StoredPosition(**(known | position))})
        store.close()

    def run(self, *arguments: str) -> Result:
        """A `state` command."""
        return CliRunner().invoke(application, ["state", *arguments])

    def verify(self, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and what is said of each store."""
        ran = self.run("verify", "--json", *arguments)
        assert ran.exit_code in (0, 1), ran.output
        return ran.exit_code, {verdict["store"]: verdict for verdict in json.loads(ran.stdout)}


@pytest.fixture
def installation(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Installation:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "GOLDENTHREAD_TOPIC_PREFIX": f"{tmp_path.parent.name}-{tmp_path.name}.",
        "GOLDENTHREAD_PARTITIONS": "2",
        "GOLDENTHREAD_CHANNELS": "web",
        "GOLDENTHREAD_DATA_DIR": str(tmp_path / "data"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return _Installation(tmp_path)


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    # Not in place: a snapshot has a link to the same file.
    path.unlink()
    path.write_bytes(bytes(content))


def test_whole_stores_are_said_to_be_whole_and_how_far_behind(installation: _Installation) -> None:
    installation.feed({b"row/0000": b"2", b"row/0001": None})
    # Both were changed after the store was made, so what it says of them can't be compared.
    code, found = installation.verify("--deep")
    assert code == 0
    assert found["context-0"] | {"path": ""} == {
        "store": "context-0", "path": "", "state": "whole", "rows": ROWS, "behind": 2, "compared": ROWS - 2,
        "detail": "", "action": "",
    }  # fmt: skip
    assert found["context-1"]["compared"] == ROWS
    assert installation.verify("context-1")[1].keys() == {"context-1"}
    assert not list(installation.folder.glob("data/verify*"))


WRONGS: dict[str, tuple[str, Callable[[_Installation], object]]] = {
    "a flipped bit": ("damaged", lambda one: _flip(min((one.worker / "context-0").glob("*.sst")), 500)),
    "a missing file": ("damaged", lambda one: next((one.worker / "context-0").glob("MANIFEST*")).unlink()),
    "another topic": ("foreign", lambda one: one.change({}, topic_id="another")),
    "a changelog cut short": ("ahead", lambda one: one.change({}, next_offset=ROWS + 7)),
    "a newer format": (
        "refused", lambda one: one.change({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(2, ""))}),
    ),
}  # fmt: skip


def test_what_is_wrong_is_said_with_what_to_do(installation: _Installation) -> None:
    for wrong, (state, do) in WRONGS.items():
        do(installation)
        code, found = installation.verify()
        assert code == 1, wrong
        assert found["context-0"]["state"] == state, wrong
        assert found["context-0"]["detail"], wrong
        assert found["context-0"]["action"], wrong
        assert found["context-1"]["state"] == "whole", wrong
        assert installation.run("rebuild", "context-0", "--discard").exit_code == 0, wrong
    assert installation.verify("--deep")[0] == 0


def test_rows_that_are_not_the_changelogs_are_found_by_a_deep_look_and_mended_by_a_rebuild(
    installation: _Installation,
) -> None:
    installation.change({b"row/0003": b"other", b"row/0004": None, b"ghost": b"1"})
    assert installation.verify()[0] == 0
    code, found = installation.verify("--deep")
    assert code == 1
    assert found["context-0"]["state"] == "different"
    assert found["context-0"]["detail"].startswith("3 rows are not as in ")
    assert b"ghost".hex() in found["context-0"]["detail"]
    rebuilt = installation.run("rebuild", "context-0", "--json")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert [one["records"] for one in json.loads(rebuilt.stdout)] == [ROWS]
    assert installation.verify("--deep")[0] == 0


def test_a_rebuild_does_not_lose_what_only_the_store_has_unless_told_so(installation: _Installation) -> None:
    installation.change({}, next_offset=ROWS + 7)
    refused = installation.run("rebuild", "context-0")
    assert isinstance(refused.exception, StateError)
    assert "--discard" in str(refused.exception)
    assert installation.run("rebuild", "context-0", "--discard").exit_code == 0
    assert (installation.worker / "context-0.set-aside").is_dir()
    assert installation.verify("--deep")[0] == 0


def test_no_command_works_in_the_folder_of_a_worker_that_runs(installation: _Installation) -> None:
    with DirectoryLock(installation.worker, setting="GOLDENTHREAD_DATA_DIR"):
        assert isinstance(installation.run("rebuild").exception, SettingError)
        # A worker that runs would be asked for copies; nobody answers at its port.
        unanswered = installation.run("verify").exception
        assert isinstance(unanswered, UsageError)
        assert "Nor does a worker answer" in str(unanswered)


def test_a_store_that_is_not_there_is_answered_with_the_nearest(installation: _Installation) -> None:
    missing = installation.run("verify", "context-3").exception
    assert isinstance(missing, UsageError)
    assert "did you mean 'context-" in str(missing)


def _snapshot(installation: _Installation) -> Path:
    folder = installation.folder / "snapshot"
    taken = installation.run("snapshot", str(folder), "--json")
    assert taken.exit_code == 0, taken.output
    manifest = msgspec.json.decode(taken.stdout, type=Manifest)
    assert [(store.name, store.rows) for store in manifest.stores] == [("context-0", ROWS), ("context-1", ROWS)]
    return folder


def _outcomes(ran: Result) -> dict[str, str]:
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return {one["store"]: one["outcome"] for one in json.loads(ran.stdout)}


def test_a_new_worker_reads_only_what_came_after_the_snapshot(installation: _Installation) -> None:
    folder = _snapshot(installation)
    installation.feed({b"row/0000": b"2", b"row/0001": None})
    shutil.rmtree(installation.worker)
    assert _outcomes(installation.run("restore", str(folder), "--json")) == dict.fromkeys(
        ("context-0", "context-1"), "restored"
    )
    assert sorted(path.name for path in installation.worker.iterdir()) == [".lock", "context-0", "context-1"]
    assert installation.restore(0) == 2
    assert installation.restore(1) == 0
    code, found = installation.verify("--deep")
    assert code == 0
    assert found["context-0"]["rows"] == ROWS - 1


def test_stores_that_are_ahead_of_a_snapshot_stay_unless_told_otherwise(installation: _Installation) -> None:
    folder = _snapshot(installation)
    installation.feed({b"row/0000": b"2"})
    installation.restore()
    _flip(min((installation.worker / "context-1").glob("*.sst")), 500)
    (installation.worker / "context-1" / "DAMAGED").touch()
    assert _outcomes(installation.run("restore", str(folder), "--json")) == {
        "context-0": "kept", "context-1": "restored"
    }  # fmt: skip
    assert installation.verify()[1]["context-0"]["behind"] == 0
    assert set(_outcomes(installation.run("restore", str(folder), "--overwrite", "--json")).values()) == {"restored"}
    assert installation.verify()[1]["context-0"]["behind"] == 1
    assert (installation.worker / "context-0.set-aside").is_dir()


def _rewrite(folder: Path, **changes: Any) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))


SPOILT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no manifest": ("not finished", lambda folder: (folder / MANIFEST_FILE).unlink()),
    "a manifest cut short": ("can't be read", lambda folder: (folder / MANIFEST_FILE).write_text("{")),
    "a newer format": ("restore it with version", lambda folder: _rewrite(folder, format_version=2)),
    "an older format": ("leave it, the worker reads", lambda folder: _rewrite(folder, format_version=0)),
    "another secret": (
        "another GOLDENTHREAD_SECRET",
        lambda folder: _rewrite(folder, secret_fingerprint=ANOTHER),
    ),
    "a flipped bit": ("is not what was taken", lambda folder: _flip(min((folder / "context-1").glob("*.sst")), 500)),
    "a missing file": ("lacks files", lambda folder: min((folder / "context-1").glob("*.sst")).unlink()),
    "a file more": ("or has others", lambda folder: (folder / "context-1" / "000099.sst").touch()),
    "a missing store": ("lacks files", lambda folder: shutil.rmtree(folder / "context-1")),
}


def test_a_spoilt_snapshot_is_refused_and_changes_nothing(installation: _Installation) -> None:
    whole = _snapshot(installation)
    shutil.rmtree(installation.worker)
    for number, (spoilt, (words, do)) in enumerate(SPOILT.items()):
        folder = shutil.copytree(whole, installation.folder / f"spoilt-{number}")
        do(folder)
        refused = installation.run("restore", str(folder)).exception
        assert isinstance(refused, StateError), spoilt
        assert words in str(refused), spoilt
        left = installation.worker.iterdir() if installation.worker.exists() else ()
        assert {path.name for path in left} <= {".lock"}, spoilt


def test_a_snapshot_of_another_topic_is_refused(installation: _Installation) -> None:
    installation.change({}, topic_id="another")
    folder = _snapshot(installation)
    shutil.rmtree(installation.worker)
    refused = installation.run("restore", str(folder)).exception
    assert isinstance(refused, StateError)
    assert "context-0 is foreign" in str(refused)


def test_what_slept_too_long_is_not_in_a_snapshot_and_an_old_one_is_refused(
    installation: _Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _snapshot(installation)
    shutil.rmtree(installation.worker)
    monkeypatch.setattr("streams.store_state.TOMBSTONE_RETENTION_MS", 0)
    refused = installation.run("restore", str(folder)).exception
    assert isinstance(refused, StateError)
    assert "is stale" in str(refused)
    monkeypatch.setattr("streams.store_state.TOMBSTONE_RETENTION_MS", TOMBSTONE_RETENTION_MS)
    installation.run("restore", str(folder))
    installation.change({}, caught_up_ms=0)
    again = installation.run("snapshot", str(installation.folder / "again"), "--json")
    assert [store["name"] for store in json.loads(again.stdout)["stores"]] == ["context-1"]


def test_a_snapshot_that_is_cut_short_is_none(installation: _Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = installation.folder / "snapshot"
    for cut in ("_sift", "seal", "put_in_place"):
        with monkeypatch.context() as patched:
            # Not even the clean-up is left to the process: it was killed.
            patched.setattr("goldenthread.snapshots.shutil.rmtree", lambda *_arguments, **_more: None)
            patched.setattr(snapshots_module.Snapshots if cut == "_sift" else snapshots_module, cut, _killed)
            assert installation.run("snapshot", str(folder)).exit_code == EXIT_INTERRUPTED
        assert not folder.exists()
        (partial,) = installation.folder.glob("snapshot*")
        assert (partial / MANIFEST_FILE).exists() == (cut == "put_in_place")
        shutil.rmtree(partial)


def _killed(*_arguments: object, **_more: object) -> None:
    raise KeyboardInterrupt


def test_a_restore_that_is_cut_short_leaves_no_store_that_is_not_whole(
    installation: _Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _snapshot(installation)
    shutil.rmtree(installation.worker)
    with monkeypatch.context() as patched:
        patched.setattr(snapshots_module, "put_in_place", _killed)
        patched.setattr(snapshots_module, "remove", lambda _path: None)
        assert installation.run("restore", str(folder)).exit_code == EXIT_INTERRUPTED
    left = sorted(path.name for path in installation.worker.iterdir())
    assert left == [".lock", "context-0.restoring", "context-1.restoring"]
    # What is left is no store, and gone after the next.
    assert installation.verify() == (0, {})
    installation.run("restore", str(folder))
    assert sorted(path.name for path in installation.worker.iterdir()) == [".lock", "context-0", "context-1"]
    assert installation.restore() == 0


def test_a_snapshot_overwrites_nothing(installation: _Installation) -> None:
    folder = _snapshot(installation)
    refused = installation.run("snapshot", str(folder)).exception
    assert isinstance(refused, UsageError)
    assert "is there already" in str(refused)


def test_a_store_name_in_a_manifest_can_not_lead_elsewhere(installation: _Installation) -> None:
    folder = _snapshot(installation)
    manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    stores = [msgspec.structs.replace(store, name=f"../../{store.name}") for store in manifest.stores]
    _rewrite(folder, stores=stores)
    refused = installation.run("restore", str(folder)).exception
    assert isinstance(refused, StateError)
    assert "does not know" in str(refused)

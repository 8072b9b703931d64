"""The store: whole checkpoints on disk, nothing past the last flush, and folders of others refused."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from schemas.errors import StateError, StoreFailed, StoreHeld
from state import store as store_module
from state.store import FORMAT_VERSION, Store, StoredPosition, StoreMeta
from state.store_cache import shared_cache

FINGERPRINT = "fingerprint"
ROOT = Path(__file__).parents[2]
POSITION = StoredPosition("topic-id", 7, 123)
HOLDING = """
import sys
from pathlib import Path
from state.store import Store
store = Store.open(Path(sys.argv[1]), secret_fingerprint="fingerprint")
print("open", flush=True)
sys.stdin.read()
"""
KILLED_AFTER_WRITING = """
import os, signal, sys
from pathlib import Path
from state.store import Store, StoredPosition
store = Store.open(Path(sys.argv[1]), secret_fingerprint="fingerprint")
store.write({b"flushed": b"1"}, {("t", 0): StoredPosition("id", 1)})
store.flush()
store.write({b"later": b"1"}, {("t", 0): StoredPosition("id", 2)})
os.kill(os.getpid(), signal.SIGKILL)
"""


def _open(path: Path, fingerprint: str = FINGERPRINT) -> Store:
    return Store.open(path, secret_fingerprint=fingerprint, cache=shared_cache(8 * 1024 * 1024))


def test_a_store_that_is_opened_again_goes_by_our_options_too(tmp_path: Path) -> None:
    def figures(store: Store) -> tuple[int, bool]:
        statistics = store.statistics()
        assert statistics is not None
        newest = max((tmp_path / "s").glob("OPTIONS-*"), key=lambda file: int(file.name.partition("-")[2]))
        return statistics.cache_size_bytes, "filter_policy=bloomfilter" in newest.read_text()

    cache = shared_cache(16 * 1024 * 1024)
    for _ in range(3):
        store = Store.open(tmp_path / "s", secret_fingerprint=FINGERPRINT, cache=cache)
        assert figures(store) == (16 * 1024 * 1024, True)
        store.write({b"a": b"1"}, {("t", 3): POSITION})
        store.close()
    reader = Store.open_to_read(tmp_path / "s", secret_fingerprint=FINGERPRINT, cache=cache)
    assert figures(reader)[0] == 16 * 1024 * 1024
    assert reader.get(b"a") == b"1"
    reader.close()


def test_rows_and_positions_are_read_back_after_a_restart(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    store.write({b"a": b"1", b"b": b"2"}, {("t", 3): POSITION})
    store.write({b"a": None, b"c": b"3"}, {})
    store.close()
    store = _open(tmp_path / "s")
    assert dict(store.rows()) == {b"b": b"2", b"c": b"3"}
    assert store.get(b"b") == b"2"
    assert store.get(b"a") is None
    assert store.position("t", 3) == POSITION
    assert store.position("t", 4) is None
    store.close()


def test_a_kill_rewinds_rows_and_positions_together(tmp_path: Path) -> None:
    code = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER_WRITING, str(tmp_path / "s")], cwd=ROOT, timeout=60, check=False
    ).returncode
    assert code == -9
    store = _open(tmp_path / "s")
    position = store.position("t", 0)
    assert position is not None
    assert dict(store.rows()) == (
        {b"flushed": b"1"} if position.next_offset == 1 else {b"flushed": b"1", b"later": b"1"}
    )
    store.close()


def test_scans_stay_within_their_prefix_and_order(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    keys = [b"a/1", b"a/2", b"a/3", b"b/1", b"a0"]
    store.write(dict.fromkeys(keys, b""), {("t", 0): POSITION})
    assert [key for key, _ in store.scan(b"a/")] == [b"a/1", b"a/2", b"a/3"]
    assert [key for key, _ in store.scan(b"a/", start=b"a/2")] == [b"a/2", b"a/3"]
    assert [key for key, _ in store.scan(b"c")] == []
    assert [key for key, _ in store.scan_reverse(b"a/")] == [b"a/3", b"a/2", b"a/1"]
    assert [key for key, _ in store.scan_reverse(b"a/", before=b"a/3")] == [b"a/2", b"a/1"]
    assert [key for key, _ in store.scan_reverse(b"b/")] == [b"b/1"]
    # Positions are no rows.
    assert [key for key, _ in store.rows()] == sorted(keys)
    store.close()


def test_a_folder_that_another_holds_is_refused_and_says_who(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    with pytest.raises(StoreHeld, match=rf"held by process {os.getpid()}\b"):
        _open(tmp_path / "s")
    # A look at the lock of RocksDB must not have taken it from its holder.
    with pytest.raises(StoreHeld):
        _open(tmp_path / "s")
    store.close()
    _open(tmp_path / "s").close()


def test_a_folder_that_another_process_holds_names_that_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path / "s")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreHeld, match=rf"held by process {holder.pid}\b"):
            _open(tmp_path / "s")
        holder.kill()
    _open(tmp_path / "s").close()


def test_a_folder_of_another_secret_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    _open(tmp_path / "s").close()
    with pytest.raises(StateError, match="another GOLDENTHREAD_SECRET"):
        _open(tmp_path / "s", "another")
    _open(tmp_path / "s").close()


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    store.write({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(FORMAT_VERSION + 1, FINGERPRINT))}, {})
    store.close()
    with pytest.raises(StateError, match=f"has format {FORMAT_VERSION + 1}, this version reads {FORMAT_VERSION}"):
        _open(tmp_path / "s")


def test_destroy_removes_everything(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    store.write({b"a": b"1"}, {})
    store.close()
    Store.destroy(tmp_path / "s")
    store = _open(tmp_path / "s", "another")
    assert dict(store.rows()) == {}
    store.close()


def test_frozen_rows_stay_as_they_were_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    many = {b"g/%04d" % number: b"%d" % number for number in range(2_000)}
    store.write({b"f/a": b"1", b"f/b": b"2"} | many, {})
    with store.frozen() as frozen:
        store.write({b"f/a": None, b"f/b": b"changed", b"f/c": b"3"}, {})
        assert (frozen.get(b"f/a"), frozen.get(b"f/c"), store.get(b"f/a")) == (b"1", None, None)
        assert list(frozen.scan(b"f/")) == [(b"f/a", b"1"), (b"f/b", b"2")]
        assert list(frozen.scan(b"f/", b"f/b")) == [(b"f/b", b"2")]
        # Scans that are under way at the same time do not disturb one another.
        pairs = list(zip(frozen.scan(b"g/"), frozen.scan(b"g/", b"g/0001"), strict=False))
        assert len(pairs) == len(many) - 1
        assert all(int(two) == int(one) + 1 for (_, one), (_, two) in pairs)
        assert list(frozen.scan(b"h/")) == []
    with pytest.raises(StoreFailed, match="let go"):
        frozen.get(b"f/a")
    store.close()
    _open(tmp_path / "s").close()

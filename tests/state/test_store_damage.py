"""Damage on disk: never a wrong or a shorter answer, always told, and known to the next start."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from schemas.errors import DiskRefused, StateError, StoreFailed, StoreUnusable
from state import store as store_module
from state.store import FORMAT_VERSION, Store, StoredPosition, StoreMeta
from state.store_folder import RebuildReason, remove, set_aside

FINGERPRINT = "fingerprint"
ROOT = Path(__file__).parents[2]
ROWS = 4_000
FILL_UNTIL_FULL = """
import os, sys
from pathlib import Path
from schemas.errors import GoldenthreadError
from state.store import Store, StoredPosition
store = Store.open(Path(sys.argv[1]), secret_fingerprint="fingerprint")
written = 0
try:
    while written < 100:
        rows = {b"row/%06d" % number: os.urandom(1000) for number in range(written * 100, written * 100 + 100)}
        store.write(rows, {("t", 0): StoredPosition("id", written + 1)})
        written += 1
        if written % 10 == 0:
            store.flush()
except GoldenthreadError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""
PAST_SECOND_FLUSH_BYTES = 1_000_000


def _open(path: Path) -> Store:
    return Store.open(path, secret_fingerprint=FINGERPRINT)


def _key(number: int) -> bytes:
    return b"row/%06d" % number


def _made(path: Path) -> Path:
    """A store of several tables, closed."""
    store = _open(path)
    for start in range(0, ROWS, ROWS // 2):
        store.write(
            {_key(number): os.urandom(100) for number in range(start, start + ROWS // 2)},
            {("t", 0): StoredPosition("id", start + ROWS // 2)},
        )
        store.flush()
    store.close()
    return path


def _tables(path: Path) -> list[Path]:
    return sorted(path.glob("*.sst"))


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    for place in range(at, at + 8):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def _damage_block(path: Path) -> None:
    """Flip bytes in the middle of the rows of the first table: its index and footer stay whole."""
    table = _tables(path)[0]
    _flip(table, table.stat().st_size // 2)


def test_a_scan_over_a_damaged_block_fails_in_place_of_ending_early(tmp_path: Path) -> None:
    path = _made(tmp_path / "s")
    _damage_block(path)
    store = _open(path)
    seen: list[tuple[bytes, bytes]] = []
    with pytest.raises(StoreUnusable, match="checksum"):
        seen.extend(store.scan(b"row/"))
    assert 0 < len(seen) < ROWS
    assert [key for key, _ in seen] == [_key(number) for number in range(len(seen))]
    with pytest.raises(StoreUnusable, match="checksum"):
        list(store.rows())
    with pytest.raises(StoreUnusable, match="checksum"):
        list(store.scan_reverse(b"row/"))
    store.close()


def test_a_scan_that_begins_in_a_damaged_block_fails(tmp_path: Path) -> None:
    path = _made(tmp_path / "s")
    _damage_block(path)
    store = _open(path)
    damaged = _first_unreadable(store)
    with pytest.raises(StoreUnusable):
        list(store.scan(b"row/", start=damaged))
    with pytest.raises(StoreUnusable):
        list(store.scan_reverse(b"row/", before=damaged + b"\x00"))
    store.close()


def _first_unreadable(store: Store) -> bytes:
    for number in range(ROWS):
        try:
            assert store.get(_key(number)) is not None
        except StoreUnusable:
            return _key(number)
    raise AssertionError("every row can be read")


def test_damage_is_marked_for_the_next_start_and_ends_all_writing(tmp_path: Path) -> None:
    path = _made(tmp_path / "s")
    _damage_block(path)
    store = _open(path)
    _first_unreadable(store)
    with pytest.raises(StoreUnusable):
        store.write({b"later": b"1"}, {})
    with pytest.raises(StoreUnusable):
        store.require_sound()
    store.close()
    with pytest.raises(StoreUnusable, match="found damaged before: Corruption") as told:
        _open(path)
    assert told.value.reason == RebuildReason.DAMAGED
    assert told.value.exit_code == 3


def test_a_compaction_that_meets_damage_ends_writing(tmp_path: Path) -> None:
    path = _made(tmp_path / "s")
    _damage_block(path)
    store = _open(path)
    # A newer version of every row, so that the compaction has to merge the damaged table.
    store.write({_key(number): b"new" for number in range(ROWS)}, {})
    store.flush()
    store._database.compact_range(None, None)
    with pytest.raises(StoreUnusable, match="checksum"):
        store.write({b"later": b"1"}, {})
    store.close()
    with pytest.raises(StoreUnusable, match="found damaged before"):
        _open(path)


def test_reading_only_leaves_no_mark(tmp_path: Path) -> None:
    path = _made(tmp_path / "s")
    _damage_block(path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    store = Store.open_to_read(path, secret_fingerprint=FINGERPRINT)
    with pytest.raises(StoreUnusable):
        list(store.rows())
    store.close()
    assert {name: (path / name).read_bytes() for name in before} == before
    _open(path).close()


def _cut(path: Path, size_bytes: int) -> None:
    os.truncate(path, size_bytes)


def _delete_all_but_tables(path: Path) -> None:
    for file in path.iterdir():
        if file.suffix != ".sst":
            file.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a missing table": lambda path: _tables(path)[0].unlink(),
    "a table cut short": lambda path: _cut(_tables(path)[0], _tables(path)[0].stat().st_size // 2),
    "an empty table": lambda path: _cut(_tables(path)[0], 0),
    "a damaged footer": lambda path: _flip(_tables(path)[0], _tables(path)[0].stat().st_size - 20),
    "a missing manifest": lambda path: next(path.glob("MANIFEST*")).unlink(),
    "a manifest cut short": lambda path: _cut(next(path.glob("MANIFEST*")), 60),
    "an empty manifest": lambda path: _cut(next(path.glob("MANIFEST*")), 0),
    "a missing CURRENT": lambda path: (path / "CURRENT").unlink(),
    "a senseless CURRENT": lambda path: (path / "CURRENT").write_text("nonsense"),
    "tables alone": _delete_all_but_tables,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_not_whole_is_told_at_the_opening(tmp_path: Path, damage: str) -> None:
    path = _made(tmp_path / "s")
    DAMAGES[damage](path)
    with pytest.raises(StoreUnusable) as told:
        _open(path)
    assert told.value.reason == RebuildReason.DAMAGED


def test_rows_of_nobody_are_damage(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    store.write({b"a": b"1", store_module._META_KEY: None}, {})
    store.close()
    with pytest.raises(StoreUnusable, match="does not say what wrote it"):
        _open(tmp_path / "s")


def test_an_older_format_is_to_be_made_anew(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    store.write({store_module._META_KEY: msgspec.msgpack.encode(StoreMeta(0, FINGERPRINT))}, {})
    store.close()
    with pytest.raises(StoreUnusable, match=f"has format 0, this version writes {FORMAT_VERSION}") as told:
        _open(tmp_path / "s")
    assert told.value.reason == RebuildReason.OLDER_FORMAT


def test_a_full_disk_is_no_damage_and_what_was_flushed_stands(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAST_SECOND_FLUSH_BYTES, PAST_SECOND_FLUSH_BYTES))

    def fill(*, limited: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", FILL_UNTIL_FULL, str(tmp_path / "s")],
            cwd=ROOT, timeout=60, check=False, capture_output=True, text=True, preexec_fn=limit if limited else None,
        )  # fmt: skip

    full = fill(limited=True)
    assert full.returncode == 3, full.stderr
    assert full.stdout.startswith("DiskRefused")
    assert "make room there" in full.stdout
    store = _open(tmp_path / "s")
    position = store.position("t", 0)
    rows = [key for key, _ in store.rows()]
    # Rows and position of one moment, whichever it is.
    assert rows == [_key(number) for number in range(0 if position is None else position.next_offset * 100)]
    store.close()
    assert fill(limited=False).returncode == 0
    store = _open(tmp_path / "s")
    assert sum(1 for _ in store.rows()) == 10_000
    store.close()


def test_a_folder_that_can_not_be_made_is_the_operators(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file")
    with pytest.raises(StateError, match="can't be made"):
        _open(tmp_path / "s")


def test_a_closed_store_is_not_taken_for_damage(tmp_path: Path) -> None:
    store = _open(tmp_path / "s")
    store.close()
    with pytest.raises(StoreFailed, match="was closed"):
        store.get(b"a")
    with pytest.raises(StoreFailed, match="was closed"):
        store.write({b"a": b"1"}, {})
    _open(tmp_path / "s").close()


def test_one_folder_at_the_most_is_set_aside(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / "file").write_text(content)
        aside = set_aside(tmp_path / "s", f"damaged: {content}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [aside.name]
    assert (aside / "file").read_text() == "second"
    assert (aside / "REASON").read_text() == "damaged: second\n"


def test_removing_what_a_kill_left_half_removed(tmp_path: Path) -> None:
    (tmp_path / "s.removed").mkdir()
    (tmp_path / "s.removed" / "file").touch()
    remove(tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_the_opening_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise Exception("IO error: No space left on device: While appending to file")

    monkeypatch.setattr(store_module, "Rdict", refuse)
    with pytest.raises(DiskRefused):
        _open(tmp_path / "s")

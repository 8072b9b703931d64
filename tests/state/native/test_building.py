"""Goal: the library is there where it can be, and nothing is worse than slower where it can't.

Method: its sources are copied to a folder of their own, and built there as they are, spoiled, or changed.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from state.native import building, loading, sources
from state.native.building import build
from state.native.loading import Library, load
from state.native.sources import library_path

Compiler = Callable[[str], None]
ROOT = Path(__file__).parents[3]
#: As a compiler that is quick: what is built already.
_BUILDS = f'cp "{library_path()}" "$2"'
# Nothing but zeros, and no trusted traits.
_SETTINGS = bytes(100)
needs_compiler = pytest.mark.skipif(shutil.which("rustc") is None, reason="there is no rustc on this machine")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources again, to be built elsewhere, and quickly."""
    for source in sources.FOLDER.rglob("*.rs"):
        place = tmp_path / source.relative_to(sources.FOLDER)
        place.parent.mkdir(exist_ok=True)
        shutil.copy(source, place)
    for module in (sources, building):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(building, "_OPTIONS", tuple(each for each in building._OPTIONS if "opt-level" not in each))
    return tmp_path


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """A function that puts a compiler on the path which does no more than the given lines of shell."""

    def put(lines: str) -> None:
        program = tmp_path / "compiler"
        program.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n{lines}\n')
        program.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda _: str(program))

    return put


def _change(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new))


@needs_compiler
def test_where_there_is_a_compiler_the_library_is_built_and_loads() -> None:
    assert load() is not None, "`make develop`, or `python -m state.native`, builds it, or says why it can't"


def test_the_command_says_one_line_and_succeeds() -> None:
    done = subprocess.run([sys.executable, "-m", "state.native"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert "events are folded" in done.stdout
    assert not done.stderr


@needs_compiler
def test_what_is_built_is_not_built_again_and_what_is_old_goes(folder: Path, compiler: Compiler) -> None:
    compiler(_BUILDS)
    assert build() == f"events are folded by the library {library_path().name}"
    built = library_path()
    compiler("exit 1")
    assert build() == f"events are folded by the library {built.name}"
    _change(folder, "plan.rs", "pub fn plan(", "pub  fn plan(")
    assert load() is None
    compiler(_BUILDS)
    assert build() == f"events are folded by the library {library_path().name}"
    assert built != library_path()
    assert list(built.parent.iterdir()) == [library_path()]


@needs_compiler
def test_two_who_build_at_once_leave_one_library(folder: Path, compiler: Compiler) -> None:
    compiler(_BUILDS)
    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(lambda _: build(), range(2)))) == 1
    assert list((folder / "built").iterdir()) == [library_path()]
    assert load() is not None


def test_a_compiler_that_fails_is_told_and_leaves_nothing(folder: Path, compiler: Compiler) -> None:
    compiler("echo 'error: plan.rs' >&2; exit 1")
    said = build()
    assert "folded in Python" in said.splitlines()[0]
    assert "error: plan.rs" in said
    assert load() is None
    assert list((folder / "built").iterdir()) == []


@needs_compiler
def test_a_panic_is_a_refusal_and_says_nothing_of_anybody(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read = "    let piece = Piece::read(request)?;"
    _change(
        folder,
        "plan.rs",
        read,
        '    assert!(request.is_empty(), "{request:?}: {}", String::from_utf8_lossy(request));\n' + read,
    )
    assert build() == f"events are folded by the library {library_path().name}"
    panicking = load()
    assert panicking is not None
    capfd.readouterr()
    for _ in range(2):
        assert panicking.plan(_SETTINGS, b"ann@example.com") is None
    told = capfd.readouterr().err
    assert len(told.splitlines()) == 2
    assert "plan.rs" in told
    assert "ann@" not in told


def test_without_a_compiler_all_is_done_in_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert build().startswith("no rustc on this machine: events are folded in Python")
    assert load() is None
    assert not (folder / "built").exists()


def test_a_folder_that_can_not_be_written_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root everything can be written: a file in the place of the folder can't be, by anybody.
    (folder / "built").write_text("")
    monkeypatch.setattr(shutil, "which", lambda _: sys.executable)
    said = build()
    assert "folded in Python" in said
    assert str(folder / "built") in said


def test_what_is_no_library_of_this_machine_is_not_loaded(folder: Path) -> None:
    library_path().parent.mkdir()
    library_path().write_bytes(b"no library")
    assert load() is None
    assert "can't be loaded" in build()
    assert folder.exists()


@needs_compiler
def test_a_library_of_another_version_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load() is not None
    monkeypatch.setattr(loading, "VERSION", loading.VERSION + 1)
    assert load() is None


@needs_compiler
def test_bytes_of_nobody_are_refused() -> None:
    library = load()
    assert isinstance(library, Library)
    for size in (0, 1, 7, 64, 4096):
        for byte in (b"\0", b"\x7f", b"\xff"):
            assert library.plan(size * byte, size * byte) is None
            assert library.step(size * byte, size * byte, size * byte) is None

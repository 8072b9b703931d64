"""Goal: keys change with their files, and a fault in a file changes nothing. Method: look when the test says so."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.web import access_reload
from connectors.web.access import Access, AccessRefused, Role
from connectors.web.access_file import load_access_file
from connectors.web.access_reload import AccessReload
from tests.logged import logged_by
from tests.waiting import until

OLD, NEW = "the-old-token-of-tests", "the-new-token-of-tests"


def entry(name: str, token: str, role: str = "lookup") -> str:
    return f"  - {{name: {name}, role: {role}, token: {token}}}\n"


class Watched:
    """A service's keys in a file."""

    def __init__(self, path: Path, interval_seconds: float = 1.0) -> None:
        self.path = path
        self.write(entry("old", OLD))
        self.files = AccessReload([path], lambda: load_access_file(path, {}), interval_seconds=interval_seconds)
        self.access = Access(self.files.read(), role=Role.LOOKUP, files=self.files)

    def write(self, entries: str) -> None:
        """Another file takes the place of the old one, as editors do it."""
        draft = self.path.with_suffix(".draft")
        draft.write_text(f"tokens:\n{entries}")
        draft.replace(self.path)

    async def lets_in(self, token: str) -> bool:
        """Whether the token opens, after a look at the file."""
        await self.files.refresh(self.access)
        try:
            self.access.admit(token)
        except AccessRefused:
            return False
        return True


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "access.yaml")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return logged_by(access_reload, monkeypatch)


async def test_a_token_is_changed_without_a_gap(watched: Watched) -> None:
    watched.write(entry("old", OLD) + entry("new", NEW))
    assert [await watched.lets_in(token) for token in (OLD, NEW)] == [True, True]
    watched.write(entry("new", NEW))
    assert [await watched.lets_in(token) for token in (OLD, NEW)] == [False, True]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ("  - {name: a", "access.yaml"),
        (entry("a", "short"), "at least 16"),
        ("", "tokens: Expected `array`"),
        (entry("a", NEW, "collect"), "would let everybody in"),
        (entry("a", NEW) + entry("b", NEW), "hold the same key"),
    ],
)
async def test_a_fault_leaves_the_old_keys_in_force_and_is_told_once(
    watched: Watched, lines: list[Any], entries: str, told: str
) -> None:
    watched.write(entries)
    assert await watched.lets_in(OLD)
    assert await watched.lets_in(OLD)
    assert [line["log_level"] for line in lines] == ["error"]
    assert told in lines[0]["reason"]
    assert NEW not in str(lines)
    watched.write(entry("new", NEW))
    assert await watched.lets_in(NEW)


async def test_a_file_that_is_gone_for_a_while_changes_nothing(watched: Watched) -> None:
    content = watched.path.read_bytes()
    watched.path.unlink()
    assert await watched.lets_in(OLD)
    watched.path.write_bytes(content)
    assert await watched.lets_in(OLD)


async def test_a_link_that_is_turned_counts_as_a_change(tmp_path: Path) -> None:
    first, second, link = tmp_path / "1.yaml", tmp_path / "2.yaml", tmp_path / "access.yaml"
    watched = Watched(first)
    second.write_text("tokens:\n" + entry("new", NEW))
    os.utime(second, ns=(first.stat().st_mtime_ns,) * 2)
    link.symlink_to(first)
    files = AccessReload([link], lambda: load_access_file(link, {}))
    access = Access(files.read(), role=Role.LOOKUP)
    link.unlink()
    link.symlink_to(second)
    await files.refresh(access)
    assert access.admit(NEW).name == "new"
    assert watched.access.admit(OLD).name == "old"


async def test_changed_files_are_taken_without_being_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "access.yaml", interval_seconds=0.01)
    watching = asyncio.create_task(watched.access.watch())
    try:
        watched.write(entry("new", NEW))
        await until(lambda: [key.name for key in watched.access.keys] == ["new"])
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

"""An environment is made once for a lock, and made anew for another."""

from pathlib import Path

import pytest

from bench.peers import environment
from bench.peers.peer import Peer
from schemas.errors import RestartNeeded


@pytest.fixture
def requirements_file(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("")
    return path


def test_a_second_run_installs_nothing(
    requirements_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    python = environment.hashed_environment("one", requirements_file, tmp_path / "cache", told.append)
    assert python.exists()
    assert len(told) == 1

    def refuse(_command: list[str]) -> None:
        raise AssertionError("nothing is to be installed")

    monkeypatch.setattr(environment, "_run", refuse)
    assert environment.hashed_environment("one", requirements_file, tmp_path / "cache", told.append) == python
    assert len(told) == 1
    requirements_file.write_text("# another lock\n")
    with pytest.raises(AssertionError):
        environment.hashed_environment("one", requirements_file, tmp_path / "cache", told.append)


def test_what_has_no_hash_is_not_installed(requirements_file: Path, tmp_path: Path) -> None:
    requirements_file.write_text("msgspec==0.0.0\n")
    with pytest.raises(RestartNeeded, match="pip install"):
        environment.hashed_environment("one", requirements_file, tmp_path / "cache", lambda _line: None)
    # What failed is not taken for done.
    assert not list((tmp_path / "cache").glob("*/installed"))


def test_every_lock_has_hashes_and_names_no_host() -> None:
    folder = Path(environment.__file__).parents[1]
    locks = [*folder.glob("peers/*/requirements.txt"), folder / "report" / "requirements.txt"]
    assert len(locks) == 3
    for lock in locks:
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "--index-url" not in text


def test_a_peer_is_told_all_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.peers.peer.python_environment", lambda name: tmp_path / name / "python")
    monkeypatch.setenv("GOLDENTHREAD_TOKEN", "none of theirs")
    peer = Peer("quix", 5_000, "at-least-once")
    command = peer.command(
        bootstrap_servers="127.0.0.1:1", prefix="run1.", application="run1", state_dir=tmp_path / "state"
    )
    assert command == [
        *(str(tmp_path / "quix" / "python"), "-m", "bench.peers.quix"),
        *("--bootstrap-servers", "127.0.0.1:1", "--prefix", "run1.", "--application", "run1"),
        *("--commit-interval-ms", "5000", "--guarantee", "at-least-once", "--state-dir", str(tmp_path / "state")),
    ]
    assert "GOLDENTHREAD_TOKEN" not in peer.environment()

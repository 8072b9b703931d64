"""The jar folder against a small repository on loopback that can misbehave."""

import gc
import hashlib
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest

from schemas.errors import OperatorNeeded, RestartNeeded
from streams.broker.jars import FetchProgress, Jar, JarFolder, kafka_jars

NAMES = ("alpha", "beta", "gamma")
CONTENTS = {f"org/example/{name}/1.0/{name}-1.0.jar": name.encode() * 20_000 for name in NAMES}
JARS = [Jar(PurePosixPath(path), hashlib.sha256(content).hexdigest()) for path, content in CONTENTS.items()]


class Repository(ThreadingHTTPServer):
    """Serves `contents`; cuts the answer off in the middle for the paths in `cut`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents = dict(CONTENTS)
        self.cut: set[str] = set()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/maven2"


class Handler(BaseHTTPRequestHandler):
    """Answers for a Repository."""

    server: Repository

    def do_GET(self) -> None:
        """Answer with the content, half of it, or 404."""
        path = self.path.removeprefix("/maven2/")
        content = self.server.contents.get(path)
        if content is None:
            self.send_error(404)
            return
        self.server.asked.append(path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if path in self.server.cut else content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name.
        """Say nothing."""


@pytest.fixture
def repository() -> Iterator[Repository]:
    with Repository() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    # The resolver leaves the connection of a refused or cut answer to the garbage collector; it must not be another
    # test that hears of it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def folder(tmp_path: Path) -> JarFolder:
    return JarFolder(tmp_path / "kafka", JARS, setting="GOLDENTHREAD_CACHE_DIR")


def visible_files(folder: JarFolder) -> set[str]:
    return {path.name for path in folder.directory.iterdir() if path.name != ".lock"}


def test_all_jars_are_fetched_and_nothing_else_is_left(folder: JarFolder, repository: Repository) -> None:
    (folder.directory / ".fetch-killed" / "org").mkdir(parents=True)
    steps: list[FetchProgress] = []
    paths = folder.classpath(repository_url=repository.url, on_progress=steps.append)
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert visible_files(folder) == {path.name for path in paths}
    assert steps[0] == FetchProgress(0, 3, 0)
    assert steps[-1] == FetchProgress(3, 3, sum(map(len, CONTENTS.values())))
    assert steps == sorted(steps)


def test_a_full_folder_needs_no_repository(folder: JarFolder, repository: Repository) -> None:
    folder.classpath(repository_url=repository.url)
    repository.asked.clear()
    assert len(folder.classpath(repository_url=repository.url)) == 3
    assert repository.asked == []


def test_a_changed_jar_is_refused_by_name_with_both_sums(folder: JarFolder, repository: Repository) -> None:
    changed = folder.classpath(repository_url=repository.url)[1]
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    found = hashlib.sha256(changed.read_bytes()).hexdigest()
    for _ in range(2):
        with pytest.raises(OperatorNeeded, match=rf"{changed}.*{found}.*{JARS[1].sha256}.*delete it"):
            folder.classpath(repository_url=repository.url)
    changed.unlink()
    assert changed in folder.classpath(repository_url=repository.url)


def test_other_bytes_from_the_repository_are_refused_and_not_kept(folder: JarFolder, repository: Repository) -> None:
    path = str(JARS[0].path)
    repository.contents[path] = b"something else"
    with pytest.raises(OperatorNeeded, match=rf"{path}.*{JARS[0].sha256}.*Nothing of it was used"):
        folder.classpath(repository_url=repository.url)
    assert "alpha-1.0.jar" not in visible_files(folder)
    assert repository.asked.count(path) == 3


def test_a_fetch_that_was_cut_off_goes_on_where_it_stopped(folder: JarFolder, repository: Repository) -> None:
    last = str(JARS[-1].path)
    repository.cut.add(last)
    with pytest.raises((RestartNeeded, OperatorNeeded), match=last):
        folder.classpath(repository_url=repository.url)
    assert visible_files(folder) == {"alpha-1.0.jar", "beta-1.0.jar"}
    repository.cut.clear()
    repository.asked.clear()
    folder.classpath(repository_url=repository.url)
    assert repository.asked == [last]


def test_a_repository_without_the_jar_is_named(folder: JarFolder, repository: Repository) -> None:
    del repository.contents[str(JARS[0].path)]
    with pytest.raises(RestartNeeded, match=f"{repository.url}/{JARS[0].path} could not be fetched"):
        folder.classpath(repository_url=repository.url)


def test_two_programs_at_once_fetch_each_jar_once(tmp_path: Path, repository: Repository) -> None:
    folders = [JarFolder(tmp_path / "kafka", JARS, setting="GOLDENTHREAD_CACHE_DIR") for _ in range(2)]
    threads = [
        threading.Thread(target=folder.classpath, kwargs={"repository_url": repository.url}) for folder in folders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(repository.asked) == sorted(CONTENTS)


def test_the_list_names_each_jar_once_and_the_bridge_fits_its_log4j() -> None:
    jars = kafka_jars()
    assert len({jar.path.name for jar in jars}) == len(jars) == 46
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    versions = {jar.path.parts[-3]: jar.path.parts[-2] for jar in jars}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == "4.3.0"
    assert versions["log4j-slf4j-impl"] == versions["log4j-core"] == versions["log4j-api"]

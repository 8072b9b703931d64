"""Fetches jars from a Maven repository.

The resolver's download writes to the final name at once and only warns about a wrong checksum. So it gets a directory
that is thrown away, and a jar enters the folder by a rename after it was verified: a fetch that is cut off at any point
leaves verified jars and nothing else, and the next one goes on from there.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext, PythonResolver

from schemas.errors import OperatorNeeded, RestartNeeded
from streams.broker.jars import FetchProgress, Jar, ProgressCallback, sha256_of

# Most jars are small, so that round trips dominate; more connections than this would be impolite.
CONNECTIONS_MAX: Final = 4
ATTEMPTS_MAX: Final = 3
# No byte for this long counts as a broken connection.
SILENCE_TIMEOUT_S: Final = 20
_TEMPORARY_PREFIX: Final = ".fetch-"


class _Progress:
    """Counts from several threads and tells the callback, one call at a time."""

    def __init__(self, jars_total: int, callback: ProgressCallback | None) -> None:
        self._lock = threading.Lock()
        self._callback = callback
        self._state = FetchProgress(0, jars_total, 0)

    def advance(self, *, jars: int = 0, size_bytes: int = 0) -> None:
        with self._lock:
            done, total, received = self._state
            self._state = FetchProgress(done + jars, total, received + size_bytes)
            if self._callback is not None:
                self._callback(self._state)

    @contextmanager
    def of_download(self, _file_name: str, _size_bytes: int) -> Iterator[object]:
        """What the resolver asks for: a context that yields a function to be called with each chunk's size."""
        yield lambda size_bytes: self.advance(size_bytes=size_bytes)


def fetch(
    jars: Sequence[Jar], directory: Path, *, repository_url: str | None, on_progress: ProgressCallback | None
) -> None:
    """Fetch the jars into the directory, which the caller has locked.

    Raises:
        OperatorNeeded: the repository has other bytes than the list says.
        RestartNeeded: the repository did not answer; jars that were complete by then are kept.
    """
    for leftover in directory.glob(f"{_TEMPORARY_PREFIX}*"):
        shutil.rmtree(leftover)
    url = (repository_url or MAVEN_CENTRAL_URL).rstrip("/")
    progress = _Progress(len(jars), on_progress)
    progress.advance()
    with tempfile.TemporaryDirectory(prefix=_TEMPORARY_PREFIX, dir=directory) as temporary:
        context = MavenContext(
            resolver=PythonResolver(progress_callback=progress.of_download),
            repo_cache=Path(temporary),
            remote_repos={"central": url},
            timeout=SILENCE_TIMEOUT_S,
        )
        executor = ThreadPoolExecutor(CONNECTIONS_MAX, thread_name_prefix="fetch")
        try:
            for _ in executor.map(lambda jar: _fetch_one(context, url, jar, directory, progress), jars):
                pass
        finally:
            executor.shutdown(cancel_futures=True)


def _fetch_one(context: MavenContext, url: str, jar: Jar, directory: Path, progress: _Progress) -> None:
    *group, artifact_id, version, name = jar.path.parts
    artifact = context.project(".".join(group), artifact_id).at_version(version).artifact()
    failure: Exception | None = None
    for _ in range(ATTEMPTS_MAX):
        try:
            path = Path(artifact.resolve())
        except (requests.RequestException, OSError, RuntimeError) as error:
            failure = error
            artifact.cached_path.unlink(missing_ok=True)
            continue
        found = sha256_of(path)
        if found == jar.sha256:
            path.replace(directory / name)
            progress.advance(jars=1)
            return
        failure = OperatorNeeded(
            f"{url}/{jar.path} is not the file that this version was made for: its SHA-256 is {found}, expected "
            f"{jar.sha256}. Nothing of it was used. Fetch through another network or repository."
        )
        path.unlink()
    if isinstance(failure, OperatorNeeded):
        raise failure
    raise RestartNeeded(
        f"{url}/{jar.path} could not be fetched, {ATTEMPTS_MAX} times: {failure}. See that this machine reaches the "
        "repository and start again, which goes on where it stopped; or set KAFKA_HOME to an unpacked Kafka."
    ) from failure

"""Kafka's jars: a list of what they must be, kept with the program, and a folder that holds exactly those.

Every start compares every jar with the list (46 jars, 45 MB: some 30 ms). The list alone says what is needed, so a
folder that holds all of it is enough: neither a network nor a resolver is touched.
"""

import hashlib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from schemas.errors import OperatorNeeded
from streams.broker.directory_lock import DirectoryLock

KAFKA_VERSION: Final = "4.3.0"
# Another program on this machine may be fetching the same jars; after this long something is wrong with it.
FETCH_BY_OTHERS_WAIT_S: Final = 600.0


class Jar(NamedTuple):
    """One jar: its place in a Maven repository, which names group, artifact and version, and its SHA-256."""

    path: PurePosixPath
    sha256: str


class FetchProgress(NamedTuple):
    """How far a fetch is."""

    jars_done: int
    jars_total: int
    bytes_done: int


ProgressCallback = Callable[[FetchProgress], None]


def kafka_jars() -> list[Jar]:
    """The list for `KAFKA_VERSION`."""
    return jars_of(
        resources.files("streams.broker").joinpath(f"kafka-{KAFKA_VERSION}.sha256").read_text(encoding="ascii")
    )


def jars_of(text: str) -> list[Jar]:
    """What a list says, whose lines are those of sha256sum(1), comments aside."""
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return [Jar(PurePosixPath(path), sha256) for sha256, path in lines]


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class JarFolder:
    """One flat folder of verified jars."""

    def __init__(self, directory: Path, jars: Sequence[Jar], *, setting: str) -> None:
        self.directory = directory
        self._jars = jars
        self._setting = setting

    def classpath(self, *, repository_url: str | None, on_progress: ProgressCallback | None = None) -> list[Path]:
        """All jars, each as the list says; those that are missing are fetched first.

        Raises:
            OperatorNeeded: a jar is not what the list says, here or in the repository.
            RestartNeeded: a jar could not be fetched.
            SettingError: the folder can't be written, or stays in use by another program.
        """
        if self._missing():
            with DirectoryLock(self.directory, setting=self._setting, wait_s=FETCH_BY_OTHERS_WAIT_S):
                # Somebody else may have fetched them while this waited.
                if missing := self._missing():
                    # The resolver is slow to import and not needed once the folder is full.
                    from streams.broker.fetch import fetch

                    fetch(missing, self.directory, repository_url=repository_url, on_progress=on_progress)
        return [self._verified(jar) for jar in self._jars]

    def _missing(self) -> list[Jar]:
        return [jar for jar in self._jars if not (self.directory / jar.path.name).exists()]

    def _verified(self, jar: Jar) -> Path:
        path = self.directory / jar.path.name
        found = sha256_of(path)
        if found != jar.sha256:
            raise OperatorNeeded(
                f"{path} is not the file that this version was made for: its SHA-256 is {found}, expected "
                f"{jar.sha256}. Find out who changed it; then delete it and start again, which fetches it anew."
            )
        return path

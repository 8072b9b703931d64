"""Environments of their own for programs whose pins differ from ours, in the cache folder, made once per lock.

An environment's folder is named by the hash of its `requirements.txt`, and stamped once all of it is installed: a
second run installs nothing and needs no network, a changed lock makes another environment.
"""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.errors import RestartNeeded
from streams.broker.options import default_cache_dir

# The largest downloads 230 MB.
_INSTALL_SECONDS_MAX: Final = 900.0
# Of what failed the last so many characters are told.
_MESSAGE_SHOWN_MAX: Final = 600
_DIGEST_CHARACTERS: Final = 16
_STAMP: Final = "installed"

_PIP: Final = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")


def bench_cache_dir() -> Path:
    """Where benchmarks keep what can be fetched or made again."""
    return Path(os.environ.get("GOLDENTHREAD_CACHE_DIR") or default_cache_dir()) / "bench"


def tell_aside(line: str) -> None:
    """Progress, on the stream that is not the report's."""
    print(line, file=sys.stderr, flush=True)


def python_environment(name: str, tell: Callable[[str], None] = tell_aside) -> Path:
    """The interpreter of a peer's environment, by the peer's name.

    Raises:
        RestartNeeded: it can't be installed; the message says why.
    """
    return hashed_environment(name, Path(__file__).with_name(name) / "requirements.txt", bench_cache_dir(), tell)


def hashed_environment(name: str, requirements_file: Path, parent: Path, tell: Callable[[str], None]) -> Path:
    """The interpreter of an environment with exactly what a lock with hashes names, made where it is missing.

    Raises:
        RestartNeeded: it can't be installed; the message says why.
    """
    digest = hashlib.sha256(requirements_file.read_bytes()).hexdigest()[:_DIGEST_CHARACTERS]
    # A compiled package belongs to the interpreter's version.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = parent / f"{name}-{version}-{digest}"
    python, stamp = folder / "bin" / "python", folder / _STAMP
    if not stamp.exists():
        tell(f"installing {name} into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        _run([str(python), *_PIP, "--only-binary", ":all:", "--requirement", str(requirements_file)])
        stamp.touch()
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False)  # noqa: S603 - our own command.
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RestartNeeded(f"{Path(command[0]).name}: {error}") from error
    if done.returncode != 0:
        raise RestartNeeded(f"{' '.join(command[1:4])} failed: {done.stderr.strip()[-_MESSAGE_SHOWN_MAX:]}")

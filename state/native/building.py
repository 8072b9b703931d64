"""Compiles the library: by `rustc` alone, from the sources beside this file, in some seconds and without a network."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from state.native.loading import load
from state.native.sources import FOLDER, NAME, ROOT_FILE, library_path

_COMPILER: Final = "rustc"
_TIMEOUT_SECONDS: Final = 300
_SLOWER: Final = "events are folded in Python, which takes several times as long"
# Numbers that pass their bounds are an error here as they are in Python, and no panic may end the process.
_OPTIONS: Final = (
    "--edition=2021",
    "--crate-type=cdylib",
    "--crate-name=goldenthread_native",
    "-Copt-level=3",
    "-Ccodegen-units=1",
    "-Coverflow-checks=on",
    "-Cpanic=unwind",
    "-Cstrip=debuginfo",
)


def build() -> str:
    """Compile the library unless it is there; a line that says what came of it.

    Libraries of other sources are removed then. Nothing is wrong where it can't be built: only slower.
    """
    path = library_path()
    if not path.exists():
        compiler = shutil.which(_COMPILER)
        if compiler is None:
            return f"no {_COMPILER} on this machine: {_SLOWER}"
        failure = _compile(compiler, path)
        if failure:
            return f"{_COMPILER} could not build the library: {_SLOWER}\n{failure}"
    if load() is None:
        return f"the library {path.name} can't be loaded: {_SLOWER}"
    return f"events are folded by the library {path.name}"


def _compile(compiler: str, path: Path) -> str:
    """Build it beside its place and give it its name, so that nobody ever loads half of one; what went wrong."""
    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            draft = Path(folder) / path.name
            command = [compiler, *_OPTIONS, "-o", str(draft), str(FOLDER / ROOT_FILE)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603 - the compiler that is on the path.
            if done.returncode:
                return done.stderr or f"it ended with {done.returncode}"
            draft.replace(path)
        # Who has one of these loaded keeps it; another who builds at the same time has drafts of its own.
        for other in path.parent.glob(f"{NAME}-*"):
            if other != path:
                other.unlink(missing_ok=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        # A folder of somebody else's, or a compiler that can't be run.
        return str(error)
    return ""

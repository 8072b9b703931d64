"""Where the library's sources and the built library are. A built one is stamped by the hash of its sources."""

import hashlib
import sys
import sysconfig
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
#: The root of the sources.
ROOT_FILE: Final = "library.rs"
#: What a built library's name begins with.
NAME: Final = "goldenthread"
_BUILT: Final = "built"
_HASH_LENGTH: Final = 16
_SUFFIXES: Final = {"darwin": ".dylib", "win32": ".dll"}


def library_path() -> Path:
    """Where the library of these sources is, once it is built for this machine."""
    digest = hashlib.blake2b()
    for source in sorted(FOLDER.rglob("*.rs")):
        digest.update(source.relative_to(FOLDER).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    stamp = digest.hexdigest()[:_HASH_LENGTH]
    platform = sysconfig.get_platform()
    return FOLDER / _BUILT / f"{NAME}-{platform}-{stamp}{_SUFFIXES.get(sys.platform, '.so')}"

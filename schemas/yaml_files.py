"""YAML files that people write: read within a bound, strictly; errors name the file, the place and the nearest key."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from schemas.errors import SettingError
from schemas.strict_json import UNREADABLE

FILE_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024

Shape = TypeVar("Shape", bound=msgspec.Struct)


def suggestion(word: str, known: Sequence[str]) -> str:
    """What the writer may have meant, as the end of a sentence."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"


def read_yaml_file(path: Path) -> bytes:
    """The file's content.

    Raises:
        SettingError: it can't be read, or is too large.
    """
    try:
        if path.stat().st_size > FILE_SIZE_BYTES_MAX:
            raise SettingError(f"{path}: larger than {FILE_SIZE_BYTES_MAX} bytes")
        return path.read_bytes()
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from error


def decode_yaml(
    content: bytes, shape: type[Shape], name: str, inner: Mapping[str, type[msgspec.Struct]] | None = None
) -> Shape:
    """The content in its shape.

    `inner` names the shapes below the top by how the place of an error starts, such as `.sources`, so that an unknown
    key is answered with the nearest one that may stand there.

    Raises:
        SettingError: no YAML, an unknown key, or a wrong value; the message says what and where.
    """
    try:
        return msgspec.yaml.decode(content, type=shape)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place = place.removesuffix("`")
        word = message.partition("unknown field `")[2].rstrip("`")
        if word:
            here: type[msgspec.Struct] = next(
                (found for start, found in (inner or {}).items() if place.startswith(start)), shape
            )
            known = [field.encode_name for field in msgspec.structs.fields(here)]
            message = f"unknown key {word!r}{suggestion(word, known)}"
        place = place.strip(".")
        raise SettingError(f"{name}: {place + ': ' if place else ''}{message}") from None
    except UNREADABLE as error:
        raise SettingError(f"{name}: {error}") from None

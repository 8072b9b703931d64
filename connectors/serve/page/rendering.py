"""Templates and static files of the page. Everything that a template puts in is escaped.

Static files stand under a path that holds a hash of them all, so browsers keep them for good and a new version is
fetched at once.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from connectors.serve.page import words

_PACKAGE: Final = "connectors.serve.page"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_VERSION_LENGTH: Final = 16
IMMUTABLE: Final = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """A file that browsers fetch."""

    content_type: str
    body: bytes


class Assets:
    """All static files, by their names; folders do not count, so names differ."""

    def __init__(self) -> None:
        root = files(_PACKAGE) / "static"
        found = [*root.iterdir(), *(root / "vendor").iterdir()]
        self.files: Mapping[str, StaticFile] = {
            entry.name: _static_file(entry) for entry in found if entry.name.rpartition(".")[2] in _TYPES
        }
        digest = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.body).digest())
        self.version = digest.hexdigest()[:_VERSION_LENGTH]

    def path(self, name: str) -> str:
        """Where browsers find the file."""
        if name not in self.files:
            raise KeyError(f"{name} is no static file")
        return f"/static/{self.version}/{name}"


class Templates:
    """Renders the page's templates."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._environment.globals["asset"] = assets.path
        self._environment.globals["words"] = words
        self._environment.filters["plain"] = words.plain

    def render(self, name: str, /, **values: Any) -> str:
        """The template as HTML."""
        return self._environment.get_template(name).render(**values)


def _static_file(entry: Traversable) -> StaticFile:
    return StaticFile(_TYPES[entry.name.rpartition(".")[2]], entry.read_bytes())

"""How commands print: results on standard output, everything about them on standard error."""

import sys
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

# Nobody folds lines for a file or a pipe: `grep` would not find what is cut in two.
_FILE_WIDTH: Final = 10_000
#: Results for people; colours only on a terminal, and none where NO_COLOR says so.
OUT: Final = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _FILE_WIDTH)
#: Progress and errors.
ERR: Final = Console(stderr=True, highlight=False, soft_wrap=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def print_json(value: Any) -> None:
    """One JSON document on one line."""
    OUT.out(msgspec.json.encode(value).decode(), highlight=False)


def print_pretty(value: Any) -> None:
    """A JSON document for people."""
    OUT.print_json(msgspec.json.encode(value).decode())

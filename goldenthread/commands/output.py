"""How commands print: results on standard output, everything about them on standard error."""

import sys
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.highlighter import JSONHighlighter

from goldenthread.commands.tables import CONTROL

# Nobody folds lines for a file or a pipe: `grep` would not find what is cut in two.
_FILE_WIDTH: Final = 10_000
#: Results for people; colours only on a terminal, and none where NO_COLOR says so.
OUT: Final = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _FILE_WIDTH)
#: Progress and errors.
ERR: Final = Console(stderr=True, highlight=False, soft_wrap=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def print_json(value: Any) -> None:
    """One JSON document on one line."""
    print_text(msgspec.json.encode(value).decode())


def print_pretty(value: Any) -> None:
    """A JSON document for people."""
    # Rich's own would write characters that were escaped as they are.
    text = msgspec.json.format(_escaped(msgspec.json.encode(value).decode()), indent=2)
    OUT.print(JSONHighlighter()(text))


def print_text(text: str) -> None:
    """A text as it is, such as JSON, but for what would steer a terminal: in JSON that means the same."""
    OUT.out("\n".join(map(_escaped, text.split("\n"))), highlight=False)


def _escaped(line: str) -> str:
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)

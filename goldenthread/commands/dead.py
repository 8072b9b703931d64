"""`dead list|show`: what could not become part of a context, why, and the original."""

import base64
import sys
from collections import Counter, deque
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json, print_pretty
from goldenthread.parts import catalogue_of, kafka_of
from goldenthread.settings import load_settings
from schemas.errors import EXIT_PROBLEMS_FOUND
from schemas.times import format_time
from streams.dead import DeadLetterRecord, read_dead
from streams.logs import configure_logs
from streams.topics import wait_for_broker

BROKER_WAIT_SECONDS: Final = 10.0
LISTED_DEFAULT: Final = 50

dead = typer.Typer(no_args_is_help=True, help="Look at dead letters.")


@dead.command("list")
def list_(
    code: Annotated[str | None, typer.Option(help="Only letters of this code.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = LISTED_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """List dead letters, oldest first, without what people said in them; `dead show` has the original."""
    letters: deque[DeadLetterRecord] = deque(maxlen=limit)
    counts: Counter[str] = Counter()
    for letter in _letters(0):
        if code is None or letter.code == code:
            counts[letter.code] += 1
            letters.append(letter)
    if json:
        for letter in letters:
            print_json(_head(letter))
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("offset", "time", "stage", "code", "pointer", "origin", "message"):
        table.add_column(column, overflow="fold", no_wrap=column in {"offset", "time", "code"})
    for letter in letters:
        origin = "" if letter.origin is None else "{}/{}@{}".format(*letter.origin)
        head = (str(letter.offset), _time(letter), letter.stage, letter.code, letter.pointer, origin, letter.message)
        table.add_row(*(cell.replace("[", r"\[") for cell in head))
    OUT.print(table)
    OUT.print(f"{counts.total()} dead letters: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))


@dead.command()
def show(offset: Annotated[int, typer.Argument(min=0, help="From `dead list`.")], json: JsonFlag = False) -> None:
    """Print one dead letter with its original bytes: as text where they are text, else in base64."""
    letter = next((letter for letter in _letters(offset) if letter.offset == offset), None)
    if letter is None:
        ERR.print(f"There is no dead letter at offset {offset}.")
        sys.exit(EXIT_PROBLEMS_FOUND)
    shown = _head(letter) | {
        "headers": {name: _content(value) for name, value in letter.headers},
        "key": _content(letter.key),
        "value": _content(letter.value),
    }
    (print_json if json else print_pretty)(shown)


def _letters(start: int) -> Any:
    settings = load_settings()
    configure_logs("WARNING")
    kafka = kafka_of(settings, "dead")
    wait_for_broker(kafka, BROKER_WAIT_SECONDS)
    return read_dead(kafka, catalogue_of(settings), start)


def _time(letter: DeadLetterRecord) -> str:
    return format_time(letter.timestamp_ms * 1000)


def _head(letter: DeadLetterRecord) -> dict[str, Any]:
    origin = letter.origin
    return {
        "offset": letter.offset,
        "time": _time(letter),
        "stage": letter.stage,
        "code": letter.code,
        "pointer": letter.pointer,
        "message": letter.message,
        "origin": None if origin is None else dict(zip(("topic", "partition", "offset"), origin, strict=True)),
    }


def _content(content: bytes | None) -> dict[str, str] | None:
    if content is None:
        return None
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}

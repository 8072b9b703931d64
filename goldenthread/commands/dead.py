"""`dead list|show`: what could not become part of a context, why, and the original."""

import base64
import sys
from collections import Counter, deque
from typing import Annotated, Any, Final

import typer

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json, print_pretty
from goldenthread.commands.tables import shown, table
from goldenthread.parts import catalogue_of, kafka_of
from goldenthread.settings import load_settings
from schemas.errors import EXIT_PROBLEMS_FOUND, DeadCode, UsageError
from schemas.times import format_time
from schemas.yaml_files import suggestion
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
    codes = [one.value for one in DeadCode]
    if code is not None and code not in codes:
        raise UsageError(f"there is no code {code!r}{suggestion(code, codes)}")
    # The originals together may be larger than memory; what is listed is what is said of them.
    heads: deque[dict[str, Any]] = deque(maxlen=limit)
    counts: Counter[str] = Counter()
    for letter in _letters(0):
        if code is None or letter.code == code:
            counts[letter.code] += 1
            heads.append(_head(letter))
    if json:
        for head in heads:
            print_json(head)
        return
    columns = ("offset", "time", "stage", "code", "pointer", "origin", "message")
    rows = ([_place(head) if column == "origin" else head[column] for column in columns] for head in heads)
    OUT.print(table(columns, rows, unfolded=frozenset({"offset", "time", "code"})))
    by_code = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    OUT.print(shown(f"{counts.total()} dead letters: {by_code}"))


@dead.command()
def show(offset: Annotated[int, typer.Argument(min=0, help="From `dead list`.")], json: JsonFlag = False) -> None:
    """Print one dead letter with its original bytes: as text where they are text, else in base64."""
    letter = next((letter for letter in _letters(offset) if letter.offset == offset), None)
    if letter is None:
        ERR.print(f"There is no dead letter at offset {offset}.")
        sys.exit(EXIT_PROBLEMS_FOUND)
    whole = _head(letter) | {
        "headers": {name: _content(value) for name, value in letter.headers},
        "key": _content(letter.key),
        "value": _content(letter.value),
    }
    (print_json if json else print_pretty)(whole)


def _letters(start: int) -> Any:
    settings = load_settings()
    configure_logs("WARNING")
    kafka = kafka_of(settings, "dead")
    wait_for_broker(kafka, BROKER_WAIT_SECONDS)
    return read_dead(kafka, catalogue_of(settings), start)


def _head(letter: DeadLetterRecord) -> dict[str, Any]:
    origin = letter.origin
    return {
        "offset": letter.offset,
        "time": format_time(letter.timestamp_ms * 1000),
        "stage": letter.stage,
        "code": letter.code,
        "pointer": letter.pointer,
        "message": letter.message,
        "origin": None if origin is None else dict(zip(("topic", "partition", "offset"), origin, strict=True)),
    }


def _place(head: dict[str, Any]) -> str:
    origin = head["origin"]
    if origin is None:
        return ""
    topic: str = origin["topic"]
    return topic if origin["offset"] is None else f"{topic}/{origin['partition']}@{origin['offset']}"


def _content(content: bytes | None) -> dict[str, str] | None:
    if content is None:
        return None
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}

"""`dead list|show|retry`: what could not become part of a context, why, the original, and another try."""

import base64
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json, print_pretty
from goldenthread.commands.tables import shown, table
from goldenthread.dead_letters.history import Former, History, read_history
from goldenthread.dead_letters.selection import Selection, select
from goldenthread.parts import catalogue_of, kafka_of, make_parts, registry_of
from goldenthread.settings import load_settings
from schemas.errors import EXIT_INTERRUPTED, EXIT_PROBLEMS_FOUND, UsageError
from schemas.times import format_time
from schemas.topics import Catalogue
from streams.dead import DeadLetterRecord, read_dead
from streams.kafka import KafkaOptions
from streams.logs import configure_logs
from streams.topics import verify_topics, wait_for_broker

if TYPE_CHECKING:
    from goldenthread.dead_letters.retry import Retried, RetryOptions

BROKER_WAIT_SECONDS: Final = 10.0
LISTED_DEFAULT: Final = 50
PATIENCE_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 10.0
# Letters that are told one by one to people; `--json` tells all.
TOLD_MAX: Final = 50

dead = typer.Typer(no_args_is_help=True, help="Look at dead letters, and send them again.")

Codes = Annotated[list[str] | None, typer.Option("--code", help="Only letters of this code; may be given again.")]
Stage = Annotated[str | None, typer.Option(help="collect, import, intake, identity or context.")]
SourceName = Annotated[str | None, typer.Option("--source", help="Only letters of this source.")]
Since = Annotated[str | None, typer.Option(help="Written at or after this time: RFC 3339, or 2h for two hours ago.")]
Until = Annotated[str | None, typer.Option(help="Written before this time.")]


@dead.command("list")
def list_(  # noqa: PLR0917 - typer turns each into an option of its own.
    code: Codes = None,
    stage: Stage = None,
    source: SourceName = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = LISTED_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """List dead letters, oldest first, without what people said in them; `dead show` has the original.

    `retried` says what became of one that was sent again: accepted, duplicate, or the code and offset of the letter
    that it became.
    """
    selection = _selection(code=code, stage=stage, source=source, since=since, until=until)
    # The originals together may be larger than memory; what is listed is what is said of them.
    heads: deque[dict[str, Any]] = deque(maxlen=limit)
    counts: Counter[str] = Counter()
    history = _history()
    for letter in _letters(0):
        history.see(letter)
        if selection.takes(letter):
            counts[letter.code] += 1
            heads.append(_head(letter))
    listed = [head | {"retried": _former(history.of(head["offset"]))} for head in heads]
    if json:
        for head in listed:
            print_json(head)
        return
    columns = ("offset", "time", "stage", "code", "pointer", "origin", "retried", "message")
    rows = ([_cell(head, column) for column in columns] for head in listed)
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
        "retry_of": letter.retry_of,
        "headers": {name: _content(value) for name, value in letter.headers},
        "key": _content(letter.key),
        "value": _content(letter.value),
    }
    (print_json if json else print_pretty)(whole)


@dead.command()
def retry(  # noqa: PLR0917 - typer turns each into an option of its own.
    offsets: Annotated[list[int] | None, typer.Argument(metavar="[OFFSET]...", help="From `dead list`.")] = None,
    code: Codes = None,
    stage: Stage = None,
    source: SourceName = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that a former retry settled.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would become of them; send nothing.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for the rows of imports.")] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=1, help="How long to wait for workers that say nothing, seconds.")
    ] = PATIENCE_SECONDS,
    json: JsonFlag = False,
) -> None:
    """Send dead letters again, once what was wrong is mended, and say what became of each.

    Each is judged first by the settings, mappings and registrations of now; one that is still wrong is not sent. A
    letter that is sent twice counts once. It exits 1 where a letter is still wrong, can't be sent, or the workers did
    not say in time what became of it.
    """
    from goldenthread.dead_letters.retry import SENT, SETTLED, RetryOptions

    selection = _selection(offsets=offsets, code=code, stage=stage, source=source, since=since, until=until)
    if selection.is_everything and not everything:
        raise UsageError("say which letters: OFFSETs from `goldenthread dead list`, filters such as --code, or --all")
    told: Counter[str] = Counter()
    shown_ones: list[Retried] = []
    missing = set(selection.offsets)
    try:
        for each in _retry(selection, RetryOptions(again, dry_run, wait), mapping):
            told[each.outcome] += 1
            missing.discard(each.offset)
            if json:
                print_json(each)
            elif len(shown_ones) < TOLD_MAX:
                shown_ones.append(each)
    except KeyboardInterrupt:
        ERR.print("Interrupted; what was sent counts once, whenever the command is run again.")
        sys.exit(EXIT_INTERRUPTED)
    if not json:
        _tell(shown_ones, told)
    # Where the workers say nothing, the rest was not looked at.
    for offset in () if SENT in told else sorted(missing):
        ERR.print(f"There is no dead letter at offset {offset}, or it repeats an earlier one.")
    if missing or told.keys() - SETTLED:
        sys.exit(EXIT_PROBLEMS_FOUND)


def _retry(selection: Selection, options: "RetryOptions", mapping: Path | None) -> "Iterator[Retried]":
    # What a worker is made of takes a while to load, and the other commands here don't need it.
    from goldenthread.dead_letters.judging import Judge
    from goldenthread.dead_letters.reading import Ways
    from goldenthread.dead_letters.retry import Retrier
    from goldenthread.secret import keyring
    from schemas.clock import SystemClock
    from schemas.enrichment.enrichment import Enrichment
    from schemas.mapping import load_mapping
    from streams.metrics import Metrics
    from streams.producer import DeliveringProducer
    from streams.wire_reader import WireReader

    settings = load_settings()
    configure_logs("WARNING")
    parts = make_parts(settings, "dead", keyring(settings))
    ways = Ways(
        catalogue=parts.catalogue,
        cleaner=parts.cleaner,
        registry=parts.registry,
        mappings=parts.mappings,
        clock=SystemClock(),
        file_mapping=None if mapping is None else load_mapping(mapping),
    )
    client = registry_of(settings, tries_max=1)
    enrichment = Enrichment(settings.enrichers, phone_region=parts.policy.phone_region)
    judge = Judge(ways, enrichment=enrichment, registry=client)
    wait_for_broker(parts.kafka, BROKER_WAIT_SECONDS)
    verify_topics(parts.kafka, parts.catalogue)
    producer = DeliveringProducer(parts.kafka, parts.catalogue, Metrics("dead", version("goldenthread")))
    retrier = Retrier(
        parts.kafka,
        parts.catalogue,
        settings.application,
        judge=judge,
        producer=producer,
        wire=WireReader(client),
    )
    try:
        with closing(retrier.retry(selection, options)) as retried:
            yield from retried
    finally:
        producer.close(CLOSE_SECONDS)


def _tell(shown_ones: "Iterable[Retried]", told: Counter[str]) -> None:
    columns = ("offset", "stage", "code", "outcome", "now", "letter", "why")
    rows = [
        (one.offset, one.stage, one.code, one.outcome, one.present_code, one.letter, one.reason) for one in shown_ones
    ]
    if rows:
        OUT.print(table(columns, rows, unfolded=frozenset({"offset", "code", "outcome"})))
    if told.total() > len(rows):
        OUT.print(f"... and {told.total() - len(rows):,} more (--json tells all)")
    by_outcome = ", ".join(f"{count:,} {name}" for name, count in told.most_common())
    OUT.print(f"{told.total():,} letters" + (f": {by_outcome}" if by_outcome else ""))


def _selection(
    *,
    code: list[str] | None,
    stage: str | None,
    source: str | None,
    since: str | None,
    until: str | None,
    offsets: list[int] | None = None,
) -> Selection:
    return select(
        now_ms=time.time_ns() // 1_000_000,
        offsets=offsets or (),
        codes=code or (),
        stage=stage,
        source=source,
        since=since,
        until=until,
    )


def _letters(start: int) -> Iterator[DeadLetterRecord]:
    return read_dead(*_answering_broker(), start)


def _history() -> History:
    return read_history(*_answering_broker())


def _answering_broker() -> tuple[KafkaOptions, Catalogue]:
    settings = load_settings()
    configure_logs("WARNING")
    kafka = kafka_of(settings, "dead")
    wait_for_broker(kafka, BROKER_WAIT_SECONDS)
    return kafka, catalogue_of(settings)


def _head(letter: DeadLetterRecord) -> dict[str, Any]:
    origin = letter.origin
    return {
        "offset": letter.offset,
        "time": format_time(letter.timestamp_ms * 1000),
        "stage": letter.stage,
        "code": letter.code,
        "pointer": letter.pointer,
        "message": letter.message,
        "source": letter.source,
        "origin": None if origin is None else dict(zip(("topic", "partition", "offset"), origin, strict=True)),
    }


def _former(former: Former | None) -> dict[str, Any] | None:
    if former is None:
        return None
    time_text = None if former.time_ms is None else format_time(former.time_ms * 1000)
    return {"outcome": former.outcome, "letter": former.letter, "time": time_text}


def _cell(head: dict[str, Any], column: str) -> Any:
    if column == "origin":
        return _place(head)
    if column == "retried":
        former = head["retried"]
        return None if former is None else str(Former(former["outcome"], former["letter"]))
    return head[column]


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

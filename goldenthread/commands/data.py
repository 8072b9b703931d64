"""`import`, `send`, `tail`, `customer get`: events in, contexts out, by hand."""

import http.client
import sys
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from connectors.collect.files import BadRow, Destination, ImportProgress, ImportResult, import_file
from connectors.serve.client import customer_get
from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json, print_pretty, print_text
from goldenthread.commands.tables import shown, table
from goldenthread.parts import Parts, catalogue_of, kafka_of, make_parts, registry_of
from goldenthread.secret import keyring
from goldenthread.settings import load_settings, revealed
from schemas.clock import SystemClock
from schemas.errors import EXIT_INTERRUPTED, EXIT_PROBLEMS_FOUND, UsageError
from schemas.mapping import load_mapping
from streams.logs import configure_logs
from streams.metrics import Metrics
from streams.producer import DeliveringProducer
from streams.topics import verify_topics, wait_for_broker

BROKER_WAIT_SECONDS: Final = 10.0
IMPORT_LINGER_MS: Final = 20
CLOSE_SECONDS: Final = 10.0
SEND_TIMEOUT_SECONDS: Final = 30.0
# A proxy of the environment would see what is sent, and seldom reaches a loopback address.
_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Bad rows that are listed; all of them are in `dead`.
PROBLEMS_SHOWN_MAX: Final = 20


def import_(
    file: Annotated[Path, typer.Argument(help="A CSV or JSONL file.")],
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping file; none for JSONL whose lines are CloudEvents.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Channel of events that name none.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin at the first row again.")] = False,
    json: JsonFlag = False,
) -> None:
    """Import a file. An interrupted import goes on where it was; events that came before are recognised."""
    if mapping is None and file.suffix.lower() == ".csv":
        # Every row would be a dead letter: a CSV file is never CloudEvents.
        raise UsageError(
            f"{file} is CSV: give the mapping that makes events of its rows, --mapping FILE (docs/mapping.md)"
        )
    settings = load_settings()
    configure_logs("WARNING")
    parts = make_parts(settings, "import", keyring(settings))
    read = None if mapping is None else load_mapping(mapping)
    wait_for_broker(parts.kafka, BROKER_WAIT_SECONDS)
    verify_topics(parts.kafka, parts.catalogue)
    producer = DeliveringProducer(
        parts.kafka, parts.catalogue, Metrics("import", version("goldenthread")), linger_ms=IMPORT_LINGER_MS
    )
    destination = Destination(producer, parts.catalogue, parts.cleaner, SystemClock(), channel)
    columns = (TextColumn("{task.fields[rows]:,} rows"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal) as progress:
        bar = progress.add_task("import", rows=0)
        rows = 0

        def advance(told: ImportProgress) -> None:
            nonlocal rows
            rows = told.rows
            progress.update(bar, total=told.total_bytes, completed=told.done_bytes, rows=told.rows)

        try:
            result = import_file(
                file,
                mapping=read,
                destination=destination,
                progress_folder=settings.data_dir / "imports",
                restart=restart,
                on_progress=advance,
            )
        except KeyboardInterrupt:
            ERR.print(f"Interrupted after {rows:,} rows; the same command goes on there.")
            sys.exit(EXIT_INTERRUPTED)
        finally:
            producer.close(CLOSE_SECONDS)
    _tell(result, parts, json)
    if result.dead:
        sys.exit(EXIT_PROBLEMS_FOUND)


def _tell(result: ImportResult, parts: Parts, json: bool) -> None:
    if json:
        print_json(result)
        return
    resumed = f", {result.resumed_rows:,} of them before" if result.resumed_rows else ""
    OUT.print(
        f"{result.rows:,} rows{resumed}: {result.accepted:,} accepted, {result.dead:,} dead, "
        f"{result.skipped:,} skipped, {result.seconds:.1f} s"
    )
    for bad in result.problems[:PROBLEMS_SHOWN_MAX]:
        OUT.print(shown(_bad_row(bad)))
    if result.dead:
        OUT.print(f"All bad rows are in {parts.catalogue.name('dead')}: goldenthread dead list")


def _bad_row(bad: BadRow) -> str:
    where = f" at {bad.pointer}" if bad.pointer else ""
    return f"  line {bad.line}: {bad.code.value}{where}: {bad.message}"


def send(
    event: Annotated[str, typer.Argument(help="A CloudEvent as JSON, or `-` to read it from standard input.")],
    url: Annotated[str | None, typer.Option(help="Collect's address; the local one where none is given.")] = None,
) -> None:
    """Post one CloudEvent to collect and print what it answers."""
    settings = load_settings()
    base = url or f"http://{settings.local_host}:{settings.collect_port}"
    body = sys.stdin.buffer.read() if event == "-" else event.encode()
    if not base.startswith(("http://", "https://")):
        raise UsageError(f"{base!r} is no http:// or https:// address of collect")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked above.
        f"{base.rstrip('/')}/v1/events", data=body, headers={"Content-Type": "application/cloudevents+json"}
    )
    if (token := revealed(settings.token)) is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with _DIRECTLY.open(request, timeout=SEND_TIMEOUT_SECONDS) as answer:
            print_text(answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as refusal:
        with refusal:
            print_text(refusal.read().decode(errors="replace"))
        sys.exit(EXIT_PROBLEMS_FOUND)
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(f"no collect answers at {base} ({error}): start it, or correct --url") from error


def tail(
    topic: Annotated[str, typer.Argument(help="context, interactions, context.changes or identity.changes.")],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="From the oldest record kept.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many records.")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for more at the end.")] = True,
    json: JsonFlag = False,
) -> None:
    """Print the records of a public topic as they come; only what is committed is shown."""
    # Avro takes a while to load, and nothing else here reads it.
    from connectors.serve.tail import tail as tail_topic
    from streams.wire_reader import WireReader

    settings = load_settings()
    configure_logs("WARNING")
    kafka = kafka_of(settings, "tail")
    wait_for_broker(kafka, BROKER_WAIT_SECONDS)
    records = tail_topic(
        kafka,
        catalogue_of(settings),
        topic,
        from_beginning=from_beginning,
        limit=limit,
        follow=follow,
        wire=WireReader(registry_of(settings)),
    )
    try:
        for record in records:
            if json or not OUT.is_terminal:
                print_json(record)
            else:
                print_pretty(record)
    except KeyboardInterrupt:
        return


customer = typer.Typer(no_args_is_help=True, help="Ask the lookup about a customer.")


@customer.command("get")
def get(  # noqa: PLR0917 - typer turns each into an option of its own.
    kind: Annotated[str, typer.Argument(help="Kind of the identifier, such as email.")],
    value: Annotated[str, typer.Argument(help="The identifier.")],
    url: Annotated[str | None, typer.Option(help="The lookup's address; the local one where none is given.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The system that the identifier is of.")] = None,
    realm: Annotated[str | None, typer.Option(help="The brand or tenant.")] = None,
    min_grade: Annotated[str | None, typer.Option(help="claimed, login or record.")] = None,
    json: JsonFlag = False,
) -> None:
    """Print a customer's context, found by any identifier."""
    settings = load_settings()
    base = url or f"http://{settings.local_host}:{settings.lookup_port}"
    reply = customer_get(
        base, kind, value, namespace=namespace, realm=realm, min_grade=min_grade, token=revealed(settings.token)
    )
    if json or not reply.found:
        print_json(reply.body)
    else:
        _show(reply.body["context"], reply.match, reply.lag_seconds)
    if not reply.found:
        sys.exit(EXIT_PROBLEMS_FOUND)


def _show(context: dict[str, Any], match: str | None, lag: str | None) -> None:
    identity = context["identity"]
    customer_id = Text(context.get("customer") or "fragment", style="bold")
    OUT.print(customer_id, shown(f" {identity['level']}, by {identity.get('strongest')}   match {match}   lag {lag} s"))
    OUT.print(
        table(
            ("identifier", "value", "grade", "role", "first", "last"),
            [
                (one["kind"], one["value"], one["grade"], one["role"], _second(one["first"]), _second(one["last"]))
                for one in context["identifiers"]
            ],
        )
    )
    traits = context["traits"].items()
    OUT.print(
        table(
            ("trait", "value", "source", "time", "via"),
            [
                (name, _text(trait["value"]), trait["source"], _second(trait["time"]), trait.get("via"))
                for name, trait in traits
            ],
        )
    )
    interactions = context["interactions"]
    OUT.print(
        table(
            ("recent", "channel", "type", "summary", "via"),
            [
                (_second(one["time"]), one["channel"], one["type"], one.get("summary"), one.get("via"))
                for one in interactions["recent"]
            ],
        )
    )
    channels = ", ".join(f"{name} {tally['interactions']}" for name, tally in context["channels"].items())
    OUT.print(shown(f"{interactions['count']} interactions: {channels}. The whole document: --json"))


def _second(time: str | None) -> str:
    """The time, without the digits of a second that people don't read."""
    return "" if time is None else f"{time[:19]}Z"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""`config check --sample`: what a mapping makes of a sample, without a broker and without a registration."""

import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.markup import escape
from rich.text import Text

from connectors.collect.mapping_check import CheckedRecord, CheckReport, Judges, MappingCheck
from connectors.collect.samples import format_of, read_sample, verify_time
from goldenthread.commands.output import OUT, print_json
from goldenthread.commands.tables import shown
from goldenthread.parts import Parts, make_parts
from goldenthread.settings import Settings, load_settings
from schemas.clock import SystemClock
from schemas.enrichment.enrichment import Enrichment
from schemas.errors import EXIT_PROBLEMS_FOUND, SettingError, UsageError
from schemas.keys import Keyring
from schemas.mapping import Mapping, load_mapping

_SECRET_LENGTH_BYTES: Final = 32
_UNREAD_TOLD_MAX: Final = 12
_NAME_WIDTH: Final = 10


class SampleOptions(msgspec.Struct, frozen=True):
    """What the command line says of the sample."""

    sample: Path
    written: str | None
    source: str | None
    channel: str | None
    headers: tuple[str, ...]
    query: tuple[str, ...]
    shown_max: int


def check_sample(mappings: list[Path], options: SampleOptions, json: bool) -> None:
    """Print what comes of the sample; exit 1 where a record would be dead, or nothing comes of it.

    Raises:
        UsageError: the options do not fit together, or the sample can't be read.
        SettingError: a file is wrong, or the sample does not fit the mapping.
    """
    settings = load_settings()
    # Fragment ids are of no matter here, so no secret is needed, and none is made.
    parts = make_parts(settings, "check", Keyring(secrets.token_bytes(_SECRET_LENGTH_BYTES)))
    mapping = _mapping(mappings, options, parts)
    written = format_of(options.sample, options.written)
    verify_time(mapping, written)
    check = MappingCheck(
        mapping,
        _judges(parts, settings, options.channel),
        request={"method": "POST", "headers": _pairs(options.headers, ":"), "query": _pairs(options.query, "=")},
        received=written != "csv",
        shown_max=options.shown_max,
    )
    report = check.run(read_sample(options.sample, written, mapping))
    if json:
        print_json(report)
    else:
        _tell(report)
    if not report.good:
        sys.exit(EXIT_PROBLEMS_FOUND)


def _mapping(mappings: list[Path], options: SampleOptions, parts: Parts) -> Mapping:
    if len(mappings) == 1 and options.source is None:
        return load_mapping(mappings[0])
    if mappings or options.source is None:
        raise UsageError("--sample goes with one mapping: either --mapping FILE, or --source NAME of sources.yaml")
    mapping = parts.mappings.for_source(options.source)
    if mapping is None:
        raise UsageError(f"source {options.source!r} is not registered with a mapping (GOLDENTHREAD_SOURCES_FILE)")
    return mapping


def _judges(parts: Parts, settings: Settings, channel: str | None) -> Judges:
    if channel is not None and channel not in parts.catalogue.channels:
        raise SettingError(f"channel {channel!r} is none of {', '.join(parts.catalogue.channels)}")
    return Judges(
        catalogue=parts.catalogue,
        policy=parts.policy,
        registry=parts.registry,
        cleaner=parts.cleaner,
        enrichment=Enrichment(settings.enrichers, phone_region=parts.policy.phone_region),
        now_us=SystemClock().now_us(),
        channel=channel,
    )


def _pairs(given: Iterable[str], separator: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, found, value = text.partition(separator)
        if not found or not name.strip():
            raise UsageError(f"{text!r} is no NAME{separator}VALUE")
        pairs[name.strip().lower()] = value.strip()
    return pairs


def _tell(report: CheckReport) -> None:
    for record in report.shown:
        _tell_record(record)
    if report.records > len(report.shown):
        OUT.print(f"... and {report.records - len(report.shown):,} more (--limit)\n")
    codes = "".join(f", {code} {count:,}" for code, count in sorted(report.codes.items()))
    OUT.print(
        f"[bold]{escape(report.source)}[/]: {report.records:,} records, {report.events:,} events, "
        f"{report.dead:,} dead{codes}, {report.skipped:,} skipped"
    )
    for place in report.silent:
        OUT.print(shown(f"- {place} yields nothing for any record"))
    if report.unread:
        named = ", ".join(report.unread[:_UNREAD_TOLD_MAX])
        more = ", ..." if len(report.unread) > _UNREAD_TOLD_MAX else ""
        OUT.print(shown(f"- no expression reads {named}{more}"))
    if not report.registered:
        OUT.print(shown(f"- {report.source} is not registered in sources.yaml: rank 0, links are claimed"))
    for warning in report.warnings:
        OUT.print(shown(f"! {warning}"))


def _tell_record(record: CheckedRecord) -> None:
    OUT.print(f"[bold]record {record.place}: {record.outcome}[/]")
    for name, value in _lines(record):
        OUT.print(Text(f"  {name:<{_NAME_WIDTH}} ", style="dim") + shown(value))
    OUT.print()


def _lines(record: CheckedRecord) -> Iterable[tuple[str, str]]:
    if record.code is not None:
        yield "code", record.code + (f" at {record.pointer}" if record.pointer else "")
        yield "why", record.message or ""
    event: dict[str, Any] = record.event or {}
    if event:
        assigned = " (assigned: when it was received)" if event.get("timeassigned") else ""
        yield "event", f"{event['type']} {event['id']}"
        yield "time", f"{event['time']}{assigned}"
    if record.outcome != "event":
        if event:
            yield "data", _json(event["data"])
        return
    yield "channel", record.channel or "none yet"
    for identifier in record.identifiers:
        routes = ", finds the customer" if identifier.kind == record.routed_by else ""
        kept = "dropped: it identifies nobody" if identifier.normalised is None else f"{identifier.normalised}{routes}"
        yield identifier.kind, f"{identifier.given} -> {kept}"
    yield "evidence", f"links of grade {record.evidence}" if record.evidence else "none: it links no two identifiers"
    if record.order:
        others = ", ".join(f"{other.kind} {other.normalised or '(not shown)'}" for other in record.others)
        yield "order", f"{record.order}: its strongest identifier and {others}"
    if record.traits:
        yield "traits", _json(record.traits)
    if record.enriched:
        yield "enriched", _json(record.enriched)
    own = {name: value for name, value in event["data"].items() if name not in {"identifiers", "traits"}}
    if own:
        yield "data", _json(own)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

"""Files of a shop's orders, their mapping, and their import into memory."""

import json
from pathlib import Path

from connectors.collect.files import Destination, ImportResult, import_file
from schemas.cleaning import Cleaner
from schemas.clock import ManualClock
from schemas.event import read_record
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.mapping import Mapping
from schemas.sources import SourceRegistry
from schemas.times import parse_time
from schemas.topics import Catalogue
from streams.producer import Record, RecordProducer
from streams.recording_producer import RecordingProducer

MAPPING = """
version: 1
source: shop
input: {format: FORMAT, encoding: ENCODING, delimiter: ";"}
event:
  id: id
  type: "'order.placed'"
  time: iso(at)
  channel: channel
  data:
    identifiers: {crm: customer}
    note: note
"""
HEADER = "id;at;channel;customer;note"
CATALOGUE = Catalogue()
DEAD = CATALOGUE.name("dead")


def mapping(layout: str = "csv", encoding: str = "utf-8") -> Mapping:
    """The mapping of the orders."""
    return Mapping(MAPPING.replace("FORMAT", layout).replace("ENCODING", encoding).encode(), "shop.yaml")


def destination(producer: RecordProducer, channel: str | None = None, catalogue: Catalogue = CATALOGUE) -> Destination:
    """Where an import writes to."""
    cleaner = Cleaner(
        policy=DEFAULT_POLICY,
        registry=SourceRegistry(),
        keyring=Keyring(b"a secret of enough bytes"),
        channels=catalogue.channels,
    )
    clock = ManualClock(parse_time("2026-11-22T10:00:00Z"))
    return Destination(producer, catalogue, cleaner, clock, channel)


def row(number: int, note: str = "", customer: str = "8812") -> str:
    """One order."""
    return f"{number};2026-01-01T00:00:00Z;web;{customer};{note}"


def write(folder: Path, *lines: str, encoding: str = "utf-8", end: str = "\r\n") -> Path:
    """A file of these lines."""
    path = folder / "orders.csv"
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def run(
    path: Path,
    producer: RecordingProducer | None = None,
    *,
    given: Mapping | None = None,
    restart: bool = False,
    channel: str | None = None,
) -> tuple[ImportResult, RecordingProducer]:
    """Import the file; what came of it, and what was written."""
    producer = producer or RecordingProducer(CATALOGUE)
    result = import_file(
        path,
        mapping=given or mapping(),
        destination=destination(producer, channel),
        progress_folder=path.parent / "imports",
        restart=restart,
    )
    return result, producer


def ids(producer: RecordingProducer) -> list[str]:
    """Ids of the events that were written."""
    return [read_record(each.value, each.headers).id for each in producer.records if each.topic != DEAD]


def notes(producer: RecordingProducer) -> list[str]:
    """Notes of the events that were written."""
    events = [read_record(each.value, each.headers) for each in producer.records if each.topic != DEAD]
    return [json.loads(event.data).get("note", "") for event in events]


def dead(producer: RecordingProducer) -> list[Record]:
    """Dead letters that were written."""
    return [each for each in producer.records if each.topic == DEAD]

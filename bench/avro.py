"""What Avro costs: microseconds and bytes a record, beside the JSON that the engines write anyway.

The contexts are those that must come out of generated events; each is written and read by itself, as at a checkpoint
and by the lookup. Each figure is the least of a number of rounds, in time of the processor.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bench.generator import SOURCES_FILE, Plan, generate, load_sources
from bench.oracle import expect
from schemas.avro.framing import FRAME_SIZE_BYTES
from schemas.avro.public_schemas import public_schemas
from schemas.avro.reading import AvroReader
from schemas.avro.writing import AvroWriter
from schemas.document import Interaction
from schemas.topics import Topic

_ROUNDS: Final = 3
_CUSTOMER: Final = "0" * 32


@dataclass(frozen=True, slots=True)
class AvroCost:
    """What the records of one topic take, on average."""

    topic: str
    records: int
    json_bytes: float
    avro_bytes: float
    write_microseconds: float
    read_microseconds: float


def measure_avro(plan: Plan) -> Iterator[AvroCost]:
    """The cost of both large public topics over the plan's events."""
    events = list(generate(plan))
    expectation = expect(events, load_sources(SOURCES_FILE))
    contexts = [_context(home.document) for one in expectation.customers for home in one.homes.values()]
    yield _cost(Topic.CONTEXT, contexts)
    yield _cost(Topic.INTERACTIONS, [_interaction(event) for event in events])


def _cost(topic: Topic, documents: Sequence[bytes]) -> AvroCost:
    public = public_schemas()[topic]
    writer, reader = AvroWriter(public), AvroReader(public.text)
    bodies = [writer.body(document) for document in documents]
    return AvroCost(
        topic=str(topic),
        records=len(documents),
        json_bytes=sum(map(len, documents)) / len(documents),
        avro_bytes=sum(map(len, bodies)) / len(bodies) + FRAME_SIZE_BYTES,
        write_microseconds=_least(writer.body, documents),
        read_microseconds=_least(reader.json, bodies),
    )


def _context(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"customer": _CUSTOMER, "version": 7, "settling": False, **document})


def _interaction(event: Mapping[str, Any]) -> bytes:
    data = event["data"]
    return msgspec.json.encode(
        Interaction(
            event["id"], event["source"], event["type"], event["time"], event["channel"], _CUSTOMER, _CUSTOMER, "email",
            "claimed", data.get("summary"), data.get("direction"), None, msgspec.Raw(msgspec.json.encode(data)),
            event["time"],
        )
    )  # fmt: skip


def _least(step: Callable[[bytes], bytes], values: Sequence[bytes]) -> float:
    least = float("inf")
    gc.disable()
    try:
        for _ in range(_ROUNDS):
            started = time.process_time()
            for value in values:
                step(value)
            least = min(least, time.process_time() - started)
    finally:
        gc.enable()
    return least / len(values) * 1e6

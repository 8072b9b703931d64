"""What a reader of a running system sees against what the oracle says."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from bench.compare import compare
from bench.generator import load_sources
from bench.oracle import expect
from tests.end_to_end.players import Event
from tests.end_to_end.public_topics import DeadTopic, tail
from tests.running_system import RunningSystem
from tests.waiting import SYSTEM_DEADLINE_S


def assert_exact(system: RunningSystem, stream: Sequence[Event], besides: Sequence[Event] = ()) -> None:
    """Every customer and field as the oracle says, each event once on the enriched stream, versions that only grow.

    Events `besides` the stream are of customers that the oracle is not asked for.
    """
    report = asyncio.run(compare(expect(stream, load_sources()), system.lookup_url, SYSTEM_DEADLINE_S))
    assert report.agrees, "\n".join(report.lines())
    assert DeadTopic(system, from_beginning=True).new() == []
    seen = Counter((record["value"]["source"], record["value"]["id"]) for record in tail(system, "interactions"))
    assert seen == Counter({(event["source"], event["id"]): 1 for event in (*stream, *besides)})
    versions: dict[str, int] = {}
    for record in tail(system, "context"):
        if record["value"] is not None:
            assert record["value"]["version"] > versions.get(record["key"], 0)
            versions[record["key"]] = record["value"]["version"]

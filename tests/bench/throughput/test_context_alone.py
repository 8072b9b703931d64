"""The product's context stage alone, over a small backlog on a real broker: the check agrees."""

from pathlib import Path

import pytest

from bench.job.events import Plan
from bench.throughput.engines import ContextEngine
from bench.throughput.loads import Load
from bench.throughput.run import measure_run
from bench.throughput.site import Site
from streams.broker.configuration import TOPICS_DIRECTORY
from streams.broker.local_broker import LocalBroker

EVENTS = 12_000


@pytest.fixture
def site(local_broker: LocalBroker, tmp_path: Path) -> Site:
    topics_dir = local_broker.options.data_dir / TOPICS_DIRECTORY
    return Site(local_broker.bootstrap_servers, local_broker.pid, topics_dir, tmp_path)


@pytest.mark.kafka
def test_the_context_stage_alone_does_the_job(site: Site) -> None:
    told: list[str] = []
    load = Load(Plan(events=EVENTS, customers=200))
    run = measure_run(ContextEngine("context test", 100), load, site, 1, tell=told.append)
    assert run.verdict.agrees, run.verdict.shown
    assert run.exit_codes == (0,)
    assert (run.events, run.verdict.customers) == (EVENTS, 200)
    assert run.laid > EVENTS
    assert run.events_per_second > 0
    assert run.engine_resident_mib > 20
    assert {"context", "interactions", "context.state"} <= run.bytes_out_per_event.keys()
    assert "routed" not in run.bytes_out_per_event
    assert len(told) == 1
    # Nothing of it is left behind.
    assert not list(site.folder.iterdir())

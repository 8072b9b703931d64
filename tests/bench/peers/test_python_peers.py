"""The peers in Python do the job: run as the benchmark runs them, against the session's broker."""

from pathlib import Path

import pytest

from bench.job.check import judge
from bench.job.events import Plan
from bench.job.feed import lay
from bench.job.outputs import read_documents
from bench.job.topics import PARTITIONS
from bench.peers.environment import python_environment
from bench.peers.peer import Guarantee, Peer
from bench.throughput.engines import PeerEngine
from bench.throughput.loads import Load
from bench.throughput.passage import forget, make_place, pass_through
from bench.throughput.site import Site
from schemas.errors import RestartNeeded
from streams.broker.configuration import TOPICS_DIRECTORY
from streams.broker.local_broker import LocalBroker

COMMIT_INTERVAL_MS = 500


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("name", "guarantee"),
    [
        ("quix", "exactly-once"),
        ("faust_table", "at-least-once"),
        # The same programs with one setting changed: there is no need to wait for these each time.
        pytest.param("quix", "at-least-once", marks=pytest.mark.drill),
        pytest.param("faust_table", "exactly-once", marks=pytest.mark.drill),
    ],
)
def test_a_peer_does_the_job_and_ends_in_good_order(
    local_broker: LocalBroker, tmp_path: Path, name: str, guarantee: Guarantee
) -> None:
    try:
        python_environment(name)
    except RestartNeeded as missing:
        pytest.skip(f"the packages of {name} can't be fetched here: {missing}")
    site = Site(
        local_broker.bootstrap_servers, local_broker.pid, local_broker.options.data_dir / TOPICS_DIRECTORY, tmp_path
    )
    load = Load(Plan(events=1_500, customers=60))
    engine = PeerEngine(f"{name}-{guarantee}", Peer(name, COMMIT_INTERVAL_MS, guarantee))
    place = make_place(engine, site, 0)
    try:
        engine.prepare(place)
        laid = lay(site.bootstrap_servers, engine.backlog(load, place), PARTITIONS)
        assert laid > load.plan.events
        passage = pass_through(engine, place, load.plan.events)
        read_documents(site.bootstrap_servers, place.prefix, passage.outputs)
    finally:
        forget(place)
    # Nothing disturbs it, so nothing comes twice, whatever it promises.
    verdict = judge(load.expectation, passage.outputs, exactly_once=True)
    assert verdict.agrees, verdict.shown
    assert passage.exit_codes == (0,)

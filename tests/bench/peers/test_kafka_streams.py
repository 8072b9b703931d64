"""Kafka Streams does the job, and its program is compiled by either compiler and told of where it can't be."""

from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from bench.job.check import Verdict, judge
from bench.job.events import Plan
from bench.job.feed import lay
from bench.job.outputs import Ends, read_documents
from bench.job.topics import INTERACTIONS, PARTITIONS
from bench.peers.environment import bench_cache_dir
from bench.peers.kafka_streams import building, command
from bench.peers.kafka_streams.command import Way
from bench.peers.peer import Guarantee, Peer
from bench.throughput.engines import PeerEngine, Place
from bench.throughput.loads import Load
from bench.throughput.passage import forget, make_place, pass_through
from bench.throughput.site import Site
from schemas.errors import RestartNeeded
from streams.broker.configuration import TOPICS_DIRECTORY
from streams.broker.local_broker import LocalBroker
from tests.waiting import wait_until

COMMIT_INTERVAL_MS = 200
WARM_UP_EVENTS = 200


@pytest.fixture(scope="module")
def programs() -> dict[Way, list[str]]:
    """The program either way, with a warm-up that only shows that it works."""
    try:
        return {way: command.command(way, warm_up_events=WARM_UP_EVENTS) for way in get_args(Way)}
    except RestartNeeded as missing:
        pytest.skip(f"Kafka Streams can't be fetched here: {missing}")


@pytest.fixture
def site(
    local_broker: LocalBroker, programs: dict[Way, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Site:
    monkeypatch.setattr(command, "command", programs.__getitem__)
    topics_dir = local_broker.options.data_dir / TOPICS_DIRECTORY
    return Site(local_broker.bootstrap_servers, local_broker.pid, topics_dir, tmp_path)


def prepared(site: Site, way: Way, guarantee: Guarantee, load: Load) -> tuple[PeerEngine, Place]:
    engine = PeerEngine(f"streams-{way}-{guarantee}", Peer("kafka_streams", COMMIT_INTERVAL_MS, guarantee, way))
    place = make_place(engine, site, 0)
    engine.prepare(place)
    assert lay(site.bootstrap_servers, engine.backlog(load, place), PARTITIONS) > load.plan.events
    return engine, place


def judged(site: Site, engine: PeerEngine, place: Place, load: Load) -> Verdict:
    passage = pass_through(engine, place, load.plan.events)
    read_documents(site.bootstrap_servers, place.prefix, passage.outputs)
    assert passage.exit_codes == (0,)
    return judge(load.expectation, passage.outputs, exactly_once=True)


@pytest.mark.kafka
@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize(
    "guarantee",
    ["exactly-once", pytest.param("at-least-once", marks=pytest.mark.drill)],
)
def test_it_does_the_job_and_ends_in_good_order(site: Site, way: Way, guarantee: Guarantee) -> None:
    load = Load(Plan(events=2_000, customers=80))
    engine, place = prepared(site, way, guarantee, load)
    try:
        verdict = judged(site, engine, place, load)
    finally:
        forget(place)
    assert verdict.agrees, verdict.shown


@pytest.mark.kafka
@pytest.mark.drill
@pytest.mark.parametrize("way", get_args(Way))
def test_it_does_the_job_exactly_once_though_it_is_killed_in_the_middle(site: Site, way: Way) -> None:
    load = Load(Plan(events=60_000, customers=2_000))
    engine, place = prepared(site, way, "exactly-once", load)
    ends = Ends(site.bootstrap_servers, place.prefix)
    try:
        # Its context ends with a SIGKILL.
        with engine.processes(place)[0]:
            wait_until(lambda: sum(ends.committed(INTERACTIONS)) > load.plan.events // 4, "a quarter was written")
        assert sum(ends.committed(INTERACTIONS)) < load.plan.events
        verdict = judged(site, engine, place, load)
    finally:
        ends.close()
        forget(place)
    assert verdict.agrees, verdict.shown


@pytest.fixture
def own_cache(programs: dict[Way, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the jars that were fetched, and no classes."""
    assert programs
    for name in ("kafka_streams-jars", "kafka_streams-compiler"):
        (bench_cache_dir() / name).mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(bench_cache_dir() / name)
    monkeypatch.setattr(building, "bench_cache_dir", lambda: tmp_path)
    return tmp_path


def test_it_is_compiled_without_a_jdk_and_once_only(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_found_javac", lambda: None)
    told: list[str] = []
    try:
        classes = building.build(told.append)[0]
    except RestartNeeded as missing:
        pytest.skip(f"the compiler can't be fetched here: {missing}")
    assert classes.parent == own_cache
    assert (classes / "customers" / "Main.class").exists()
    assert [line for line in told if "compiling" in line]
    told.clear()
    assert building.build(told.append)[0] == classes
    assert told == []


def test_what_does_not_compile_is_told_and_not_taken_for_done(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = own_cache / "java"
    sources.mkdir()
    (sources / "Main.java").write_text("class Main { int answer() { return missing; } }\n")
    monkeypatch.setattr(building, "SOURCES", sources)
    for _ in range(2):
        with pytest.raises(RestartNeeded, match="missing"):
            building.build(lambda _line: None)


def test_changed_sources_have_classes_of_their_own(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_compile", lambda _compiler, _jars, classes: classes.mkdir(exist_ok=True))
    sources = own_cache / "java"
    sources.mkdir()
    monkeypatch.setattr(building, "SOURCES", sources)
    build = partial(building.build, lambda _line: None, javac=Path("javac"))
    (sources / "Main.java").write_text("class Main {}\n")
    first = build()[0]
    (sources / "Main.java").write_text("class Main { }\n")
    assert build()[0] != first

"""What is measured: peers, the context stage alone, and the whole pipeline, each as topics, a backlog and processes."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from bench.job.feed import Laid
from bench.job.forms import SECRET
from bench.job.persons import CHANNELS, SOURCES_FILE
from bench.job.reference import Expectation
from bench.job.topics import INTERACTIONS, PARTITIONS, make_job_topics, stamp_appends
from bench.own_system import free_ports
from bench.peers.peer import Peer, without_settings
from bench.throughput.loads import Load
from bench.throughput.process import EngineProcess
from bench.throughput.site import Site
from schemas.topics import Catalogue
from streams.broker.options import LOOPBACK
from streams.kafka import KafkaOptions
from streams.topics import create_topics, record_new_partitions

EXACTLY_ONCE: Final = "exactly-once"


class Place(msgspec.Struct, frozen=True):
    """A run's own names and folder; nothing of one run is another's."""

    site: Site
    #: The name of the application; the prefix of topics is it with a dot.
    application: str
    #: State and logs.
    folder: Path

    @property
    def prefix(self) -> str:
        """What the names of the run's topics start with."""
        return f"{self.application}."

    @property
    def state(self) -> Path:
        """Where its engine keeps what it knows."""
        return self.folder / "state"


class Engine(Protocol):
    """One way to do the job."""

    @property
    def name(self) -> str:
        """As the report calls it."""

    @property
    def is_exactly_once(self) -> bool:
        """Whether it promises that no output comes twice."""

    @property
    def is_pipeline(self) -> bool:
        """Whether it starts from raw events and learns who is who."""

    def prepare(self, place: Place) -> None:
        """Make its topics."""

    def backlog(self, load: Load, place: Place) -> Iterable[Laid]:
        """What is laid before it starts."""

    def processes(self, place: Place) -> list[EngineProcess]:
        """Its processes, not started yet."""

    def settle(self, place: Place) -> None:
        """What is to be done once all of them are ready."""

    def expectation(self, load: Load) -> Expectation:
        """What must come of the load."""

    def event_size_bytes(self, load: Load) -> float:
        """Of an event as its users send it."""


class PeerEngine(msgspec.Struct, frozen=True):
    """A peer's program."""

    name: str
    peer: Peer
    is_pipeline: bool = False

    @property
    def is_exactly_once(self) -> bool:
        """As it is told to run."""
        return self.peer.guarantee == EXACTLY_ONCE

    def prepare(self, place: Place) -> None:
        """Make the job's topics."""
        make_job_topics(place.site.bootstrap_servers, place.prefix)

    def backlog(self, load: Load, place: Place) -> Iterable[Laid]:
        """The job's events."""
        return load.job(place.prefix)

    def processes(self, place: Place) -> list[EngineProcess]:
        """One."""
        command = self.peer.command(
            bootstrap_servers=place.site.bootstrap_servers,
            prefix=place.prefix,
            application=place.application,
            state_dir=place.state,
        )
        return [EngineProcess(command, self.peer.environment(), place.folder / "engine.log")]

    def settle(self, place: Place) -> None:
        """Nothing is to be done."""

    def expectation(self, load: Load) -> Expectation:
        """The job's."""
        return load.expectation

    def event_size_bytes(self, load: Load) -> float:
        """The job's."""
        return load.job_event_size_bytes


class ContextEngine(msgspec.Struct, frozen=True):
    """The product's context stage alone, on events that intake has routed."""

    name: str
    checkpoint_interval_ms: int
    is_pipeline: bool = False
    is_exactly_once: bool = True

    def prepare(self, place: Place) -> None:
        """Make the installation's topics; the broker stamps its interactions, as it does everybody's."""
        make_topics(place)
        self.settle(place)

    def backlog(self, load: Load, place: Place) -> Iterable[Laid]:
        """The same events, routed."""
        return load.routed(place.prefix)

    def processes(self, place: Place) -> list[EngineProcess]:
        """One."""
        environment = product_environment(place, {"CHECKPOINT_INTERVAL_MS": str(self.checkpoint_interval_ms)})
        command = [sys.executable, "-m", "goldenthread.context_alone"]
        return [EngineProcess(command, environment, place.folder / "engine.log")]

    def settle(self, place: Place) -> None:
        """Have the broker stamp the interactions."""
        stamp_appends(place.site.bootstrap_servers, place.prefix + INTERACTIONS)

    def expectation(self, load: Load) -> Expectation:
        """The job's."""
        return load.expectation

    def event_size_bytes(self, load: Load) -> float:
        """The job's."""
        return load.job_event_size_bytes


class PipelineEngine(msgspec.Struct, frozen=True):
    """The product's worker, from raw events to everything."""

    name: str
    workers: int = 1
    settings: dict[str, str] = {}
    is_pipeline: bool = True
    is_exactly_once: bool = True

    def prepare(self, place: Place) -> None:
        """Make the installation's topics; a worker refuses other time stamps than its own, so `settle` sets them."""
        make_topics(place)

    def backlog(self, load: Load, place: Place) -> Iterable[Laid]:
        """The same events, raw."""
        return load.raw(place.prefix)

    def processes(self, place: Place) -> list[EngineProcess]:
        """As many workers as it has."""
        port = free_ports(1)[0]
        found = []
        for index in range(self.workers):
            environment = product_environment(place, self.settings | {"WORKER_PORT": str(port)})
            command = [sys.executable, "-m", "goldenthread", "worker", "--index", str(index)]
            ready_url = f"http://{LOOPBACK}:{port + index}/readyz"
            found.append(EngineProcess(command, environment, place.folder / f"worker-{index}.log", ready_url))
        return found

    def settle(self, place: Place) -> None:
        """Have the broker stamp the interactions."""
        stamp_appends(place.site.bootstrap_servers, place.prefix + INTERACTIONS)

    def expectation(self, load: Load) -> Expectation:
        """Who is who, too."""
        return load.pipeline_expectation

    def event_size_bytes(self, load: Load) -> float:
        """As channels send them."""
        return load.raw_event_size_bytes


def make_topics(place: Place) -> None:
    """The topics of an installation under the run's prefix, and its group's first offsets, as `init` makes them."""
    kafka = KafkaOptions(place.site.bootstrap_servers)
    catalogue = Catalogue(place.prefix, PARTITIONS, tuple(CHANNELS.split(",")))
    create_topics(kafka, catalogue)
    record_new_partitions(kafka, place.application, catalogue.read_by_workers())


def product_environment(place: Place, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of the product: its defaults, but for names, places and what is given."""
    given = {
        "TOPIC_PREFIX": place.prefix,
        "APPLICATION": place.application,
        "PARTITIONS": str(PARTITIONS),
        "DATA_DIR": str(place.state),
        "SECRET": SECRET,
        "SOURCES_FILE": str(SOURCES_FILE),
        "CHANNELS": CHANNELS,
        **settings,
    }
    named = {f"GOLDENTHREAD_{name}": value for name, value in given.items()}
    return without_settings(os.environ) | named | {"KAFKA_BOOTSTRAP_SERVERS": place.site.bootstrap_servers}

"""What all partitions of one stateful stage have in common."""

from dataclasses import dataclass, field
from pathlib import Path

from schemas.topics import Catalogue
from state.held_rows import HELD_SIZE_BYTES_MAX
from state.native.loading import Library
from state.store_cache import StoreCache
from streams.faults import FaultHook, no_fault
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.wire import Wire


@dataclass(frozen=True)
class CheckpointOptions:
    """One stage. Topics are names of the catalogue."""

    kafka: KafkaOptions
    catalogue: Catalogue
    application: str
    stage: str
    input_topic: str
    changelog_topic: str
    data_dir: Path
    secret_fingerprint: str
    metrics: Metrics
    cache: StoreCache
    fault: FaultHook = no_fault
    #: The form in which outputs go out.
    wire: Wire = field(default_factory=Wire)
    #: What writes whole tables of a store that is filled; None where there is none.
    library: Library | None = None
    #: What rows of the last seconds may take of one partition, before its store gets them.
    held_size_bytes_max: int = HELD_SIZE_BYTES_MAX

    @property
    def input_name(self) -> str:
        """The full name of the topic that is read."""
        return self.catalogue.name(self.input_topic)

    @property
    def changelog_name(self) -> str:
        """The full name of the topic that holds the state."""
        return self.catalogue.name(self.changelog_topic)

    def store_path(self, partition: int) -> Path:
        """The folder of a partition's store."""
        return self.data_dir / f"{self.stage}-{partition}"

    def transactional_id(self, partition: int) -> str:
        """Whoever initialises a producer of this name fences all others of it."""
        return transactional_id(self.application, self.stage, partition)


def transactional_id(application: str, stage: str, partition: int) -> str:
    """Under which a stage's partition is written, by a worker or by an operator's command."""
    return f"{application}.{stage}.{partition}"

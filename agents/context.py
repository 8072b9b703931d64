"""The context agent: routed messages into fragments, fragments into contexts. The engine is `state.context.engine`."""

from typing import Final

from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.topics import RAW, Catalogue, Topic
from state.context.engine import ContextEngine
from state.context.entries import CACHED_SIZE_BYTES_MAX
from state.engine import Engine, StoredRows
from state.join import JoinRules
from state.native.loading import Library
from streams.metrics import Metrics
from streams.partition import EngineFactory

STAGE: Final = "context"
INPUT: Final = Topic.ROUTED
CHANGELOG: Final = Topic.STATE
#: What rows of the last seconds may take of one partition, before its store gets them. A customer's row changes at each
#: checkpoint with events: held until thousands of customers came again, most of these rows are never written. They are
#: the same bytes as those that the engine keeps between checkpoints, as long as it does.
HELD_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
#: What becomes of events, besides dead letters, and which messages of ownership come between them.
OUTCOMES: Final = ("applied", "duplicate", "skipped", "own", "add", "drop", "snapshot")


def context_engines(
    *,
    catalogue: Catalogue,
    keyring: Keyring,
    policy: Policy,
    trusted_traits: frozenset[str],
    horizon_days: int | None,
    cached_rows_max: int,
    cached_size_bytes_max: int = CACHED_SIZE_BYTES_MAX,
    metrics: Metrics | None = None,
    first_policy: Policy | None = None,
    library: Library | None = None,
) -> EngineFactory:
    """What makes the engine of each partition of `routed`; `first_policy` is the installation's first one.

    With `library` events are folded by it wherever it can; without it, in Python.
    """
    rules = JoinRules(policy, trusted_traits)

    def make(rows: StoredRows, partition: int, era: int) -> Engine:
        return ContextEngine(
            rows,
            keyring.unseal,
            rules,
            era=era,
            horizon_days=horizon_days,
            origin_topic=catalogue.name(INPUT),
            raw_prefix=catalogue.name(RAW),
            partition=partition,
            cached_rows_max=cached_rows_max,
            cached_size_bytes_max=cached_size_bytes_max,
            on_large=None if metrics is None else metrics.customer_members.observe,
            first_policy=first_policy,
            library=library,
        )

    return make

"""The identity agent: evidence into the partition of identifiers. The engine is `state.identity.engine`."""

from typing import Final

from schemas.identity_changes import ChangeName
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.topics import Catalogue, Topic
from state.engine import Engine, Rows
from state.identity.engine import IdentityEngine
from streams.metrics import Metrics
from streams.partition import EngineFactory

STAGE: Final = "identity"
INPUT: Final = Topic.EVIDENCE
CHANGELOG: Final = Topic.LINKS


#: What becomes of evidence, besides dead letters.
OUTCOMES: Final = ("applied", "duplicate")


def identity_engines(*, catalogue: Catalogue, keyring: Keyring, policy: Policy, metrics: Metrics) -> EngineFactory:
    """What makes the engine of the one partition of `identity.evidence`."""
    decided = {change: metrics.identity_changes.labels(change.value) for change in ChangeName}

    def make(rows: Rows, partition: int, era: int) -> Engine:
        return IdentityEngine(
            rows,
            keyring.unseal,
            policy,
            on_decision=lambda change: decided[change].inc(),
            origin_topic=catalogue.name(INPUT),
            partition=partition,
            era=era,
        )

    return make

"""The identity agent: evidence into the partition of identifiers. The engine is `state.identity.engine`."""

from typing import Final

from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.topics import Catalogue, Topic
from state.engine import Engine, Rows
from state.identity.engine import IdentityEngine
from streams.partition import EngineFactory

STAGE: Final = "identity"
INPUT: Final = Topic.EVIDENCE
CHANGELOG: Final = Topic.LINKS


def identity_engines(*, catalogue: Catalogue, keyring: Keyring, policy: Policy) -> EngineFactory:
    """What makes the engine of the one partition of `identity.evidence`."""

    def make(rows: Rows, partition: int, _era: int) -> Engine:
        return IdentityEngine(rows, keyring.unseal, policy, origin_topic=catalogue.name(INPUT), partition=partition)

    return make

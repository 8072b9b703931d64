"""The lookup's copy of what the real identity engine decided."""

from connectors.serve.explaining.partition import PartitionRows, PartitionView
from connectors.serve.projection import Projection
from schemas.clock import ManualClock
from schemas.identity_policy import DEFAULT_POLICY, Policy
from schemas.topics import Catalogue, Topic
from state.identity.explaining.walking import WalkBounds
from streams.bulk import Record
from tests.connectors.serve.support import TwoWayRows
from tests.state.identity.driving import KEYRING, DrivenEngine

_CATALOGUE = Catalogue(partitions=1)


def copied(engine: DrivenEngine) -> TwoWayRows:
    """All that the engine committed, as the lookup keeps it."""
    rows = TwoWayRows()
    projection = Projection(_CATALOGUE, ManualClock(0))
    topic = _CATALOGUE.name(Topic.LINKS)
    records = [Record(topic, 0, number, 0, key, value) for number, (key, value) in enumerate(engine.rows.scan(b""))]
    rows.write(projection(records, rows))
    return rows


def view_of(
    engine: DrivenEngine, policy: Policy = DEFAULT_POLICY, bounds: WalkBounds | None = None, **limits: int
) -> PartitionView:
    """The partition, for one question."""
    return PartitionView(PartitionRows(copied(engine), **limits), KEYRING.unseal, policy, bounds)

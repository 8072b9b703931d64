"""The identity agent: evidence into the partition of identifiers. The engine is `state.identity.engine`."""

from collections.abc import Iterable, Mapping
from typing import Final

from schemas.identity_changes import Cause, ChangeName, IdentityChange
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.policy_parts import decode_policy, require_same_routing
from schemas.topics import Catalogue, Topic
from state.engine import Engine, Rows
from state.identity.changes import Transition
from state.identity.engine import IdentityEngine
from state.identity.guard import Guard, Noticed, Thresholds
from state.identity.policy_in_force import read_policy_row
from streams.logs import logger
from streams.metrics import Metrics
from streams.partition import EngineFactory

log = logger(__name__)

STAGE: Final = "identity"
INPUT: Final = Topic.EVIDENCE
CHANGELOG: Final = Topic.LINKS


#: What becomes of evidence, besides dead letters.
OUTCOMES: Final = ("applied", "duplicate")


class DecisionMetrics:
    """Counts decisions, and has the guard look at them: a `state.identity.guard.Watch`."""

    def __init__(self, metrics: Metrics, thresholds: Thresholds) -> None:
        self._decided = {change: metrics.identity_changes.labels(change.value) for change in ChangeName}
        self._vetoes = metrics.identity_vetoes
        self._alarms = metrics.identity_alarms
        self._clusters = metrics.identity_cluster_identifiers
        self._guard = Guard(self._notice, thresholds)

    def __call__(
        self,
        cause: Cause,
        transitions: Iterable[Transition],
        changes: Iterable[IdentityChange],
        clusters: Mapping[str, int],
    ) -> None:
        """See `Watch`."""
        for change in changes:
            self._decided[change.change].inc()
            if change.change is ChangeName.VETOED:
                self._vetoes.labels(change.reason).inc()
        for size in clusters.values():
            self._clusters.observe(size)
        self._guard(cause, transitions, changes, clusters)

    def _notice(self, noticed: Noticed) -> None:
        self._alarms.labels(noticed.alarm.value).inc()
        log.warning(
            "identity: unusual growth",
            alarm=noticed.alarm.value,
            customer=noticed.customer,
            size=noticed.size,
            source=noticed.source,
            event_id=noticed.event,
        )


def identity_engines(
    *,
    catalogue: Catalogue,
    keyring: Keyring,
    policy: Policy,
    metrics: Metrics,
    thresholds: Thresholds | None = None,
) -> EngineFactory:
    """What makes the engine of the one partition of `identity.evidence`; `thresholds` are the guard's.

    Making one raises PolicyRefused where the rows have a policy that routes otherwise than the one that is given.
    """
    watch = DecisionMetrics(metrics, thresholds or Thresholds())

    def make(rows: Rows, partition: int, era: int) -> Engine:
        row = read_policy_row(rows)
        if row is not None:
            require_same_routing(policy, decode_policy(row.policy))
        return IdentityEngine(
            rows,
            keyring.unseal,
            policy,
            watch=watch,
            origin_topic=catalogue.name(INPUT),
            partition=partition,
            era=era,
        )

    return make

"""The lookup's copy as identity's rows: the partition and the policy in force, as they were at one moment.

What a question may read is bounded; what the bound left out is said.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Final

import msgspec

from connectors.serve.layout import link_key, record_row_key
from schemas.identity_policy import Grade, Policy
from schemas.normalise import unlinkable_patterns
from schemas.orders import Authority
from schemas.rows import (
    LINK_ROW_PREFIX,
    POLICY_ROW_KEY,
    REPAIR_ROW_KEY,
    EvidenceRow,
    PolicyRow,
    RowDecoder,
    evidence_key,
    split_evidence_key,
)
from state.context.rows import RECORDS, Record
from state.engine import Rows
from state.identity.cache_bounds import CacheBounds
from state.identity.evidence import Link
from state.identity.explaining.explainer import Explainer, Surroundings
from state.identity.explaining.results import Obstacle, Reason
from state.identity.explaining.walking import WalkBounds
from state.identity.link_rows import LinkRows, Unseal
from state.identity.shown_evidence import best_shown_links

#: Rows that one question reads: a fifth of a second's work, for a kiosk's cookie that is in the middle of everything.
ROWS_MAX: Final = 50_000
#: Rows of one identifier that one question reads at a time, the best grades first.
SCAN_ROWS_MAX: Final = 10_000
# What a question decodes is kept until it is answered, and no longer.
_CACHES: Final = CacheBounds()
_POLICY_ROW: Final = RowDecoder(PolicyRow)
_EVIDENCE_ROW: Final = RowDecoder(EvidenceRow)
#: Makes the rows of the copy as they are now, whatever comes in while they are read.
Freeze = Callable[[], AbstractContextManager[Rows]]


class PartitionRows:
    """Rows of `identity.links` in the lookup's copy, under the keys that they have there; so many, and no more."""

    def __init__(self, rows: Rows, rows_max: int = ROWS_MAX, scan_rows_max: int = SCAN_ROWS_MAX) -> None:
        #: The copy's own.
        self.copied = rows
        #: Whether a bound left anything unread.
        self.cut = False
        self._left = rows_max
        self._scan_rows_max = scan_rows_max

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        if key.startswith(LINK_ROW_PREFIX):
            return self.copied.get(link_key(key.removeprefix(LINK_ROW_PREFIX).decode()))
        return self.copied.get(key)

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        for number, row in enumerate(self.copied.scan(prefix, start)):
            if self._left <= 0 or number >= self._scan_rows_max:
                self.cut = True
                return
            self._left -= 1
            yield row


class PartitionView:
    """One state of the partition, for one question."""

    def __init__(self, rows: PartitionRows, unseal: Unseal, policy: Policy, bounds: WalkBounds | None = None) -> None:
        self.rows = rows
        self.links = LinkRows(rows, unseal, _CACHES)
        row = rows.get(POLICY_ROW_KEY)
        #: The policy in force, by which the partition is decided.
        self.policy = policy if row is None else _policy_of(_POLICY_ROW.decode(row).policy)
        #: Whether a large change is under way: places are not all decided by what holds.
        self.settling = rows.get(REPAIR_ROW_KEY) is not None
        self.explainer = Explainer(
            Surroundings(self.links, self.seen, self.policy, self.links.placement, self.uncounted), bounds
        )

    @property
    def cut(self) -> bool:
        """Whether a bound left anything unread."""
        return self.rows.cut or self.explainer.cut

    def record(self, fragment: str) -> Record | None:
        """What is kept of the fragment's events; None where none was routed by its identifier."""
        encoded = self.rows.get(record_row_key(fragment))
        return None if encoded is None else RECORDS.decode(encoded)

    def identifier(self, fragment: str) -> tuple[str, bytes] | None:
        """Kind and sealed value of a fragment's identifier, also where identity never met it; None if nobody did."""
        row = self.links.row(fragment)
        if row is not None:
            return row.kind, row.sealed
        record = self.record(fragment)
        return (record.kind, record.sealed) if record is not None and record.sealed else None

    def unlinkable(self, fragment: str) -> bool:
        """Whether the policy says that the identifier is nobody's."""
        met = self.identifier(fragment)
        if met is None or not self.policy.unlinkable:
            return False
        identifier = self.links.unseal(met[1], fragment)
        return unlinkable_patterns(self.policy).match(identifier.kind, identifier.value)

    def seen(self, fragment: str) -> Iterator[Link]:
        """The best that events showed of each of an identifier's pairs, whatever orders say."""
        return best_shown_links(self.rows, fragment)

    def sights(self, one: str, other: str) -> Iterator[tuple[int, str, EvidenceRow]]:
        """All that sources showed of a pair: grade, source and when; the best grade first."""
        for grade in sorted(Grade, reverse=True):
            for key, value in self.rows.scan(evidence_key(one, other, grade, "")):
                yield grade, split_evidence_key(key)[3], _EVIDENCE_ROW.decode(value)

    def uncounted(self, one: str, other: str) -> Obstacle | None:
        """Why what events showed of the pair does not count; None where it does."""
        ends = tuple(end for end in (one, other) if self.links.is_split(end))
        if ends:
            # An operator's own word about a pair holds still.
            required = any(link.neighbour == other for link in self.links.standing(one).requires)
            return None if required else Obstacle(Reason.SPLIT, ends=ends)
        if self.links.orders.any_withdrawn:
            sources = [source for _, source, _ in self.sights(one, other)]
            if sources and all(map(self.links.orders.withdrawn, sources)):
                return Obstacle(Reason.WITHDRAWN)
        return None


@lru_cache(maxsize=2)
def _policy_of(encoded: bytes) -> Policy:
    return msgspec.json.decode(encoded, type=Policy)


AUTHORITIES: Final = {Authority.EVIDENCE: "evidence", Authority.RECORD: "record", Authority.OPERATOR: "operator"}

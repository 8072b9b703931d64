"""What identity knows already, so that intake need not say it again: most events show pairs seen many times before."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from schemas.messages import Evidence, SealedIdentifier
from schemas.rows import EvidenceRow, RowDecoder, evidence_key, is_evidence_key
from schemas.times import sight_bucket
from state.engine import Rows
from streams.bulk import Record

#: A pair takes about 430 bytes in memory.
CACHED_PAIRS_MAX: Final = 50_000

_ROWS: Final = RowDecoder(EvidenceRow)
#: Least (time, id) of a pair from one source in one grade, and the newest 30-day bucket of sight.
_Sight = tuple[int, str, int]


def project_evidence(records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
    """The follower's projection of `identity.links`: evidence rows, nothing else."""
    return {record.key: record.value for record in records if record.key is not None and is_evidence_key(record.key)}


class KnownEvidence:
    """Tells which pairs of an event are news.

    A pair is skipped if this very pair, from this very source and in this grade, is known with a first sight that is
    not later and a newest bucket that is not earlier. That the two are connected another way is no reason: after that
    way is cut, the pair must still hold.
    """

    def __init__(self, rows: Rows, *, cached_pairs_max: int = CACHED_PAIRS_MAX) -> None:
        self._rows = rows
        self._cached_pairs_max = cached_pairs_max
        # What is cached may be older than the rows: then a pair is said once more, which changes nothing.
        self._cache: OrderedDict[bytes, _Sight] = OrderedDict()
        self._said: dict[bytes, _Sight] = {}

    def news(
        self, identifiers: Sequence[SealedIdentifier], *, source: str, event_id: str, time_us: int, grade: int
    ) -> Evidence | None:
        """The evidence to send for an event, or None when all of it is known."""
        bucket = sight_bucket(time_us)
        pairs = []
        for one, other in combinations(range(len(identifiers)), 2):
            key = evidence_key(identifiers[one].fragment, identifiers[other].fragment, grade, source)
            sight = self._sight(key)
            if sight is not None and (sight[0], sight[1]) <= (time_us, event_id) and bucket <= sight[2]:
                continue
            pairs.append((one, other))
            first = (time_us, event_id) if sight is None else min((time_us, event_id), (sight[0], sight[1]))
            self._said[key] = (*first, bucket if sight is None else max(bucket, sight[2]))
        if not pairs:
            return None
        return Evidence(source, event_id, time_us, grade, tuple(identifiers), tuple(pairs))

    def acknowledged(self) -> None:
        """All evidence given so far is in the log: it need not be said again by this process."""
        for key, sight in self._said.items():
            self._remember(key, sight)
        self._said.clear()

    def _sight(self, key: bytes) -> _Sight | None:
        sight = self._said.get(key) or self._cache.get(key)
        if sight is not None:
            return sight
        encoded = self._rows.get(key)
        if encoded is None:
            return None
        row = _ROWS.decode(encoded)
        sight = (row.first_time, row.first_id, row.last)
        self._remember(key, sight)
        return sight

    def _remember(self, key: bytes, sight: _Sight) -> None:
        self._cache[key] = sight
        self._cache.move_to_end(key)
        if len(self._cache) > self._cached_pairs_max:
            self._cache.popitem(last=False)

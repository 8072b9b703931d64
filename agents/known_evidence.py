"""What identity knows already, so that intake need not say it again: most events show pairs seen many times before."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, Protocol

import msgspec

from schemas.messages import Evidence, SealedIdentifier, decode_evidence, encode
from schemas.rows import (
    POLICY_ROW_KEY,
    EvidenceRow,
    RowDecoder,
    evidence_key,
    is_evidence_key,
    split_evidence_key,
)
from schemas.times import TIME_MAX_US, sight_bucket
from state.engine import Rows
from state.identity.bounded_cache import BoundedCache
from state.native.slice_answer import Evidence as Shown
from streams.bulk import Record

#: What is remembered of whole events, and of pairs that were said and may not have come back yet.
CACHED_SIZE_BYTES_MAX: Final = 24 * 1024 * 1024
_EVENTS_SHARE: Final = 0.75
# As measured: what an entry takes beside its key and the id of an event, with its place in the cache.
_ENTRY_SIZE_BYTES: Final = 470

_ROWS: Final = RowDecoder(EvidenceRow)
_GRADES: Final = "0123"


class ManyRows(Protocol):
    """Committed rows of which several are read at once."""

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The rows in the order of the keys, None where there is none."""


class _Sight(msgspec.Struct, frozen=True, gc=False):
    """Least (time, id) of a pair from one source in one grade, and the newest 30-day bucket of sight, as in its row.

    Of several pairs, the greatest of the first and the least of the last: what tells none of them anything.
    """

    first_time: int
    first_id: str
    last: int
    #: What it takes in the cache.
    size_bytes: int


def _size_bytes(sight: _Sight) -> int:
    return sight.size_bytes


def project_evidence(records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
    """The follower's projection of `identity.links`: evidence rows under the lesser of their ends, and the policy."""
    return {
        record.key: record.value
        for record in records
        if record.key is not None
        and (record.key == POLICY_ROW_KEY or (is_evidence_key(record.key) and _is_first_end(record.key)))
    }


class KnownEvidence:
    """Tells which pairs of an event are news.

    A pair is skipped if this very pair, from this very source and in this grade, is known with a first sight that is
    not later and a newest bucket that is not earlier. That the two are connected another way is no reason: after that
    way is cut, the pair must still hold.

    Most events show identifiers that were seen together before, by the same source and in the same grade: what all of
    their pairs have in common is kept as one entry, so that such an event costs one look-up. For another one each pair
    is looked for among those that were said a moment ago, then in the rows, all at once. What is remembered may be
    older than the rows: then a pair is said once more, which changes nothing.
    """

    def __init__(self, rows: ManyRows, *, cached_size_bytes_max: int = CACHED_SIZE_BYTES_MAX) -> None:
        self._rows = rows
        events_size_bytes = int(cached_size_bytes_max * _EVENTS_SHARE)
        self._events: BoundedCache[bytes, _Sight] = BoundedCache(events_size_bytes, _size_bytes)
        self._said: BoundedCache[bytes, _Sight] = BoundedCache(cached_size_bytes_max - events_size_bytes, _size_bytes)

    def say(self, shown: Sequence[Shown]) -> list[bytes]:
        """The messages to send for what events showed, in their order: as `news` says of each in turn, and encoded.

        Rows of pairs that nothing is remembered of are asked for all at once, and of an event with one pair, as most
        have, nothing is decoded.
        """
        events, said = self._events, self._said
        pairs = [each.pair for each in shown if each.pair and each.name not in events and each.pair not in said]
        rows = dict(zip(pairs, self._rows.get_many(pairs), strict=True)) if pairs else {}
        messages = [self._of_pair(each, rows) if each.pair else self._of_pairs(each) for each in shown]
        return [message for message in messages if message is not None]

    def _of_pair(self, shown: Shown, rows: Mapping[bytes, bytes | None]) -> bytes | None:
        time_us, pair = shown.time_us, shown.pair
        bucket = sight_bucket(time_us)
        common, now = self._events.get(shown.name), (time_us, shown.id.decode())
        if common is not None and _covers(common, now, bucket):
            return None
        sight: _Sight | EvidenceRow | None = self._said.get(pair)
        if sight is None:
            row = rows[pair] if pair in rows else self._rows.get_many([pair])[0]
            sight = None if row is None else _ROWS.decode(row)
        is_news = sight is None or not _covers(sight, now, bucket)
        if sight is None or is_news:
            sight = self._say(pair, sight, now, bucket)
        size_bytes = _ENTRY_SIZE_BYTES + len(shown.name) + len(sight.first_id)
        self._events.put(shown.name, _Sight(sight.first_time, sight.first_id, sight.last, size_bytes))
        return shown.message if is_news else None

    def _of_pairs(self, shown: Shown) -> bytes | None:
        given = decode_evidence(shown.message)
        evidence = self.news(
            given.identifiers, source=given.source, event_id=given.id, time_us=given.time, grade=given.grade
        )
        return None if evidence is None else encode(evidence)

    def news(
        self, identifiers: Sequence[SealedIdentifier], *, source: str, event_id: str, time_us: int, grade: int
    ) -> Evidence | None:
        """The evidence to send for an event, or None when all of it is known."""
        bucket, now = sight_bucket(time_us), (time_us, event_id)
        # Fragment ids have one length and a grade one digit, so that no two events have a name in common.
        name = "".join([*[identifier.fragment for identifier in identifiers], _GRADES[grade], source]).encode()
        common = self._events.get(name)
        if common is not None and _covers(common, now, bucket):
            return None
        places = list(combinations(range(len(identifiers)), 2))
        if not places:
            return None
        keys = [_key(identifiers[one].fragment, identifiers[other].fragment, grade, source) for one, other in places]
        pairs: list[tuple[int, int]] = []
        first, last = (0, ""), TIME_MAX_US
        for pair, key, sight in zip(places, keys, self._sights(keys), strict=True):
            if sight is None or not _covers(sight, now, bucket):
                pairs.append(pair)
                sight = self._say(key, sight, now, bucket)  # noqa: PLW2901 (what is known of the pair from here on)
            first, last = max(first, (sight.first_time, sight.first_id)), min(last, sight.last)
        self._events.put(name, _Sight(*first, last, _ENTRY_SIZE_BYTES + len(name) + len(first[1])))
        return Evidence(source, event_id, time_us, grade, tuple(identifiers), tuple(pairs)) if pairs else None

    def _say(self, key: bytes, known: _Sight | EvidenceRow | None, now: tuple[int, str], bucket: int) -> _Sight:
        """What is known of a pair once an event's sight of it is said."""
        first, last = now, bucket
        if known is not None:
            first, last = min(first, (known.first_time, known.first_id)), max(last, known.last)
        sight = _Sight(*first, last, _ENTRY_SIZE_BYTES + len(key) + len(first[1]))
        self._said.put(key, sight)
        return sight

    def _sights(self, keys: list[bytes]) -> list[_Sight | EvidenceRow | None]:
        sights: list[_Sight | EvidenceRow | None] = [self._said.get(key) for key in keys]
        missing = [place for place, sight in enumerate(sights) if sight is None]
        if missing:
            for place, encoded in zip(missing, self._rows.get_many([keys[place] for place in missing]), strict=True):
                if encoded is not None:
                    sights[place] = _ROWS.decode(encoded)
        return sights


def _covers(sight: _Sight | EvidenceRow, now: tuple[int, str], bucket: int) -> bool:
    """Whether a sight at this time, with this id, tells nothing that is not known."""
    return bucket <= sight.last and (sight.first_time, sight.first_id) <= now


def _key(one: str, other: str, grade: int, source: str) -> bytes:
    """Under which of a pair's two ends it is looked for."""
    return evidence_key(one, other, grade, source) if one < other else evidence_key(other, one, grade, source)


def _is_first_end(key: bytes) -> bool:
    """Whether it is the one of a pair's two rows that is looked for."""
    fragment, neighbour, _, _ = split_evidence_key(key)
    return fragment < neighbour

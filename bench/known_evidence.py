"""What intake asks of its follower of `identity.links`: microseconds an event, for what it remembers and for others.

A store is filled with pairs as the follower keeps them. Then events come, of which a stated share shows identifiers
that were seen together a moment ago; each of the others shows some that this process has not met, though their pairs
are in the store. All pairs are known, so nothing is said: this is what most events cost. Each figure is the least of a
number of rounds, in time of the processor.
"""

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from agents.known_evidence import KnownEvidence
from bench.generator import SOURCES_FILE, Plan, encode, generate
from schemas.cleaning import Cleaner
from schemas.event import parse_structured
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.messages import SealedIdentifier
from schemas.rows import EvidenceRow, encode_row, evidence_key
from schemas.sources import load_sources
from schemas.times import sight_bucket
from schemas.topics import DEFAULT_CHANNELS
from state.engine import MemoryRows
from state.store import Store

IDENTIFIERS: Final = (2, 3, 4)
SHARES: Final = (1.0, 0.99, 0.95, 0.9, 0.5, 0.0)
#: Pairs of four identifiers.
_PAIRS_PER_GROUP: Final = 6
_GROUP: Final = 4
#: Groups of identifiers that are remembered; fewer than find room.
_REMEMBERED_GROUPS: Final = 5_000
# The best of so many counts, since others may use the machine.
_ROUNDS: Final = 3
_WRITTEN_AT_ONCE: Final = 5_000
# 2026-11-22T10:00:00Z.
_NOW_US: Final = 1_795_341_600_000_000
_SOURCE: Final = "shop-web"
_SECRET: Final = "a secret for measuring only"  # noqa: S105 (it guards nothing)
#: What a sealed e-mail address or cookie takes.
_SEALED: Final = bytes(100)

Group = tuple[SealedIdentifier, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an event of so many identifiers takes, where so large a share of events is remembered."""

    identifiers: int
    remembered_share: float
    microseconds: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the generator's events that show pairs: those that are remembered, and those that tell something new."""

    events: int
    remembered: float
    news: float


def measure_known_evidence(folder: Path, *, pairs: int, events: int) -> Iterator[Cost]:
    """The cost for each number of identifiers and each share, over a store of so many pairs in the folder."""
    groups = pairs // _PAIRS_PER_GROUP
    _fill(folder, groups)
    store = Store.open(folder, secret_fingerprint=_SECRET)
    try:
        for identifiers in IDENTIFIERS:
            for share in SHARES:
                figure = identifiers, share
                rounds = [_round(store, groups, events, figure, random.Random(seed)) for seed in range(_ROUNDS)]
                yield Cost(identifiers, share, min(rounds))
    finally:
        store.close()


def remembered_share(plan: Plan) -> Shares:
    """How large the share is over the plan's events, where the follower is as far as the events."""
    cleaner = Cleaner(
        policy=DEFAULT_POLICY,
        registry=load_sources(SOURCES_FILE),
        keyring=Keyring(_SECRET.encode()),
        channels=DEFAULT_CHANNELS,
    )
    rows = _CountingRows()
    known = KnownEvidence(rows)
    count = news = 0
    for body in map(encode, generate(plan)):
        event = parse_structured(body)
        cleaned = cleaner.clean(event, topic_channel=None, now_us=event.time)
        if not cleaned.identifiers:
            continue
        count += 1
        said = known.news(
            cleaned.identifiers, source=event.source, event_id=event.id, time_us=event.time, grade=cleaned.grade
        )
        news += said is not None
    return Shares(count, 1 - rows.asked / max(count, 1), news / max(count, 1))


class _CountingRows(MemoryRows):
    """No rows; how often they were asked for."""

    asked = 0

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """None of the rows."""
        self.asked += 1
        return [None] * len(keys)


def _fill(folder: Path, groups: int) -> None:
    """Write the pairs, and leave the folder as a process finds it at its start."""
    store = Store.open(folder, secret_fingerprint=_SECRET)
    row = encode_row(EvidenceRow(_NOW_US - 1, "event-1", sight_bucket(_NOW_US), "cookie"))
    rows: dict[bytes, bytes | None] = {}
    for number in range(groups):
        fragments = sorted(identifier.fragment for identifier in _group(number, _GROUP))
        rows |= {evidence_key(one, other, 1, _SOURCE): row for one, other in combinations(fragments, 2)}
        if len(rows) > _WRITTEN_AT_ONCE:
            store.write(rows, {})
            rows = {}
    store.write(rows, {})
    store.flush()
    store.close()


def _group(number: int, identifiers: int) -> Group:
    first = number * _GROUP
    names = (hashlib.blake2b(b"%d" % (first + place), digest_size=16).hexdigest() for place in range(identifiers))
    return tuple(SealedIdentifier(name, "cookie", _SEALED) for name in names)


def _round(store: Store, groups: int, events: int, figure: tuple[int, float], dice: random.Random) -> float:
    identifiers, share = figure
    known = KnownEvidence(store)
    remembered = [_group(number, identifiers) for number in range(min(_REMEMBERED_GROUPS, groups))]
    others = dice.sample(range(len(remembered), groups), min(groups - len(remembered), events))
    given: list[Group] = []
    for number in range(events):
        is_remembered = dice.random() < share or number >= len(others)
        given.append(dice.choice(remembered) if is_remembered else _group(others[number], identifiers))
    for group in remembered:
        _ask(known, group)
    started_s = time.thread_time()
    for group in given:
        _ask(known, group)
    return (time.thread_time() - started_s) / events * 1e6


def _ask(known: KnownEvidence, group: Group) -> None:
    if known.news(group, source=_SOURCE, event_id="event-2", time_us=_NOW_US, grade=1) is not None:
        raise AssertionError("all pairs are in the store")

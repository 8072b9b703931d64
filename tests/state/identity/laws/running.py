"""Drives the real engines through a sequence: identity first, its messages to the partitions of context behind it.

Both lose what they have not committed, start anew from their rows, and get repairs back from the log that they wrote
them to, as under Kafka.
"""

import random
from collections.abc import Iterable
from typing import Final

from schemas.document import canonical_bytes
from schemas.identity_policy import Policy
from schemas.messages import IdentityMessage, Repair, RoutedEvent, decode_identity, encode
from schemas.rows import LINK_ROW_PREFIX, LinkRow, RowDecoder
from schemas.topics import Topic, partition_of
from state.engine import MemoryRows, Output
from state.identity.cache_bounds import CacheBounds
from state.identity.engine import IdentityEngine
from state.identity.ordering import SPLIT_NEIGHBOURS_MAX
from tests.state.builders import RING
from tests.state.context.simulation import Worker
from tests.state.identity.laws.sequences import Message, Sequence

PARTITIONS: Final = 2
#: So small that nearly everything is read back from rows.
TINY: Final = CacheBounds(placements_max=2, identifiers_max=2, neighbourhoods_max=2, neighbours_max=2)
#: Offsets of what stands in a log from the start; what comes later counts from here.
FIRST_OFFSET: Final = 100
#: A repair takes some messages for each of a few dozen fragments.
_REPAIRS_MAX: Final = 2_000
_ROW = RowDecoder(LinkRow)


class Run:
    """One installation without Kafka.

    Attributes:
        log: what identity was given, with its offsets, and repairs among it.
        rows: those of `identity.links`.
        contexts: the latest value of each key of `context`.
        changes: all values of `identity.changes`.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        bounds: CacheBounds | None = None,
        split_neighbours_max: int = SPLIT_NEIGHBOURS_MAX,
        listens_to_itself: bool = True,
    ) -> None:
        #: Past so many neighbours the split of an identifier is a repair's.
        self.split_neighbours_max = split_neighbours_max
        self.log: list[tuple[int, IdentityMessage]] = []
        self.rows = MemoryRows()
        self.contexts: dict[str, bytes | None] = {}
        self.changes: list[bytes] = []
        self.dead: list[Output] = []
        self._listens_to_itself = listens_to_itself
        self._policy, self._bounds = policy, bounds
        self._routed: list[list[bytes | None]] = [[] for _ in range(PARTITIONS)]
        self._workers = [Worker() for _ in range(PARTITIONS)]
        self._applied = self._committed = 0
        self._engine = self._start()

    def _start(self) -> IdentityEngine:
        return IdentityEngine(
            self.rows, RING.unseal, self._policy, bounds=self._bounds, split_neighbours_max=self.split_neighbours_max
        )

    # What comes

    def receive(self, message: Message, offset: int | None = None) -> None:
        """Put a message where it belongs; the offset is the next one, unless it is given."""
        if isinstance(message, RoutedEvent):
            self._route(message.target, encode(message))
            return
        if offset is None:
            offset = max(FIRST_OFFSET, self.log[-1][0] + 1) if self.log else FIRST_OFFSET
        self.log.append((offset, message))

    def work(self, dice: random.Random) -> None:
        """Somebody reads on, commits, or loses everything since."""
        if dice.random() < 0.6:
            self.read(dice.randrange(4))
            fate = dice.random()
            if fate < 0.15:
                self.crash()
            elif fate < 0.6:
                self.commit()
            return
        partition = dice.randrange(PARTITIONS)
        worker = self._workers[partition]
        worker.apply(self._routed[partition], dice.randrange(6))
        fate = dice.random()
        if fate < 0.15:
            worker.crash()
        elif fate < 0.6:
            self._take(worker.commit())
            if fate < 0.2:
                worker.crash(rewound=dice.randrange(4))

    def settle(self) -> None:
        """Everything is read to its end, repairs included, and committed."""
        repairs = sum(isinstance(message, Repair) for _, message in self.log)
        while True:
            self.read(len(self.log))
            self.commit()
            if self._applied == len(self.log):
                break
            now = sum(isinstance(message, Repair) for _, message in self.log)
            assert now - repairs < _REPAIRS_MAX, "a repair has no end"
        while any(worker.committed < len(log) for worker, log in zip(self._workers, self._routed, strict=True)):
            for worker, log in zip(self._workers, self._routed, strict=True):
                worker.apply(log, len(log))
                self._take(worker.commit())

    def commit(self) -> None:
        """Drain, write, settle."""
        drained = self._engine.drain()
        self.rows.write(drained.rows)
        self._committed = self._applied
        self._engine.settled()
        self._take(drained.outputs)

    def crash(self) -> None:
        """Lose what is not committed, and start from the rows."""
        self._applied = self._committed
        self._engine = self._start()

    def read(self, records: int) -> None:
        """Let identity take in so many messages more."""
        for offset, message in self.log[self._applied : self._applied + records]:
            self._engine.apply(encode(message), offset)
            self._applied += 1

    def _take(self, outputs: Iterable[Output]) -> None:
        for topic, key, value, _ in outputs:
            name = (key or b"").decode()
            if topic == Topic.ROUTED and value is not None:
                self._route(name, value)
            elif topic == Topic.EVIDENCE and value is not None:
                if self._listens_to_itself:
                    self.receive(decode_identity(value))
            elif topic == Topic.CONTEXT:
                self.contexts[name] = value
            elif topic == Topic.IDENTITY_CHANGES and value is not None:
                self.changes.append(value)
            elif topic == Topic.DEAD:
                self.dead.append(Output(topic, key, value))

    def _route(self, target: str, value: bytes) -> None:
        self._routed[partition_of(target.encode(), PARTITIONS)].append(value)

    # What is there

    def links(self) -> dict[str, LinkRow]:
        """The rows of all fragments."""
        return {
            key.removeprefix(LINK_ROW_PREFIX).decode(): _ROW.decode(value)
            for key, value in self.rows.scan(LINK_ROW_PREFIX)
        }

    def documents(self) -> dict[str, bytes]:
        """The canonical bytes of every context that stands, by customer id."""
        return {name: canonical_bytes(value) for name, value in self.contexts.items() if value is not None}


def read_again(run: Run, policy: Policy, dice: random.Random) -> Run:
    """Another run that is given the whole log of the first one, what that said to itself included."""
    again = Run(policy, split_neighbours_max=run.split_neighbours_max, listens_to_itself=False)
    share = dice.choice((0.0, 0.3, 1.0))
    for offset, message in run.log:
        again.receive(message, offset)
        again.read(1)
        if dice.random() < share:
            again.commit()
    again.commit()
    return again


def play(sequence: Sequence, dice: random.Random, *, bounds: CacheBounds | None = None) -> Run:
    """Give a run everything in order, with work, commits and crashes at random places, and let it settle."""
    run = Run(sequence.policy, bounds=bounds, split_neighbours_max=dice.choice((0, 1, SPLIT_NEIGHBOURS_MAX)))
    for message in sequence.messages:
        run.receive(message)
        while dice.random() < 0.4:
            run.work(dice)
    run.settle()
    return run

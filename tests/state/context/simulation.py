"""A small world around the real context engine: partitions with logs, workers that crash, an identity that speaks.

Workers read their partition's log, apply, and commit outputs, rows and position at once, as one Kafka transaction
does. They crash before the commit (all since the last one is lost), after it, or come back with a position that lies
further back. Identity regroups the identifiers at random, with rising epochs, and repeats itself. A log may lose what
nobody has read: then the owners are announced again, and the reader goes on in a new era.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.document import ContextChange
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import Add, Drop, Own, Ref, RoutedEvent, decode_routed, encode
from schemas.rows import LinkRow, encode_row, link_row_key
from schemas.topics import Topic, partition_of
from state.announcement import Announcement
from state.context.engine import ContextEngine
from state.dedupe import Dedupe
from state.engine import MemoryRows, Output
from state.join import JoinRules
from tests.state.builders import LIBRARY, MINUTE, MORNING, RING, fragment_of, routed, sealed
from tests.state.reference import Place

PARTITIONS: Final = 3
IDENTIFIERS: Final = tuple(
    Identifier(kind, value)
    for kind, value in (
        ("crm", "1"),
        ("crm", "2"),
        ("email", "ann@example.com"),
        ("email", "bob@example.com"),
        ("phone", "+31201234567"),
        ("cookie", "c-1"),
        ("cookie", "c-2"),
    )
)
#: Values of traits: what identity may know as former, and something else.
EMAILS: Final = (b'"ann@example.com"', b'"bob@example.com"', b'"x"')
#: Two entries fill a row of this size.
DEDUPE_ROW_SIZE_BYTES: Final = 30
_HOUR: Final = 60 * MINUTE
#: Values by offset; None where the log lost one.
Log = list[bytes | None]
_CHANGE = msgspec.json.Decoder(ContextChange)


class Worker:
    """One partition: its committed rows and position, and the engine that may be lost at any time."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.committed = 0
        self.position = 0
        self.era = 0
        #: The events that were folded, by source and id; of several the first.
        self.folded: dict[tuple[str, str], RoutedEvent] = {}
        #: Every message that was ever applied and committed.
        self.heard: set[bytes] = set()
        self._applied: list[bytes] = []
        self._engines = 0
        self.engine = self._engine()

    def _engine(self) -> ContextEngine:
        dedupe = Dedupe(self.rows, row_size_bytes_max=DEDUPE_ROW_SIZE_BYTES)
        # The smallest cache there is, so that rows are read back all the time.
        rules = JoinRules(DEFAULT_POLICY)
        # Every second engine goes by the compiled library, as where it comes or goes with an upgrade.
        self._engines += 1
        library = LIBRARY if self._engines % 2 else None
        return ContextEngine(
            self.rows, RING.unseal, rules, cached_rows_max=1, dedupe=dedupe, era=self.era, library=library
        )

    def apply(self, log: Log, records: int) -> None:
        """Read on."""
        for offset in range(self.position, min(self.position + records, len(log))):
            value = log[offset]
            if value is not None:
                self.engine.apply(value, offset)
                self._applied.append(value)
            self.position = offset + 1

    def commit(self) -> list[Output]:
        """Drain, and write rows and position; the outputs are the caller's to write in the same breath."""
        for message in map(decode_routed, self._applied):
            if isinstance(message, RoutedEvent):
                self.folded.setdefault((message.source, message.id), message)
        self.heard.update(self._applied)
        self._applied.clear()
        drained = self.engine.drain()
        self.rows.write(drained.rows)
        self.committed = self.position
        self.engine.settled()
        return list(drained.outputs)

    def crash(self, rewound: int = 0) -> None:
        """Lose the engine; go on from the committed position, or from before it."""
        self.committed = self.position = max(0, self.committed - rewound)
        self._applied.clear()
        self.engine = self._engine()

    def begin_era(self, position: int) -> None:
        """Go on elsewhere, by an operator's word: offsets from now on mean other records."""
        self.era += 1
        self.committed = self.position = position
        self.crash()


class World:
    """All partitions, what identity last said, and what was published."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.logs: list[Log] = [[] for _ in range(PARTITIONS)]
        self.workers = [Worker() for _ in range(PARTITIONS)]
        self.places: dict[Identifier, Place] = {}
        self.events: dict[Identifier, list[RoutedEvent]] = defaultdict(list)
        #: The latest value per key of `context`, and the number of documents ever published under it.
        self.contexts: dict[str, bytes | None] = {}
        self.versions: dict[str, int] = defaultdict(int)
        self.interactions: list[bytes] = []
        #: Per customer the fields that the changes add up to.
        self.said: dict[str, dict[str, object]] = defaultdict(dict)
        self._epochs: dict[Identifier, int] = defaultdict(int)
        #: What identity and fragments said, to be repeated at any time.
        self._spoken: list[tuple[str, bytes]] = []

    def run(self, steps: int, *, losses: int = 0) -> None:
        """Let anything happen, then let everything come to rest; `losses` is how often logs lose something."""
        actions = (self.receive, self.receive_again, self.regroup, self.speak_again, self.see_again, self.work)
        losing = set(self.random.sample(range(steps), losses))
        for step in range(steps):
            if step in losing:
                self.lose()
            self.random.choices(actions, (5, 1, 2, 4, 1, 12))[0]()
        self.settle()

    def settle(self) -> None:
        """Nothing crashes any more, and every log is read to its end."""
        while any(worker.committed < len(log) for worker, log in zip(self.workers, self.logs, strict=True)):
            for worker, log in zip(self.workers, self.logs, strict=True):
                worker.apply(log, len(log))
                self._write(worker.commit())

    def work(self) -> None:
        """One worker reads, commits or crashes."""
        partition = self.random.randrange(PARTITIONS)
        worker = self.workers[partition]
        worker.apply(self.logs[partition], self.random.randrange(6))
        fate = self.random.random()
        if fate < 0.15:
            worker.crash()
        elif fate < 0.7:
            self._write(worker.commit())
            if fate < 0.25:
                worker.crash(rewound=self.random.randrange(4))

    def receive(self) -> None:
        """An event comes, and sometimes with it another one of the same name but other content."""
        identifier = self.random.choice(IDENTIFIERS)
        event = self._event(identifier, len(self.events[identifier]))
        self.events[identifier].append(event)
        self._append(event)
        if self.random.random() < 0.1:
            self._append(msgspec.structs.replace(event, content=b"other...", channel="chat", traits={"city": b'"X"'}))

    def receive_again(self) -> None:
        """A copy of an event comes."""
        events = self.events[self.random.choice(IDENTIFIERS)]
        if events:
            self._append(self.random.choice(events))

    def regroup(self) -> None:
        """Identity changes its mind about some identifiers, and tells all whom it concerns."""
        pick = self.random
        homes = pick.sample(IDENTIFIERS, pick.randint(1, 4))
        messages: list[Own | Add | Drop] = []
        for identifier in IDENTIFIERS:
            if identifier not in self.places and pick.random() < 0.4:
                # Identity has not heard of it, and nobody else may rest on it.
                homes = [home for home in homes if home != identifier]
        for identifier in IDENTIFIERS:
            grade, former = pick.randint(1, 3), pick.random() < 0.2
            if identifier in homes:
                messages += self._place(identifier, identifier, "home", grade, former)
            elif homes and pick.random() < 0.8:
                state = pick.choice(("joined", "attached"))
                messages += self._place(identifier, pick.choice(homes), state, grade, former)
            elif identifier in self.places:
                messages += self._place(identifier, identifier, pick.choice(("shared", "home")), grade, former)
        pick.shuffle(messages)
        for message in messages:
            self._append(message)
            self._spoken.append((message.target, encode(message)))

    def speak_again(self) -> None:
        """Something that identity or a fragment said at any time comes once more."""
        if self._spoken:
            target, message = self.random.choice(self._spoken)
            self.logs[partition_of(target.encode(), PARTITIONS)].append(message)

    def see_again(self) -> None:
        """Identity saw an identifier earlier or later than it knew, and says so under the same epoch."""
        if self.places:
            identifier = self.random.choice(list(self.places))
            place = self.places[identifier]
            self._append(self._own(identifier, place.owner, place.state, place.grade, place.former))

    def lose(self) -> None:
        """Some logs lose something; an operator goes on, and everybody hears of the owners again.

        As with a real gap, the owners are announced at the ends of the logs before any reader moves.
        """
        going_on = {}
        for partition, worker in enumerate(self.workers):
            worker.crash()
            if self.random.random() < 0.6:
                going_on[partition] = self._lose_of(partition)
        # What nobody heard and no log has is not said again by anybody: repeats come from logs that are read again.
        known = {value for log in self.logs for value in log}.union(*(worker.heard for worker in self.workers))
        self._spoken = [spoken for spoken in self._spoken if spoken[1] in known]
        self._announce()
        for partition, position in going_on.items():
            self.workers[partition].begin_era(position)

    def _lose_of(self, partition: int) -> int:
        """What one log loses: what was to be read next, ranges of it, or all there was; where it goes on."""
        log, position = self.logs[partition], self.workers[partition].position
        unread = len(log) - position
        fate = self.random.choice(("overtaken", "ranges", "made again", "shorter"))
        if fate == "overtaken":
            end = position + self.random.randint(0, unread)
            log[:end] = [None] * end
            return end
        if fate == "ranges":
            for _ in range(self.random.randrange(1, 4)):
                start = position + self.random.randint(0, unread)
                end = min(len(log), start + self.random.randint(1, 6))
                log[start:end] = [None] * (end - start)
            return position
        if fate == "made again":
            log.clear()
        else:
            del log[self.random.randint(0, position) :]
        return 0

    def _announce(self) -> None:
        announcement = Announcement(MemoryRows(dict(map(self._link_row, self.places.values()))))
        told = list(announcement.owners())
        for worker in self.workers:
            told += announcement.corrections(worker.rows.rows.items())
        unread = [decode_routed(value) for log in self.logs for value in log if value is not None]
        objections = [announcement.objection(message) for message in unread]
        for message in (*(message for each in told for message in each.messages), *objections):
            if message is not None:
                self._append(message)

    def _link_row(self, place: Place) -> tuple[bytes, bytes]:
        """Where an identifier is, as identity's rows have it."""
        identifier, owner, state, grade, first, last, former = place
        epoch, secret = self._epochs[identifier], sealed(identifier)
        row = LinkRow(identifier.kind, secret, state, fragment_of(owner), grade, epoch, 0, first, last, former=former)
        return link_row_key(fragment_of(identifier)), encode_row(row)

    def folded(self) -> dict[Identifier, list[RoutedEvent]]:
        """The events that reached a fragment: all but those that logs lost."""
        names = {fragment_of(identifier): identifier for identifier in IDENTIFIERS}
        events: dict[Identifier, list[RoutedEvent]] = defaultdict(list)
        for worker in self.workers:
            for event in worker.folded.values():
                events[names[event.target]].append(event)
        return events

    def members_of(self, owner: Identifier) -> list[Place]:
        """Where identity put those that are the owner's."""
        return [place for place in self.places.values() if place.owner == owner != place.identifier]

    def place_of(self, identifier: Identifier) -> Place:
        """Where the identifier is at last; one that identity never named is its own."""
        return self.places.get(identifier, Place(identifier, identifier, "home", 0, -1, -1))

    def _place(
        self, identifier: Identifier, owner: Identifier, state: str, grade: int, former: bool
    ) -> Iterable[Own | Add | Drop]:
        before = self.places.get(identifier)
        if before is not None and before[1:4] + before[6:] == (owner, state, grade, former):
            return
        self._epochs[identifier] += 1
        epoch, fragment = self._epochs[identifier], fragment_of(identifier)
        yield self._own(identifier, owner, state, grade, former)
        if before is not None and before.owner not in (identifier, owner):
            yield Drop(fragment_of(before.owner), fragment, epoch)
        if owner != identifier:
            yield Add(fragment_of(owner), fragment, identifier.kind, sealed(identifier), state, grade, epoch)

    def _own(self, identifier: Identifier, owner: Identifier, state: str, grade: int, former: bool) -> Own:
        first = MORNING + self.random.randint(-50, 50) * _HOUR
        last = MORNING + self.random.randint(-50, 50) * _HOUR
        before = self.places.get(identifier)
        known = (before.first, before.last) if before is not None else (first, last)
        least, greatest = min(first, known[0]), max(last, known[1])
        self.places[identifier] = Place(identifier, owner, state, grade, least, greatest, former)
        epoch, fragment, secret = self._epochs[identifier], fragment_of(identifier), sealed(identifier)
        return Own(fragment, identifier.kind, secret, fragment_of(owner), state, grade, epoch, first, last, former)

    def _event(self, identifier: Identifier, number: int) -> RoutedEvent:
        pick = self.random
        return routed(
            identifier,
            source=pick.choice(("web", "crm")),
            id=f"{identifier.kind}-{identifier.value}-{number}",
            type=pick.choice(("page.viewed", "order.completed")),
            time=MORNING + pick.randint(-40, 40) * _HOUR,
            channel=pick.choice(("web", "chat")),
            rank=pick.randrange(2),
            grade=pick.randint(1, 3),
            direction=pick.choice(("in", "out", "")),
            summary=pick.choice(("", "A line")),
            traits={name: pick.choice((*EMAILS, b"null")) for name in pick.sample(("email", "city", "name"), 1)},
            permissions={"email": {"marketing": pick.random() < 0.5}} if pick.random() < 0.3 else {},
            refs=(Ref("order", f"o-{pick.randrange(3)}", pick.choice(("", "paid"))),) if pick.random() < 0.4 else (),
            groups={"company": (pick.choice(("acme", "globex")),)} if pick.random() < 0.3 else {},
        )

    def _append(self, message: RoutedEvent | Own | Add | Drop) -> None:
        self.logs[partition_of(message.target.encode(), PARTITIONS)].append(encode(message))

    def _write(self, outputs: list[Output]) -> None:
        for topic, key, value, _ in outputs:
            name = (key or b"").decode()
            if topic == Topic.ROUTED and value is not None:
                self.logs[partition_of(name.encode(), PARTITIONS)].append(value)
                self._spoken.append((name, value))
            elif topic == Topic.CONTEXT:
                self.contexts[name] = value
                if value is None:
                    self.said.pop(name, None)
                else:
                    self.versions[name] += 1
            elif topic == Topic.INTERACTIONS and value is not None:
                self.interactions.append(value)
            elif topic == Topic.CONTEXT_CHANGES and value is not None:
                self._hear(name, _CHANGE.decode(value))

    def _hear(self, customer: str, change: ContextChange) -> None:
        said = self.said[customer]
        for each in change.changes:
            old, new = (None if raw is msgspec.UNSET else msgspec.json.decode(raw) for raw in (each.old, each.new))
            assert old != new
            assert said.pop(each.field, None) == old
            if new is not None:
                said[each.field] = new

"""The engine behind agents/context: events and ownership in, documents, interactions, changes and snapshots out."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from schemas.errors import DeadCode, EventError, SecretError
from schemas.identity_policy import Policy
from schemas.messages import Add, Drop, Own, RoutedEvent, Snapshot, decode_routed, target_of
from schemas.strict_json import UNREADABLE
from schemas.times import MICROSECONDS_PER_DAY, format_day
from schemas.topics import RAW, Topic
from state.context.compiled import Compiled, Queue, Said
from state.context.document import DOCUMENT_SIZE_BYTES_MAX
from state.context.entries import CACHED_ROWS_MAX, CACHED_SIZE_BYTES_MAX, Entries, Entry
from state.context.letters import Origin, dead_event, dead_record, interaction
from state.context.publication import Publication, Unseal
from state.context.regoverning import Regoverning
from state.dedupe import Dedupe, Verdict
from state.engine import Drained, Output, StoredRows
from state.fold import fold, is_first_of_day
from state.fragment import Fragment, Limits, decode_fragment
from state.join import JoinRules
from state.native.loading import Library
from state.packed_outputs import Numbered, together

#: Unsealed identifiers that stay in memory: deciphering one costs as much as folding an event.
CACHED_IDENTIFIERS_MAX: Final = 20_000
# Fragments whose rows are read at once, encoded: enough for one look-up to be worth its while.
_FRAGMENTS_AT_ONCE: Final = 256

# A changelog has another name for each engine's stage.
CHANGELOG: Final = ""

_PLACE = itemgetter(0)


class ContextEngine:
    """One partition of `routed` and its rows of `context.state`.

    `unseal` reads a sealed identifier of a fragment (`schemas.keys.Keyring.unseal`). `horizon_days`, where one is
    set, is how far behind its newest event a fragment remembers which events it was given. `on_large` is told how many
    identifiers a customer has, each time that one of very many is published. `first_policy` is the installation's first
    one, where that of the rules is another: then the first drains publish again what the two show otherwise. `library`
    takes in most fragments several times as fast, where it is built; it makes no other difference.
    """

    def __init__(
        self,
        rows: StoredRows,
        unseal: Unseal,
        rules: JoinRules,
        *,
        limits: Limits | None = None,
        era: int = 0,
        horizon_days: int | None = None,
        origin_topic: str = Topic.ROUTED,
        raw_prefix: str = RAW,
        partition: int = 0,
        cached_rows_max: int = CACHED_ROWS_MAX,
        cached_size_bytes_max: int = CACHED_SIZE_BYTES_MAX,
        cached_identifiers_max: int = CACHED_IDENTIFIERS_MAX,
        document_size_bytes_max: int = DOCUMENT_SIZE_BYTES_MAX,
        dedupe: Dedupe | None = None,
        on_large: Callable[[int], None] | None = None,
        first_policy: Policy | None = None,
        library: Library | None = None,
    ) -> None:
        self._on_large = on_large
        self._library = library
        self._regoverning = Regoverning(rows, rules, first_policy)
        self.counts: Counter[str] = Counter()
        self._unseal: Unseal = functools.lru_cache(cached_identifiers_max)(unseal)
        self._rules = rules
        self._limits = limits or rules.limits
        self._era = era
        self._horizon_days = horizon_days
        self._origin_topic = origin_topic
        self._raw_prefix = raw_prefix
        self._partition = partition
        self._document_size_bytes_max = document_size_bytes_max
        self._entries = Entries(rows, cached_rows_max, cached_size_bytes_max)
        self._dedupe = dedupe or Dedupe(rows)
        # Where a horizon is set, days are evicted: that is the general way's.
        self._compiled: Compiled | None = None
        if library is not None and horizon_days is None:
            self._compiled = Compiled(
                library,
                self._entries,
                self._dedupe,
                self._unseal,
                rules,
                limits=self._limits,
                era=era,
                document_size_bytes_max=document_size_bytes_max,
            )
        # What came since the last drain, and the places in it of what each fragment is still to take in.
        self._values: list[bytes] = []
        self._offsets: list[int] = []
        self._waiting: dict[str, list[int]] = {}
        # Entries that took something in before the drain.
        self._open: dict[str, Entry] = {}
        # What was said of the records at those places.
        self._interactions: list[tuple[int, Output]] = []
        self._dead: list[tuple[int, Output]] = []

    def apply(self, value: bytes, offset: int) -> None:
        """Take in one record of `routed` now; what can't be read becomes a dead letter. Not before `settled`."""
        self.apply_many((value,), (offset,))
        waiting, self._waiting = self._waiting, {}
        for fragment, places in waiting.items():
            entry = self._open.get(fragment)
            if entry is None:
                entry = self._open[fragment] = self._entries.get(fragment)
            self._take_in(entry, places)

    def apply_many(self, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Queue records of `routed` by the fragments that they are for; `drain` takes them in.

        A customer's records are taken in one after the other, and what follows from them is published and written at
        once: each customer's objects are fetched into the processor's cache once in a checkpoint, and thousands of
        customers' don't drive each other out of it. Records may be queued before what was drained is settled.
        """
        waiting, place = self._waiting, len(self._values)
        self._values += values
        self._offsets += offsets
        for value in values:
            try:
                target = target_of(value)
            except UNREADABLE:
                # The empty fragment is nobody's: there it is found to be unreadable, in its turn.
                target = ""
            places = waiting.get(target)
            if places is None:
                waiting[target] = [place]
            else:
                places.append(place)
            place += 1

    def drain(self) -> Drained:
        """What changed since the last drain: interactions, changes, contexts, snapshots, dead letters; and the rows.

        1. Take all fragments that something came for, or that are due to be published again, so many at a time.
        2. Take in what came for each, in the order of the offsets.
        3. Say what there is to say of it, and write it.
        4. Bring what was said of single events into the order of their offsets.
        """
        again, rows = self._regoverning.step()
        compiled_rows: dict[bytes, bytes | None] = {}
        publication = Publication(
            self._entries,
            self._unseal,
            self._rules,
            self._document_size_bytes_max,
            self._on_large,
            before=self._regoverning.before,
        )
        opened, self._open = self._open, {}
        waiting, self._waiting = self._waiting, {}
        due = frozenset(again)
        # Step 1.
        fragments = list(dict.fromkeys((*again, *opened, *waiting)))
        compiled = None if again or opened or self._regoverning.before else self._compiled
        topics = (Topic.INTERACTIONS, Topic.CONTEXT_CHANGES, Topic.CONTEXT, Topic.ROUTED, CHANGELOG)
        said = Said(*(Numbered(topic, self._library) for topic in topics))
        queue = Queue(self._values, self._offsets, waiting)
        for start in range(0, len(fragments), _FRAGMENTS_AT_ONCE):
            piece = fragments[start : start + _FRAGMENTS_AT_ONCE]
            self._entries.read(piece)
            places = range(start, start + len(piece))
            numbers: Sequence[int] = places
            if compiled is not None:
                numbers = compiled.take_in(places, piece, queue, said, compiled_rows, counts=self.counts)
            for number in numbers:
                fragment = fragments[number]
                # Each is decoded only when its turn comes, and freed after it.
                entry = opened.get(fragment) or self._entries.get(fragment)
                # Step 2.
                if fragment in waiting:
                    self._take_in(entry, waiting[fragment])
                if fragment in due:
                    entry.told = entry.touched = True
                # Step 3.
                if entry.touched:
                    publication.publish(entry)
                    self._entries.store(entry, rows)
                    said.changes.add(number, publication.changes)
                    said.contexts.add(number, publication.contexts)
                    said.snapshots.add(number, publication.snapshots)
        # Step 4.
        for place, output in self._interactions:
            said.interactions.add(place, [output])
        self._dead.sort(key=_PLACE)
        *topics_said, packed_rows = (each.ordered() for each in said)
        outputs = together((*topics_said, [output for _, output in self._dead]))
        for each in (self._interactions, self._dead, self._values, self._offsets):
            each.clear()
        rows.update(self._dedupe.drain())
        if not compiled_rows:
            return Drained(outputs, rows)
        others = [Output(CHANGELOG, key, row) for key, row in rows.items()]
        compiled_rows.update(rows)
        return Drained(outputs, compiled_rows, together((packed_rows, others)))

    def settled(self) -> None:
        """The drained rows are committed."""
        self._entries.settled()
        self._dedupe.settled()

    def _take_in(self, entry: Entry, places: list[int]) -> None:
        """Take in the records at these places, all for the entry's fragment."""
        record, era, values, offsets = entry.record, self._era, self._values, self._offsets
        applied = -len(self._interactions)
        for place in places:
            value, offset = values[place], offsets[place]
            try:
                message = decode_routed(value)
            except UNREADABLE as error:
                self._refuse_record(place, None, str(error))
                continue
            if (era, offset) <= (record.era, record.offset):
                self.counts["skipped"] += 1
                continue
            try:
                if isinstance(message, RoutedEvent):
                    self._fold(entry, message, place)
                elif isinstance(message, Own):
                    self._own(entry, message)
                else:
                    self._hear(entry, message)
            except (SecretError, ValueError, *UNREADABLE) as error:
                self._refuse_record(place, message.target.encode(), str(error))
            record.era, record.offset = era, offset
        applied += len(self._interactions)
        if applied:
            self.counts["applied"] += applied

    def _fold(self, entry: Entry, event: RoutedEvent, place: int) -> None:
        """Apply one event: judge it, fold it, announce it.

        1. Refuse what lies before the fragment's horizon, where copies can't be told any more.
        2. Refuse or skip what is no new event.
        3. Fold it.
        4. Raise the horizon with the newest event.
        """
        record = entry.record
        # Step 1.
        day = event.time // MICROSECONDS_PER_DAY
        if day < record.horizon_day:
            reason = f"the fragment's events before {format_day(record.horizon_day)} are no longer told apart"
            self._refuse_event(event, DeadCode.HORIZON_PASSED, reason, place)
            return
        if not record.kind:
            self._name(entry, event.kind, event.sealed)
        # Step 2.
        verdict = self._dedupe.judge(event, is_first_of_day=is_first_of_day(record.content, day))
        if verdict is not Verdict.NEW:
            if verdict is Verdict.CONFLICT:
                reason = "an event of the same source and id but with other content came before, and stands"
                self._refuse_event(event, DeadCode.CONTENT_CONFLICT, reason, place)
            else:
                self.counts["duplicate"] += 1
            return
        # Step 3.
        if fold(record.content, event, self._limits):
            entry.told = True
        entry.touched = entry.folded = entry.counted = True
        self._interactions.append((place, interaction(event, record.owner or entry.fragment)))
        # Step 4.
        if self._horizon_days is not None and day - self._horizon_days > record.horizon_day:
            record.horizon_day = day - self._horizon_days
            self._dedupe.evict(entry.fragment, record.horizon_day)

    def _own(self, entry: Entry, message: Own) -> None:
        record = entry.record
        if not record.kind:
            self._name(entry, message.kind, message.sealed)
        place = (record.owner, record.state, record.grade, record.former)
        said = (*place, record.epoch, record.first, record.last)
        if record.own(message) and record.owner:
            # Also when nothing is new: the owner may have to hear it again.
            entry.spoken = True
        now = (record.owner, record.state, record.grade, record.former)
        if place != now:
            entry.told = True
        if entry.spoken or said != (*now, record.epoch, record.first, record.last):
            entry.touched = True
        self.counts["own"] += 1

    def _hear(self, entry: Entry, message: Add | Drop | Snapshot) -> None:
        """Take in what identity or a fragment says to its owner."""
        if isinstance(message, Add):
            # Here a sealed identifier that can't be read costs one message, later it would stop the worker.
            self._unseal(message.sealed, message.fragment)
            new = self._entries.member(entry, message.fragment).add(message)
            entry.told |= new
        elif isinstance(message, Drop):
            new = self._entries.member(entry, message.fragment).drop(message)
            entry.told |= new
        else:
            new = self._take(entry, message)
        if new:
            entry.changed_members.add(message.fragment)
            entry.touched = True
        self.counts[type(message).__name__.lower()] += 1

    def _take(self, entry: Entry, message: Snapshot) -> bool:
        content = decode_fragment(message.content)
        member = self._entries.member(entry, message.fragment)
        before, was_former = member.content, member.former
        new = member.take(message, content)
        if new and member.wanted:
            entry.counted |= content.total != before.total
            entry.told |= member.former != was_former or _said(content) != _said(before)
        return new

    def _name(self, entry: Entry, kind: str, sealed: bytes) -> None:
        """Note the fragment's own identifier, if it can be read; SecretError or ValueError otherwise."""
        self._unseal(sealed, entry.fragment)
        entry.record.kind, entry.record.sealed = kind, sealed

    def _refuse_event(self, event: RoutedEvent, code: DeadCode, message: str, place: int) -> None:
        origin = self._origin(place)
        if event.origin is not None:
            # Intake routes a record twice when it dies in between: by its raw record the letter is known as the same.
            origin = Origin(self._raw_prefix + event.channel, *event.origin)
        self._dead.append((place, dead_event(event, EventError(code, message), origin)))
        self.counts[code] += 1

    def _refuse_record(self, place: int, key: bytes | None, message: str) -> None:
        error = EventError(DeadCode.UNREADABLE_MESSAGE, message)
        self._dead.append((place, dead_record(self._values[place], key, error, self._origin(place))))
        self.counts[error.code] += 1

    def _origin(self, place: int) -> Origin:
        return Origin(self._origin_topic, self._partition, self._offsets[place])


def _said(content: Fragment) -> tuple[object, ...]:
    return (
        content.grade,
        content.traits,
        content.trusted,
        content.permissions,
        content.refs,
        content.groups,
    )

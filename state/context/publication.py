"""What the world hears of a touched fragment at a checkpoint: its document, a tombstone, or a snapshot to its owner."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from schemas.document import ContextChange, ContextDocument, FieldChange, encode_document
from schemas.identifiers import Identifier
from schemas.messages import Snapshot, encode
from schemas.roles import SHARED
from schemas.topics import Topic
from state.context.bundles import BUNDLED_FROM_MEMBERS
from state.context.changes import compare
from state.context.document import DOCUMENT_SIZE_BYTES_MAX, show
from state.context.entries import Entries, Entry
from state.context.rows import MemberRow
from state.context.standing import Standing
from state.engine import Output
from state.fragment import encode_fragment
from state.join import Bundle, Joined, JoinRules, Part, join

#: Halving all limits this often leaves none, so the last attempt always fits.
_HALVINGS_MAX: Final = 8

_JSON = msgspec.json.Encoder()

Unseal = Callable[[bytes, str], Identifier]


class Publication:
    """The outputs of one drain, by topic."""

    def __init__(
        self,
        entries: Entries,
        unseal: Unseal,
        rules: JoinRules,
        document_size_bytes_max: int = DOCUMENT_SIZE_BYTES_MAX,
        on_large: Callable[[int], None] | None = None,
        *,
        before: JoinRules | None = None,
    ) -> None:
        #: How the documents that stand were made, where that was otherwise.
        self._rules_before = before or rules
        self._on_large = on_large
        self._entries = entries
        self._unseal = unseal
        self._rules = rules
        self._document_size_bytes_max = document_size_bytes_max
        self.changes: list[Output] = []
        self.contexts: list[Output] = []
        self.snapshots: list[Output] = []

    def publish(self, entry: Entry) -> None:
        """Say what there is to say of a touched entry, and note in its record what was said.

        1. Another's fragment sends its owner what it holds, if that or its place changed.
        2. A customer that has no document any more gets a tombstone, if one stands.
        3. A customer whose document differs from the one that stands gets the new one, and its changes.
        """
        record = entry.record
        # Step 1.
        if record.owner and (entry.folded or entry.spoken):
            self.snapshots.append(_snapshot(entry))
        # Step 2.
        version = record.version + 1
        said = None if entry.standing is None else entry.standing.said
        written = None if record.owner or not record.kind else self._write(entry, version)
        if written is None:
            entry.standing = None
            if record.published:
                self.contexts.append(Output(Topic.CONTEXT, entry.fragment.encode(), None))
                record.published = False
            return
        # Step 3.
        joined, document = written
        changes = None
        if not record.published:
            changes = compare(None, joined)
        elif entry.told or not entry.counted:
            before = self._before(entry, said, version)
            if before is not None and before[1] == document:
                return
            changes = compare(before[0] if before is not None else None, joined)
        record.version, record.published = version, True
        if entry.standing is not None and self._on_large is not None:
            self._on_large(1 + len(entry.standing))
        key = entry.fragment.encode()
        if changes:
            self._tell(entry.fragment, version, changes)
        self.contexts.append(Output(Topic.CONTEXT, key, document))

    def _tell(self, customer: str, version: int, changes: list[FieldChange]) -> None:
        """Say what changed, in one record, or in as many as it takes where one could not carry it."""
        encoded = _JSON.encode(ContextChange(customer, version, changes))
        if len(encoded) > self._document_size_bytes_max and len(changes) > 1:
            half = len(changes) // 2
            self._tell(customer, version, changes[:half])
            self._tell(customer, version, changes[half:])
        else:
            self.changes.append(Output(Topic.CONTEXT_CHANGES, customer.encode(), encoded))

    def _before(
        self, entry: Entry, said: tuple[Joined, ContextDocument] | None, version: int
    ) -> tuple[Joined, bytes] | None:
        """What stands, written under the new version: what the committed rows say, since each drain publishes that.

        A large customer's rows are not read again while what was made of them is at hand.
        """
        if said is not None:
            joined, document = said
            encoded = encode_document(msgspec.structs.replace(document, version=version))
            if len(encoded) <= self._document_size_bytes_max:
                return joined, encoded
        return self._write(self._entries.committed(entry.fragment), version, self._rules_before)

    def _write(self, entry: Entry, version: int, given: JoinRules | None = None) -> tuple[Joined, bytes] | None:
        """The joined customer and the encoded document; None for one without events.

        A document that no record could carry is written again with half of every limit, until it fits.
        """
        record, rules = entry.record, given or self._rules
        members, bundles = self._members(entry)
        identifier = self._unseal(record.sealed, entry.fragment)
        # What is never evidence is nobody's own, unless an operator required that somebody is the same.
        is_nobodys = not members and not bundles and rules.is_nobodys(identifier)
        home = Part(
            identifier,
            SHARED if is_nobodys else record.state,
            max(record.grade, record.content.grade),
            record.first,
            record.last,
            record.content,
            former=record.former,
        )
        for _ in range(_HALVINGS_MAX):
            joined = join(home, members, rules, bundles)
            document = show(entry.fragment, joined, version)
            if document is None:
                return None
            if entry.standing is not None:
                entry.standing.say(joined, document)
            encoded = encode_document(document)
            if len(encoded) <= self._document_size_bytes_max:
                break
            rules = msgspec.structs.replace(rules, limits=rules.limits.halved())
        return joined, encoded

    def _members(self, entry: Entry) -> tuple[Collection[Part], Sequence[Bundle]]:
        """The members that are wanted; those attached to a large customer in bundles."""
        count = entry.record.members
        members = self._entries.members(entry) if count else {}
        if count < BUNDLED_FROM_MEMBERS:
            return [self._part(fragment, member) for fragment, member in members.items() if member.wanted], ()
        changed: Collection[str] = entry.changed_members
        if entry.standing is None:
            entry.standing, changed = Standing(self._rules), members.keys()
        for fragment in changed:
            member = members[fragment]
            entry.standing.put(fragment, self._part(fragment, member) if member.wanted else None)
        return entry.standing.members()

    def _part(self, fragment: str, member: MemberRow) -> Part:
        return Part(
            self._unseal(member.sealed, fragment),
            member.role,
            member.grade,
            member.first,
            member.last,
            member.content,
            member.settling,
            member.former,
        )


def _snapshot(entry: Entry) -> Output:
    record = entry.record
    message = Snapshot(
        target=record.owner,
        fragment=entry.fragment,
        epoch=record.epoch,
        era=record.era,
        offset=record.offset,
        content=encode_fragment(record.content),
        first=record.first,
        last=record.last,
        former=record.former,
    )
    return Output(Topic.ROUTED, record.owner.encode(), encode(message))

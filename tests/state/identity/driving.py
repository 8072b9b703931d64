"""Drive the real engine as the runner does, and follow its messages as fragments and owners would."""

from collections.abc import Iterable

import msgspec

from schemas.identifiers import Identifier
from schemas.identity_changes import IdentityChange
from schemas.identity_policy import DEFAULT_POLICY, Grade, Policy
from schemas.keys import Keyring
from schemas.messages import Add, Drop, Evidence, IdentityMessage, Own, SealedIdentifier, decode_routed, encode
from schemas.roles import HOME, SHARED
from schemas.rows import LinkRow, RowDecoder, link_row_key
from schemas.topics import Topic
from state.engine import MemoryRows, Output
from state.identity.cache_bounds import CacheBounds
from state.identity.engine import IdentityEngine
from state.identity.ordering import SPLIT_NEIGHBOURS_MAX
from state.identity.placement import Placement, Stage

KEYRING = Keyring(b"a secret for tests only")
_ROW = RowDecoder(LinkRow)
_CHANGE = msgspec.json.Decoder(IdentityChange)


def identifier(text: str) -> Identifier:
    """`kind:value`, or `kind@namespace:value`."""
    kind, _, value = text.partition(":")
    kind, _, namespace = kind.partition("@")
    return Identifier(kind, value, namespace or "default")


def fragment(text: str) -> str:
    """The fragment id of `kind:value`."""
    return KEYRING.fragment_id(identifier(text))


def sealed(item: Identifier) -> SealedIdentifier:
    """The identifier as intake sends it."""
    name = KEYRING.fragment_id(item)
    return SealedIdentifier(name, item.kind, KEYRING.seal(item, name))


def evidence(
    items: Iterable[Identifier], *, source: str = "shop", name: str = "e", time: int = 0, grade: int = Grade.CLAIMED
) -> Evidence:
    """What intake sends for an event that shows these identifiers: all their pairs."""
    identifiers = tuple(sealed(item) for item in items)
    pairs = tuple((one, other) for one in range(len(identifiers)) for other in range(one + 1, len(identifiers)))
    return Evidence(source, name, time, int(grade), identifiers, pairs)


class FollowedOwnership:
    """What fragments and owners know from messages alone: the newest epoch of each wins."""

    def __init__(self) -> None:
        self.owns: dict[str, Own] = {}
        self.members: dict[str, dict[str, Add | Drop]] = {}

    def take(self, message: object) -> None:
        """Apply one message of `routed`."""
        if isinstance(message, Own):
            held = self.owns.get(message.target)
            assert held is None or held.epoch <= message.epoch, "epochs only grow"
            if held is not None and held.epoch == message.epoch:
                same = (held.owner, held.state, held.grade, held.former)
                assert same == (message.owner, message.state, message.grade, message.former), (
                    "an epoch stands for one placement"
                )
            self.owns[message.target] = message
        elif isinstance(message, Add | Drop):
            known = self.members.setdefault(message.target, {}).get(message.fragment)
            assert known is None or known.epoch < message.epoch, "each epoch is told once"
            self.members[message.target][message.fragment] = message

    def wanted(self, owner: str) -> dict[str, tuple[str, int]]:
        """An owner's members with role and grade, besides itself."""
        members = self.members.get(owner, {})
        return {name: (message.role, message.grade) for name, message in members.items() if isinstance(message, Add)}


class DrivenEngine:
    """An engine over rows in memory, drained and settled as often as asked."""

    def __init__(
        self,
        policy: Policy = DEFAULT_POLICY,
        *,
        bounds: CacheBounds | None = None,
        rows: MemoryRows | None = None,
        split_neighbours_max: int = SPLIT_NEIGHBOURS_MAX,
    ) -> None:
        self.rows = rows or MemoryRows()
        self.policy, self.bounds = policy, bounds
        self.split_neighbours_max = split_neighbours_max
        self.offset = 0
        self.outputs: list[Output] = []
        #: What identity said to itself and has not read yet.
        self.asked: list[bytes] = []
        self.restart()

    def restart(self) -> None:
        """Begin anew from the committed rows, as after a crash."""
        self.engine = IdentityEngine(
            self.rows,
            KEYRING.unseal,
            self.policy,
            bounds=self.bounds,
            split_neighbours_max=self.split_neighbours_max,
        )

    def take(self, *messages: IdentityMessage) -> None:
        """Apply messages without committing them."""
        for message in messages:
            self.engine.apply(encode(message), self.offset)
            self.offset += 1

    def checkpoint(self) -> list[Output]:
        """Drain, commit, settle; the outputs."""
        drained = self.engine.drain()
        self.rows.write(drained.rows)
        self.engine.settled()
        self.outputs += drained.outputs
        self.asked += [output.value or b"" for output in drained.outputs if output.topic == Topic.EVIDENCE]
        return list(drained.outputs)

    def show(self, *texts: str, grade: int = Grade.CLAIMED, source: str = "shop") -> list[Output]:
        """One event that shows `kind:value` texts, committed."""
        name = f"e{self.offset}"
        self.take(evidence(map(identifier, texts), source=source, name=name, time=self.offset, grade=grade))
        return self.checkpoint()

    def repair(self, steps_max: int | None = None) -> None:
        """Commit, and give identity back what it says to itself: so many messages, or until it has no more to say."""
        self.checkpoint()
        while self.asked and steps_max != 0:
            self.engine.apply(self.asked.pop(0), self.offset)
            self.offset += 1
            self.checkpoint()
            steps_max = None if steps_max is None else steps_max - 1

    def row(self, name: str) -> LinkRow:
        """The committed row of a fragment."""
        value = self.rows.get(link_row_key(name))
        assert value is not None
        return _ROW.decode(value)

    def placements(self) -> dict[str, Placement]:
        """All committed placements."""
        placements = {}
        for key, value in self.rows.scan(b"f/"):
            row = _ROW.decode(value)
            name = key.removeprefix(b"f/").decode()
            placements[name] = Placement(row.state, row.owner, row.grade, Stage(row.stage), row.candidates)
        return placements

    def followed(self) -> FollowedOwnership:
        """What the messages so far told."""
        followed = FollowedOwnership()
        for message in routed(self.outputs):
            followed.take(message)
        return followed


def check_messages(driven: DrivenEngine) -> None:
    """Owners and members as messages told them are those of the rows."""
    placements, followed = driven.placements(), driven.followed()
    assert {name: (own.owner, own.state, own.grade) for name, own in followed.owns.items()} == {
        name: (place.owner, place.state, place.grade) for name, place in placements.items()
    }
    for owner in placements:
        wanted = {
            name: (place.state, place.grade)
            for name, place in placements.items()
            if place.owner == owner and place.state not in (HOME, SHARED)
        }
        assert followed.wanted(owner) == wanted
    for name, own in followed.owns.items():
        row = driven.row(name)
        assert (own.epoch, own.first, own.last, own.former) == (row.epoch, row.first, row.last, row.former)


def routed(outputs: Iterable[Output]) -> list[object]:
    """The messages to fragments and owners, whose keys are their targets."""
    messages: list[object] = []
    for output in outputs:
        if output.topic == Topic.ROUTED:
            assert output.value is not None
            message = decode_routed(output.value)
            assert output.key == message.target.encode()
            messages.append(message)
    return messages


def changes(outputs: Iterable[Output]) -> list[IdentityChange]:
    """The decisions, whose keys are their customers."""
    found = []
    for output in outputs:
        if output.topic == Topic.IDENTITY_CHANGES:
            assert output.value is not None
            change = _CHANGE.decode(output.value)
            assert output.key == change.customer.encode()
            found.append(change)
    return found

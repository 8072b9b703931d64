"""Goal: no record of the context stage is ever too large for its topic. Method: the largest that limits allow, built.

Texts are as long as events may have them, once of characters that take the most bytes as UTF-8 (four each), once of
those that take the most as JSON (six each, as escapes).
"""

import itertools

import msgspec
import pytest

from schemas import limits
from schemas.avro.public_schemas import public_schemas
from schemas.avro.writing import AvroWriter
from schemas.dead_letters import dead_letter
from schemas.document import ContextChange
from schemas.errors import DeadCode, EventError
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.messages import Add, Own, Ref, RoutedEvent, decode_routed, encode
from schemas.times import TIME_MAX_US
from schemas.topics import PUBLIC_TOPICS, Topic, headers_size_bytes
from state.context.document import DOCUMENT_SIZE_BYTES_MAX
from state.context.letters import Origin, dead_event, dead_record, interaction
from state.engine import Output
from state.fragment import Fragment, Limits, encode_fragment
from state.join import JoinRules
from streams.producer import RECORD_SIZE_BYTES_MAX
from tests.state.builders import DAY, fragment_of, routed, sealed
from tests.state.context.bench import Bench

#: What an event may say of itself at most, in either alphabet: a character, and the most of them that a name may have.
ALPHABETS = {"utf-8": "\U0001f9f5", "json": "\x01"}
CHANNELS = [f"channel_{number:03d}".ljust(32, "x") for number in range(128)]
HOME = Identifier("email", "ann@example.com")
MEMBERS = [Identifier("account", f"{number:03d}".ljust(limits.IDENTIFIER_LENGTH_MAX, "x")) for number in range(99)]


class _Texts:
    """Texts of the greatest size, none twice."""

    def __init__(self, character: str) -> None:
        self._character = character
        self._numbers = itertools.count()

    def __call__(self, length: int, size_bytes: int | None = None) -> str:
        number = f"{next(self._numbers):06d}"
        count = length - len(number)
        if size_bytes is not None:
            count = min(count, (size_bytes - len(number)) // len(self._character.encode()))
        return number + self._character * count

    def name(self) -> str:
        """An id or a source."""
        return self(limits.ID_LENGTH_MAX, limits.NAME_SIZE_BYTES_MAX)

    def trait(self) -> bytes:
        """A value of a trait."""
        return b'"%06d%b"' % (next(self._numbers), b"x" * (limits.TRAIT_SIZE_BYTES_MAX - 8))


def _events(texts: _Texts, identifier: Identifier, count: int = 160, newest: int = TIME_MAX_US) -> list[RoutedEvent]:
    """So many that every part of a fragment is full, each entry told by an event of its own."""
    events = [
        routed(
            identifier,
            source=texts.name(),
            id=texts.name(),
            type=texts(limits.TYPE_LENGTH_MAX),
            time=newest - (number % 40) * DAY - number,
            channel=CHANNELS[number % len(CHANNELS)],
            rank=2**62,
            # Graded first and claimed afterwards, so that the trusted registers are other ones than the newest.
            grade=int(Grade.RECORD) if number % 2 else int(Grade.CLAIMED),
            direction=("in", "out", "")[number % 3],
            summary=texts(limits.SUMMARY_LENGTH_MAX),
            session=texts(limits.SESSION_LENGTH_MAX),
            traits={texts(limits.TRAIT_NAME_LENGTH_MAX): texts.trait()},
            permissions={texts(limits.TRAIT_NAME_LENGTH_MAX): {texts(limits.TRAIT_NAME_LENGTH_MAX): False}},
            refs=(Ref(*(texts(limits.REF_FIELD_LENGTH_MAX) for _ in range(3))),),
            groups={"household": (texts(limits.REF_FIELD_LENGTH_MAX),)},
        )
        for number in range(count)
    ]
    names = [next(iter(event.traits)) for event in events[: limits.CONTEXT_TRAITS_MAX]]
    # Each trait is said once more, later and by a claim.
    for name, event in zip(names, list(events), strict=False):
        again = msgspec.structs.replace(
            event,
            id=texts.name(),
            source=texts.name(),
            time=newest,
            grade=int(Grade.CLAIMED),
            traits={name: texts.trait()},
        )
        events.append(again)
    # Every channel on every day.
    for number, channel in itertools.product(range(limits.CONTEXT_DAYS_MAX), CHANNELS):
        events.append(routed(identifier, id=f"d-{number}-{channel}", time=newest - number * DAY, channel=channel))
    return events


def _fits(outputs: list[Output]) -> None:
    writers = {str(topic): AvroWriter(public_schemas()[topic]) for topic in PUBLIC_TOPICS}
    for output in outputs:
        size_bytes = len(output.key or b"") + len(output.value or b"") + headers_size_bytes(output.headers)
        assert size_bytes <= RECORD_SIZE_BYTES_MAX, output.topic
        writer = writers.get(output.topic)
        if writer is not None and output.value is not None:
            assert 5 + len(output.key or b"") + len(writer.body(output.value)) <= RECORD_SIZE_BYTES_MAX, output.topic


def _rows_fit(bench: Bench) -> int:
    largest = 0
    for key, value in bench.rows.rows.items():
        assert len(key) + len(value) <= RECORD_SIZE_BYTES_MAX, key
        largest = max(largest, len(value))
    return largest


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_customer_that_fills_every_limit_fits(alphabet: str) -> None:
    texts = _Texts(ALPHABETS[alphabet])
    bench = Bench(JoinRules(DEFAULT_POLICY))
    outputs = bench.publish(*_events(texts, HOME))
    content: Fragment = bench.engine._entries.get(fragment_of(HOME)).record.content
    full = Limits()
    assert len(content.traits) == full.traits
    assert sum(held is not None for held in content.trusted.values()) >= full.trusted * 3 // 4
    assert sum(map(len, content.permissions.values())) == full.permissions
    assert sum(map(len, content.refs.values())) == full.refs
    assert sum(map(len, content.groups.values())) == full.groups
    assert (len(content.types), len(content.days), len(content.recent)) == (full.types, full.days, full.recent)
    assert sum(map(len, content.days.values())) == full.days * len(CHANNELS)
    _fits(outputs)
    largest = _rows_fit(bench)
    # The row is a large one indeed: another entry or a longer field would have been noticed.
    assert largest > (800_000 if alphabet == "utf-8" else 550_000)
    # Another's fragment: what it holds goes to its owner as a snapshot, and stands there as a member.
    owner = MEMBERS[0]
    fragment = fragment_of(HOME)
    moved = bench.publish(
        Own(fragment, HOME.kind, sealed(HOME), fragment_of(owner), "joined", 3, 2**62, TIME_MAX_US, TIME_MAX_US)
    )
    _fits(moved)
    (snapshot,) = (output.value for output in moved if output.topic == Topic.ROUTED)
    add = Add(fragment_of(owner), fragment, HOME.kind, sealed(HOME), "joined", 3, 2**62)
    own = Own(fragment_of(owner), owner.kind, sealed(owner), fragment_of(owner), "home", 3, 1, 0, 0)
    _fits(bench.publish(own, add, decode_routed(snapshot or b"")))
    _rows_fit(bench)


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_customer_of_a_hundred_full_fragments_fits(alphabet: str) -> None:
    texts = _Texts(ALPHABETS[alphabet])
    bench = Bench(JoinRules(DEFAULT_POLICY))
    home = fragment_of(HOME)
    bench.publish(*_events(texts, HOME), Own(home, HOME.kind, sealed(HOME), home, "home", 3, 1, 0, 0))
    members = MEMBERS[:9]
    for epoch, member in enumerate(members):
        other = Bench()
        other.publish(*_events(texts, member, count=140)[:400])
        fragment = fragment_of(member)
        (snapshot,) = (
            output.value
            for output in other.publish(Own(fragment, member.kind, sealed(member), home, "joined", 3, epoch, 0, 0))
            if output.topic == Topic.ROUTED
        )
        bench.apply(
            Add(home, fragment, member.kind, sealed(member), "joined", 3, epoch), decode_routed(snapshot or b"")
        )
    for epoch, member in enumerate(MEMBERS[9:]):
        bench.apply(Add(home, fragment_of(member), member.kind, sealed(member), "attached", 1, epoch))
    outputs = bench.commit()
    _fits(outputs)
    _rows_fit(bench)
    contexts = [output.value or b"" for output in outputs if output.topic == Topic.CONTEXT]
    assert len(contexts) == 1
    assert 0 < len(contexts[0]) <= DOCUMENT_SIZE_BYTES_MAX


def test_changes_that_no_record_could_carry_come_in_several_of_one_version() -> None:
    texts = _Texts(ALPHABETS["json"])
    (whole,) = (
        output.value or b"" for output in Bench().publish(*_events(texts, HOME)) if output.topic == Topic.CONTEXT
    )
    # The document still fits as it is, so what was and what is are told of every field.
    size_bytes_max = len(whole) + 10_000
    bench = Bench(document_size_bytes_max=size_bytes_max)
    before = bench.publish(*_events(texts, HOME, newest=TIME_MAX_US - 100 * DAY))
    outputs = bench.publish(*_events(texts, HOME))
    (document,) = (output.value or b"" for output in outputs if output.topic == Topic.CONTEXT)
    values = [output.value or b"" for output in outputs if output.topic == Topic.CONTEXT_CHANGES]
    assert len(values) > 1
    assert all(len(value) <= size_bytes_max for value in values)
    changes = [msgspec.json.decode(value, type=ContextChange) for value in values]
    assert {change.version for change in changes} == {2}
    fields = [each.field for change in changes for each in change.changes]
    assert len(fields) == len(set(fields))
    shown = msgspec.json.decode(document)
    (stood,) = (msgspec.json.decode(output.value or b"") for output in before if output.topic == Topic.CONTEXT)
    told = {field.removeprefix("/traits/") for field in fields if field.startswith("/traits/")}
    assert told == set(shown["traits"]) | set(stood["traits"])


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_the_largest_routed_event_fits_as_an_interaction_and_as_a_dead_letter(alphabet: str) -> None:
    texts = _Texts(ALPHABETS[alphabet])
    event = _events(texts, HOME, count=1)[0]
    event = msgspec.structs.replace(event, traits={}, data=b'{"a":"%b"}' % (b"x" * 500_000), enriched=b"{}")
    room = limits.ROUTED_SIZE_BYTES_MAX - len(encode(event))
    event = msgspec.structs.replace(event, data=b'{"a":"%b"}' % (b"x" * (500_000 + room)))
    assert len(encode(event)) == limits.ROUTED_SIZE_BYTES_MAX
    error = EventError(DeadCode.CONTENT_CONFLICT, texts(2_000), ("/" + texts(128)) * limits.NESTING_DEPTH_MAX)
    origin = Origin("t" * 249, 2**31, 2**62)
    _fits([interaction(event, event.target), dead_event(event, error, origin)])
    _fits([dead_record(encode(event), event.target.encode(), error, origin)])


def test_the_largest_dead_letter_of_a_raw_record_fits() -> None:
    letter = dead_letter(
        EventError(DeadCode.NO_USABLE_IDENTIFIER, "\U0001f9f5" * 2_000, ("/" + "~1" * 128) * 18),
        stage="intake",
        key=b"k" * RECORD_SIZE_BYTES_MAX,
        value=b"v" * 2 * RECORD_SIZE_BYTES_MAX,
        topic="t" * 249,
        partition=2**31,
        offset=2**62,
        timestamp_ms=2**62,
        original=[("h", b"x" * 64_000)],
    )
    _fits([Output(Topic.DEAD, *letter)])


def test_a_snapshot_is_what_a_row_holds_and_little_more() -> None:
    texts = _Texts(ALPHABETS["utf-8"])
    bench = Bench()
    bench.apply(*_events(texts, HOME))
    content = bench.engine._entries.get(fragment_of(HOME)).record.content
    # A row adds the identifier, a member's row what its owner knows of it: far less than is left.
    assert len(encode_fragment(content)) < RECORD_SIZE_BYTES_MAX - 16 * 1024

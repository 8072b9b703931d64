"""A customer of one fragment is joined in a way of its own, which says what the way for many says."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import encode_document
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from state.context.changes import compare
from state.context.document import show
from state.fold import fold
from state.fragment import Fragment, Limits
from state.join import Joined, JoinRules, Part, alone, join, together
from tests.state.builders import ANN, MORNING, routed
from tests.state.strategies import histories

RULES = JoinRules(DEFAULT_POLICY)
# So that each bound is met.
TIGHT = JoinRules(
    DEFAULT_POLICY,
    limits=Limits(traits=2, trusted=1, types=2, days=2, refs=1, groups=2, permissions=2, recent=2, identifiers=1),
)
NONE = JoinRules(DEFAULT_POLICY, limits=Limits(*[0] * len(Limits.__struct_fields__)))
# Of each strength, a hidden one, and one whose kind no policy names.
IDENTIFIERS = [
    Identifier("email", "ann@example.com"),
    Identifier("email", "ann@example.com", "shop"),
    Identifier("phone", "+31201234567"),
    Identifier("cookie", "c-77"),
    Identifier("national_id", "111222333"),
    Identifier("badge", "b-1"),
]


@st.composite
def homes(draw: st.DrawFn, rules: JoinRules) -> Part:
    identifier = draw(st.sampled_from(IDENTIFIERS))
    content = Fragment()
    for event in draw(histories(identifier, events_max=8)):
        # What says the identifier itself is outdated where another has replaced it.
        itself = {identifier.kind: msgspec.json.encode(identifier.value)} if draw(st.booleans()) else {}
        fold(content, msgspec.structs.replace(event, traits=event.traits | itself), rules.limits)
    seen = draw(st.none() | st.integers(0, 3))
    role = draw(st.sampled_from(["home", "joined", "shared"]))
    return Part(identifier, role, draw(st.integers(0, 3)), seen, seen, content, former=draw(st.booleans()))


def written(joined: Joined) -> bytes | None:
    document = show("c", joined)
    return None if document is None else encode_document(document)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from([RULES, TIGHT, NONE]))
def test_one_fragment_is_joined_as_many_are(data: st.DataObject, rules: JoinRules) -> None:
    # A fragment keeps what the usual limits say, of which a document may show less.
    home = data.draw(homes(data.draw(st.sampled_from([RULES, rules]))))

    ours, theirs = alone(home, rules), together(home, (), rules, ())

    assert written(ours) == written(theirs)
    assert compare(theirs, ours) == compare(ours, theirs) == []
    assert compare(None, ours) == compare(None, theirs)
    assert msgspec.structs.asdict(join(home, (), rules)) == msgspec.structs.asdict(ours)


def test_one_former_fragment_shows_another_value_than_its_own_as_many_would() -> None:
    content = Fragment()
    fold(content, routed(ANN, id="1", grade=3, traits={"email": b'"ann@new.example"'}))
    fold(content, routed(ANN, id="2", time=MORNING + 1, traits={"email": b'"ann@example.com"'}))
    home = Part(ANN, "home", 3, None, None, content, former=True)

    ours, theirs = alone(home, RULES), together(home, (), RULES, ())

    assert written(ours) == written(theirs)
    assert ours.traits["email"].claim is None

"""A join over bundles of members says what a join over the members says."""

import random
from collections.abc import Sequence
from itertools import groupby

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import encode_document
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from state.bundle import bundle
from state.context.changes import compare
from state.context.document import show
from state.fold import fold
from state.fragment import Fragment, Limits
from state.join import Bundle, JoinRules, Part, join
from tests.state.builders import ANN, DAY, MORNING, fragment_of, routed
from tests.state.strategies import histories

RULES = JoinRules(DEFAULT_POLICY)
# So that each bound is met, and what a bundle leaves out would be missed if it mattered.
TIGHT = JoinRules(
    DEFAULT_POLICY,
    limits=Limits(traits=2, trusted=1, types=2, days=2, refs=1, groups=2, permissions=2, recent=2, identifiers=3),
)
MEMBERS = [Identifier(kind, value) for kind in ("cookie", "email", "national_id", "phone") for value in "abcd"]
DERIVED_NAMES = {"email": "email_domain", "phone": "phone_region"}
# Identifiers that may be former, and events that say one of them, with what is derived from it.
CONTACTS = [
    *(Identifier("email", f"{value}@{value}.example") for value in "abc"),
    *(Identifier("phone", f"+3120123456{number}") for number in range(3)),
]
TELLINGS = [
    {contact.kind: f'"{contact.value}"'.encode(), DERIVED_NAMES[contact.kind]: f'"{number}"'.encode()}
    for number, contact in enumerate(CONTACTS)
]


@st.composite
def parts(draw: st.DrawFn, identifier: Identifier, role: str, rules: JoinRules) -> Part:
    content = Fragment()
    for event in draw(histories(identifier, events_max=4)):
        fold(content, event, rules.limits)
    seen = draw(st.none() | st.integers(0, 3))
    return Part(
        identifier, role, draw(st.integers(1, 3)), seen, seen, content, draw(st.booleans()), former=draw(st.booleans())
    )


def in_bundles(attached: Sequence[Part], size: int, rules: JoinRules) -> list[Bundle]:
    bundles: list[Bundle] = []
    for _, alike in groupby(attached, key=lambda part: part.identifier.kind):
        kind = list(alike)
        bundles += [bundle(kind[start : start + size], rules) for start in range(0, len(kind), size)]
    return bundles


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from([RULES, TIGHT]), st.integers(1, 3), st.sampled_from(["home", "shared"]))
def test_bundles_make_no_difference(data: st.DataObject, rules: JoinRules, size: int, state: str) -> None:
    home = data.draw(parts(ANN, state, rules))
    resting = [data.draw(parts(Identifier("crm", "8812"), "joined", rules))] if data.draw(st.booleans()) else []
    chosen = sorted(data.draw(st.sets(st.sampled_from(MEMBERS), min_size=1, max_size=5)))
    attached = [data.draw(parts(identifier, "attached", rules)) for identifier in chosen]
    bundles = in_bundles(attached, size, rules)

    plain = join(home, [*resting, *attached], rules)
    bundled = join(home, resting, rules, bundles)

    ours, theirs = (show(fragment_of(ANN), joined) for joined in (bundled, plain))
    assert (ours and encode_document(ours)) == (theirs and encode_document(theirs))
    assert compare(plain, bundled) == compare(bundled, plain) == []
    halved = msgspec.structs.replace(rules, limits=rules.limits.halved())
    ours, theirs = show("c", join(home, resting, halved, bundles)), show("c", join(home, [*resting, *attached], halved))
    assert (ours and encode_document(ours)) == (theirs and encode_document(theirs))


def test_bundles_make_no_difference_to_trusted_traits_of_any_grade_and_to_former_ones() -> None:
    for seed in range(600):
        dice = random.Random(seed)
        rules = dice.choice((RULES, TIGHT))
        # Mostly silent, so that what attached ones say is shown.
        home = _telling(dice, ANN, "home", dice.choice((0, 0, 0, 2)), rules)
        others = [Identifier("cookie", str(number)) for number in range(6)] + CONTACTS
        chosen = sorted(dice.sample(others, dice.randint(1, 9)))
        attached = [_telling(dice, identifier, "attached", dice.randint(0, 4), rules) for identifier in chosen]
        plain = join(home, attached, rules)
        bundled = join(home, [], rules, in_bundles(attached, dice.randint(1, 4), rules))
        assert show("c", bundled) == show("c", plain), seed
        assert bundled.traits == plain.traits, seed


def _telling(dice: random.Random, identifier: Identifier, role: str, events: int, rules: JoinRules) -> Part:
    content = Fragment()
    for number in range(events):
        # More names than a tight fragment keeps, so that some are there as trusted alone.
        further = dict.fromkeys(dice.sample(("city", "name"), dice.randrange(3)), b'"x"')
        traits = dice.choice((*TELLINGS, {}, {}, {})) | further
        time, grade = MORNING + dice.randrange(4) * DAY, dice.randint(1, 3)
        # Of a source of its own, since no event is folded into two fragments.
        source = f"{identifier.kind}/{identifier.value}"
        fold(
            content,
            routed(identifier, source=source, id=f"e{number}", time=time, grade=grade, traits=traits),
            rules.limits,
        )
    former = identifier in CONTACTS and dice.random() < 0.4
    return Part(identifier, role, content.grade, None, None, content, former=former)


def test_a_former_identifier_in_a_bundle_outdates_what_others_say() -> None:
    number, cookie = Identifier("phone", "+31201234567"), Identifier("cookie", "c")
    said = (("+31209999999", MORNING), ("+31201234567", MORNING + DAY))
    content = Fragment()
    for place, (value, time) in enumerate(said):
        grade = 2 - place
        traits = {"phone": f'"{value}"'.encode()}
        fold(content, routed(cookie, id=f"e{place}", time=time, grade=grade, traits=traits), RULES.limits)
    home = Part(ANN, "home", 2, None, None, Fragment())
    attached = [
        Part(cookie, "attached", 1, None, None, content),
        Part(number, "attached", 1, None, None, Fragment(), former=True),
    ]
    bundles = [bundle([part], RULES) for part in attached]
    joined = join(home, [], RULES, bundles)
    assert joined.traits == join(home, attached, RULES).traits
    assert joined.traits["phone"].register.value == b'"+31209999999"'

"""How identifiers hang together: what is shown of links, and what never is."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.serve.page.drawing import draw
from connectors.serve.page.hanging import LINKS_MAX, MEMBERS_MAX, Hanging, Links
from connectors.serve.page.words import ELSEWHERE
from schemas.document import ContextDocument
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from tests.connectors.serve.page.support import Paged, paged
from tests.connectors.serve.support import NOW_US, shown

ANN = ("email", "ann@example.com")


@pytest.fixture
async def page() -> AsyncIterator[Paged]:
    async with paged() as made:
        yield made


def hanging(page: Paged, encoded: bytes) -> Hanging:
    links = Links(page.copy.rows, page.copy.finder, page.copy.keyring, DEFAULT_POLICY)
    return links.of(msgspec.json.decode(encoded, type=ContextDocument), NOW_US)


async def test_links_of_one_pair_are_one_with_the_best_grade_and_all_sources(page: Paged) -> None:
    customer = page.copy.home(*ANN)
    cookie = page.copy.link("cookie", "c-1", customer, ATTACHED)
    encoded = page.copy.context(customer, shown(*ANN), shown("cookie", "c-1", role=ATTACHED))
    page.evidence(customer, cookie, Grade.CLAIMED, "shop")
    page.evidence(customer, cookie, Grade.LOGIN, "app")
    found = hanging(page, encoded)
    assert [(member.kind, member.role) for member in found.members] == [("email", HOME), ("cookie", ATTACHED)]
    (link,) = found.links
    assert (link.one, link.other, link.grade, link.sources) == (0, 1, "login", ("app", "shop"))
    assert link.first == "2024-10-03T23:59:59Z"


async def test_the_home_comes_first_whatever_the_order_in_the_context(page: Paged) -> None:
    customer = page.copy.home(*ANN)
    encoded = page.copy.context(
        customer, shown("cookie", "c-1", role=ATTACHED), shown("account", "ann", role=JOINED), shown(*ANN)
    )
    assert [member.role for member in hanging(page, encoded).members] == [HOME, JOINED, ATTACHED]


async def test_of_another_customers_identifier_only_the_kind_and_the_way_there_are_shown(page: Paged) -> None:
    customer, other = page.copy.home(*ANN), page.copy.home("email", "bob@example.com")
    foreign = page.copy.link("cookie", "bobs-cookie", other, ATTACHED)
    page.evidence(customer, foreign, Grade.CLAIMED)
    found = hanging(page, page.copy.context(customer, shown(*ANN)))
    (member,) = [member for member in found.members if member.role == ELSEWHERE]
    assert (member.kind, member.value, member.customer) == ("cookie", "", other)


async def test_a_shared_identifier_is_named_and_belongs_to_nobody(page: Paged) -> None:
    customer = page.copy.home(*ANN)
    phone = page.copy.share("phone", "+31201234567", customer, page.copy.home("email", "bob@example.com"))
    page.evidence(customer, phone, Grade.RECORD, other_kind="phone")
    found = hanging(page, page.copy.context(customer, shown(*ANN)))
    (member,) = [member for member in found.members if member.role == SHARED]
    assert (member.value, member.customer, member.grade) == ("+31201234567", None, "")


async def test_hidden_kinds_and_those_that_are_not_placed_yet_are_left_out(page: Paged) -> None:
    customer = page.copy.home(*ANN)
    hidden = page.copy.home("cookie", "stands-for-a-hidden-one")
    page.evidence(customer, hidden, Grade.RECORD, other_kind="national_id")
    page.evidence(customer, "f" * 32, Grade.RECORD)
    found = hanging(page, page.copy.context(customer, shown(*ANN)))
    assert len(found.members) == 1
    assert found.links == ()


async def test_very_many_identifiers_and_links_are_bounded_and_the_rest_is_counted(page: Paged) -> None:
    customer = page.copy.home(*ANN)
    values = [f"c-{number}" for number in range(MEMBERS_MAX + 9)]
    fragments = [page.copy.link("cookie", value, customer, ATTACHED) for value in values]
    encoded = page.copy.context(
        customer, shown(*ANN), *[shown("cookie", value, role=ATTACHED) for value in values], count=3
    )
    for fragment in fragments:
        page.evidence(customer, fragment, Grade.CLAIMED)
    for number, fragment in enumerate(fragments[:20]):
        for neighbour in fragments[number + 1 : 20]:
            page.evidence(fragment, neighbour, Grade.CLAIMED)
    found = hanging(page, encoded)
    assert (len(found.members), found.members_left_out) == (MEMBERS_MAX, 10)
    assert len(found.links) == LINKS_MAX
    assert found.links_left_out == 190 + MEMBERS_MAX - 1 - LINKS_MAX


async def test_the_drawing_holds_every_identifier_and_link_within_its_frame(page: Paged) -> None:
    customer = page.copy.home(*ANN)
    long = page.copy.link("cookie", "c" * 200, customer, ATTACHED)
    page.evidence(customer, long, Grade.CLAIMED)
    found = hanging(page, page.copy.context(customer, shown(*ANN), shown("cookie", "c" * 200, role=ATTACHED)))
    drawing = draw(found)
    assert len(drawing.dots) == 2
    assert len(drawing.arcs) == 1
    assert all(0 < dot.y < drawing.height for dot in drawing.dots)
    assert len(drawing.dots[1].label) <= 30
    assert drawing.arcs[0].home

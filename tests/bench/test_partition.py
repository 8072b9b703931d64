"""The oracle's partition: each story that the identity rules tell, by hand."""

import itertools

import pytest

from bench.oracle import kinds
from bench.oracle import partition as rules
from bench.oracle.kinds import CLAIMED, LOGIN, RECORD, Identifier
from bench.oracle.orders import PlainOrder, PlainUndo, standing
from bench.oracle.partition import Link, Partition, partition
from schemas.messages import Evidence, IdentityMessage, Order, Undo
from tests.state.builders import RING
from tests.state.identity.laws.expectation import Expectation
from tests.state.identity.laws.history import History
from tests.state.identity.laws.sequences import CLUSTER_LIMIT, LIMITS, Maker


def one(name: str) -> Identifier:
    return Identifier(*name.split(":", 1))


def seen(first: str, other: str, grade: int = CLAIMED, time: int = 0) -> Link:
    return Link(one(first), one(other), grade, time, "test", f"{first}-{other}-{grade}")


def order(verb: str, *names: str, number: int = 1, operator: bool = True, time: int = 0) -> PlainOrder:
    return PlainOrder(f"o{number}", "test", time, operator, verb, tuple(map(one, names)))


def together(parts: Partition) -> set[frozenset[str]]:
    return {frozenset(map(str, customer.members)) for customer in parts.customers}


def sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group.split()) for group in groups}


def shared(parts: Partition) -> set[str]:
    return set(map(str, parts.shared))


def of(*links: Link) -> Partition:
    return partition([], links)


def test_an_anonymous_cookie_then_a_typed_email_are_one_customer() -> None:
    parts = of(seen("cookie:c", "email:a"))
    assert together(parts) == sets("cookie:c email:a")
    assert parts.customers[0].possible_homes() == [one("email:a")]


def test_a_login_with_a_cookie_and_a_record_with_the_email_are_one() -> None:
    parts = of(seen("account:n", "cookie:c", LOGIN), seen("account:n", "email:a", RECORD))
    assert together(parts) == sets("account:n email:a cookie:c")
    assert parts.customers[0].joined == {one("account:n"), one("email:a")}


def test_a_kiosk_with_four_typed_emails_is_shared_by_four_customers() -> None:
    parts = of(*(seen("cookie:kiosk", f"email:{name}") for name in "abcd"))
    assert together(parts) == sets("email:a", "email:b", "email:c", "email:d")
    assert shared(parts) == {"cookie:kiosk"}


def test_a_kiosk_with_one_login_and_seven_typed_emails_is_shared() -> None:
    typed = [seen("cookie:kiosk", f"email:{name}") for name in "abcdefg"]
    assert shared(of(seen("cookie:kiosk", "account:n", LOGIN), *typed)) == {"cookie:kiosk"}


def test_a_login_outweighs_a_few_claims() -> None:
    parts = of(seen("cookie:c", "account:n", LOGIN), seen("cookie:c", "email:a"), seen("cookie:c", "email:b"))
    assert together(parts) == sets("account:n cookie:c", "email:a", "email:b")


def test_a_landline_of_two_crm_ids_is_shared() -> None:
    parts = of(seen("crm:1", "phone:p", RECORD), seen("crm:2", "phone:p", RECORD))
    assert together(parts) == sets("crm:1", "crm:2")
    assert shared(parts) == {"phone:p"}


def test_a_number_that_logs_in_as_somebody_else_is_shared_and_the_cookie_is_not() -> None:
    parts = of(
        seen("crm:1", "phone:p", RECORD),
        seen("account:n", "phone:p", LOGIN),
        seen("account:n", "cookie:c", LOGIN),
        seen("cookie:c", "phone:p", LOGIN),
    )
    assert together(parts) == sets("crm:1", "account:n cookie:c")
    assert shared(parts) == {"phone:p"}


def test_an_email_on_two_crm_ids_is_shared_until_an_order_unites_them() -> None:
    links = [seen("crm:1", "email:a", RECORD), seen("crm:2", "email:a", RECORD)]
    assert shared(partition([], links)) == {"email:a"}
    united = partition([], links, standing([order("require", "crm:1", "crm:2")]))
    assert together(united) == sets("crm:1 crm:2 email:a")
    assert shared(united) == set()


def test_a_renewed_cookie_goes_where_the_old_one_is() -> None:
    parts = of(seen("cookie:old", "email:a"), seen("cookie:old", "cookie:new"))
    assert together(parts) == sets("email:a cookie:old cookie:new")


def test_cookies_of_two_people_stand_by_themselves_though_linked() -> None:
    parts = of(seen("cookie:1", "email:a"), seen("cookie:2", "email:b"), seen("cookie:1", "cookie:2"))
    assert together(parts) == sets("email:a cookie:1", "email:b cookie:2")


def test_two_cookies_that_nobody_knows_are_one_customer_with_either_home() -> None:
    parts = of(seen("cookie:1", "cookie:2"))
    assert together(parts) == sets("cookie:1 cookie:2")
    assert parts.customers[0].possible_homes() == [one("cookie:1"), one("cookie:2")]


def test_a_phone_and_a_cookie_alone_are_one() -> None:
    assert together(of(seen("phone:p", "cookie:c"))) == sets("phone:p cookie:c")


def test_a_forgers_cookie_is_attached_to_the_customer() -> None:
    parts = of(seen("crm:1", "email:a", RECORD), seen("cookie:forger", "email:a"))
    assert together(parts) == sets("crm:1 email:a cookie:forger")
    assert parts.customers[0].joined == {one("crm:1"), one("email:a")}


def test_a_claim_never_joins_two_identifying_customers() -> None:
    parts = of(
        seen("crm:1", "email:a", RECORD), seen("account:n", "email:b", LOGIN), seen("email:a", "account:n", CLAIMED)
    )
    assert together(parts) == sets("crm:1 email:a", "account:n email:b")


def test_the_later_sorting_link_of_a_chain_between_two_records_is_vetoed() -> None:
    parts = of(seen("account:n", "crm:1", LOGIN), seen("account:n", "email:a", LOGIN), seen("crm:2", "email:a", RECORD))
    assert together(parts) == sets("crm:1 account:n", "crm:2 email:a")
    assert shared(parts) == set()


def test_a_record_joins_before_a_login_of_stronger_kinds() -> None:
    parts = of(
        seen("account:n", "crm:1", LOGIN), seen("account:n", "email:a", RECORD), seen("crm:2", "email:a", RECORD)
    )
    assert together(parts) == sets("crm:1", "crm:2 account:n email:a")


def test_a_placeholder_with_more_than_twenty_emails_is_shared() -> None:
    few = [seen("crm:0000", f"email:{number}", RECORD) for number in range(15)]
    many = [seen("crm:0000", f"email:{number}", RECORD) for number in range(25)]
    assert len(of(*few).customers) == 1
    assert shared(of(*many)) == {"crm:0000"}
    assert len(of(*many).customers) == 25


def test_a_number_that_cashiers_type_for_everybody_is_shared_and_one_that_was_proven_is_not() -> None:
    typed = [seen("crm:9", f"email:{number}") for number in range(21)]
    assert shared(of(*typed)) == {"crm:9"}
    assert shared(of(*typed[:20])) == set()
    assert shared(of(*typed, seen("crm:9", "cookie:c", LOGIN))) == set()
    assert shared(of(*(seen("crm:9", f"cookie:{number}") for number in range(21)))) == set()


def test_a_forbidden_pair_is_kept_apart() -> None:
    links = [seen("crm:1", "email:a", RECORD)]
    parts = partition([], links, standing([order("forbid", "crm:1", "email:a")]))
    assert together(parts) == sets("crm:1", "email:a")


def test_an_identifier_without_evidence_is_its_own_customer() -> None:
    assert together(partition([one("phone:p")], [])) == sets("phone:p")


def test_an_unknown_kind_is_stronger_than_weak_ones_and_weaker_than_a_phone() -> None:
    parts = of(seen("meter:m", "device:d"), seen("meter:m", "phone:p"))
    assert together(parts) == sets("phone:p meter:m device:d")


def test_the_newest_order_of_a_pair_holds_an_operators_before_a_records() -> None:
    links = [seen("crm:1", "email:a", RECORD)]
    forbidden = order("forbid", "crm:1", "email:a", number=1, time=5)
    for later in (
        order("require", "email:a", "crm:1", number=2, time=6, operator=False),
        order("require", "email:a", "crm:1", number=3, time=4),
        order("require", "email:a", "crm:1", number=1, time=5),
    ):
        assert together(partition([], links, standing([forbidden, later]))) == sets("crm:1", "email:a")
    newer = order("require", "email:a", "crm:1", number=4, time=6)
    assert together(partition([], links, standing([newer, forbidden]))) == sets("crm:1 email:a")
    undone = standing([PlainUndo("u1", "o1"), forbidden])
    assert together(partition([], links, undone)) == sets("crm:1 email:a")


def test_who_is_split_off_stands_alone_but_for_an_operators_word() -> None:
    links = [seen("crm:1", "email:a", RECORD), seen("email:a", "cookie:c")]
    alone = order("split", "email:a")
    assert together(partition([], links, standing([alone]))) == sets("crm:1", "email:a", "cookie:c")
    word = order("require", "email:a", "crm:1", number=2)
    assert together(partition([], links, standing([alone, word]))) == sets("crm:1 email:a", "cookie:c")
    record = order("require", "email:a", "crm:1", number=2, operator=False)
    assert together(partition([], links, standing([alone, record]))) == sets("crm:1", "email:a", "cookie:c")


def test_what_a_withdrawn_source_linked_is_not_linked() -> None:
    links = [seen("crm:1", "email:a", RECORD), Link(one("crm:1"), one("email:b"), RECORD, 0, "other", "x")]
    withdrawn = PlainOrder("o1", "operator", 0, True, "split", withdrawn_source="test")
    assert together(partition([], links, standing([withdrawn]))) == sets("crm:1 email:b", "email:a")


def test_a_forbid_beats_a_chain_of_requires() -> None:
    first, other = order("require", "account:1", "account:2"), order("require", "account:2", "account:3", number=2)
    kept = order("forbid", "account:1", "account:3", number=3)
    assert together(partition([], [], standing([first, other, kept]))) == sets("account:1 account:2", "account:3")


def test_two_readings_of_the_rules_agree_on_random_evidence_and_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that judges drills and the one that judges engines share no code: where they agree, both read right."""
    low = {
        kind: each._replace(limit=LIMITS.get(kind, 0), claimed=1 if each.claimed else 0)
        for kind, each in kinds._TABLE.items()
    }
    monkeypatch.setattr(kinds, "_TABLE", low)
    monkeypatch.setattr(rules, "_IDENTIFIERS_TOGETHER_MAX", CLUSTER_LIMIT)
    for seed in range(60_000, 60_600):
        sequence = Maker(seed, policies=False, namespaces=("default",), claimed_from=1).sequence()
        expected = Expectation(History(enumerate(sequence.identity), sequence.policy, RING.unseal))
        names = {name: Identifier(each.kind, each.value) for name, each in expected.history.identifiers.items()}
        parts = _as_the_oracle_reads(sequence.identity, names)
        found = {frozenset(customer.members) for customer in parts.customers}
        assert found == {frozenset(names[name] for name in each) for each in expected.customers()}, seed
        assert parts.shared == {names[name] for name in expected.model.shared}, seed


def _as_the_oracle_reads(messages: list[IdentityMessage], names: dict[str, Identifier]) -> Partition:
    links = []
    orders: dict[str, PlainOrder | PlainUndo] = {}
    for place, message in enumerate(messages):
        if isinstance(message, Evidence):
            shown = [names[each.fragment] for each in message.identifiers]
            links += [
                Link(*pair, message.grade, message.time, message.source, message.id)
                for pair in itertools.combinations(shown, 2)
            ]
        elif isinstance(message, Undo):
            orders[message.id] = PlainUndo(message.id, message.order)
        elif isinstance(message, Order):
            # The first order by an operator's id is the only one.
            is_operators = message.authority == 2
            key = message.id if is_operators else str(place)
            ends = tuple(names[each.fragment] for each in message.identifiers)
            plain = (message.id, message.source, message.time, is_operators, message.verb)
            orders.setdefault(key, PlainOrder(*plain, ends, message.withdrawn_source))
    return partition(names.values(), links, standing(orders.values()))

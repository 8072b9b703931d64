"""The oracle's partition: each story that the identity rules tell, by hand."""

from bench.oracle.kinds import CLAIMED, LOGIN, RECORD, Identifier
from bench.oracle.partition import Link, Partition, partition


def one(name: str) -> Identifier:
    return Identifier(*name.split(":", 1))


def seen(first: str, other: str, grade: int = CLAIMED, time: int = 0) -> Link:
    return Link(one(first), one(other), grade, time, "test", f"{first}-{other}-{grade}")


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
    united = partition([], links, requires=[(one("crm:1"), one("crm:2"))])
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


def test_a_forbidden_pair_is_kept_apart() -> None:
    links = [seen("crm:1", "email:a", RECORD)]
    parts = partition([], links, forbids=[(one("crm:1"), one("email:a"))])
    assert together(parts) == sets("crm:1", "email:a")


def test_an_identifier_without_evidence_is_its_own_customer() -> None:
    assert together(partition([one("phone:p")], [])) == sets("phone:p")


def test_an_unknown_kind_is_stronger_than_weak_ones_and_weaker_than_a_phone() -> None:
    parts = of(seen("meter:m", "device:d"), seen("meter:m", "phone:p"))
    assert together(parts) == sets("phone:p meter:m device:d")

"""Orders of a drill: the same for a seed, of every sort, and as identity reads them."""

from collections import Counter

from bench.drill.ordering import encode_order
from bench.drill.workload import ORDER_SHARE, workload
from bench.oracle import PlainOrder, PlainUndo
from bench.oracle.kinds import Identifier
from schemas.keys import Keyring
from schemas.messages import Order, Undo, decode_identity
from schemas.orders import Authority

KEYRING = Keyring(b"a secret for tests only")


def test_orders_come_in_every_sort_twice_and_undone_before_and_after() -> None:
    sendings = list(workload(3, 8_000))
    orders = [one.order for one in sendings if one.order is not None]
    records = Counter(one.event["type"] for one in sendings if one.event and one.event["type"].startswith("identity."))
    assert set(records) == {"identity.merged", "identity.removed", "identity.replaced"}
    assert 0.7 * ORDER_SHARE < (len(set(orders)) + records.total()) / 8_000 < 1.3 * ORDER_SHARE
    assert len(orders) > len(set(orders))
    given = [one for one in orders if isinstance(one, PlainOrder)]
    assert {(one.verb, len(one.identifiers)) for one in given} == {
        ("require", 2), ("forbid", 2), ("split", 2), ("split", 1), ("split", 0)
    }  # fmt: skip
    places = {one.id: place for place, one in reversed(list(enumerate(orders)))}
    undone = [one for one in orders if isinstance(one, PlainUndo) and one.order in places]
    assert any(places[one.order] > places[one.id] for one in undone)
    assert any(places[one.order] < places[one.id] for one in undone)


def test_what_is_sent_is_what_identity_reads() -> None:
    pair = Identifier("email", "a@example.com"), Identifier("cookie", "c")
    sent = decode_identity(encode_order(PlainOrder("o", "operator", 7, True, "forbid", pair), KEYRING))
    assert isinstance(sent, Order)
    assert (sent.id, sent.source, sent.time, sent.authority, sent.verb) == (
        "o", "operator", 7, Authority.OPERATOR, "forbid"
    )  # fmt: skip
    assert [KEYRING.unseal(one.sealed, one.fragment)[:2] for one in sent.identifiers] == [*pair]
    undo = decode_identity(encode_order(PlainUndo("u", "o"), KEYRING))
    assert isinstance(undo, Undo)
    assert (undo.id, undo.order) == ("u", "o")

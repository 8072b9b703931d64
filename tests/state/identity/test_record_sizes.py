"""Goal: no record of the identity stage is too large. Method: the largest evidence there can be, through the engine."""

from itertools import combinations

import pytest

from schemas import limits
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.messages import Evidence, Order, SealedIdentifier, Undo, encode
from schemas.orders import AUTHOR_LENGTH_MAX, OPERATOR_SOURCE, ORDER_ID_LENGTH_MAX, REASON_LENGTH_MAX, Verb
from schemas.times import TIME_MAX_US
from schemas.topics import headers_size_bytes
from state.engine import MemoryRows
from state.identity.engine import IdentityEngine
from streams.producer import RECORD_SIZE_BYTES_MAX
from tests.state.builders import RING, fragment_of, sealed

#: Far from the limit, whatever a policy or a registration names: realms and namespaces are an operator's own.
SIZE_BYTES_MAX = RECORD_SIZE_BYTES_MAX // 20


@pytest.mark.parametrize("character", ["\U0001f9f5", "\x01"])
def test_rows_messages_and_decisions_fit(character: str) -> None:
    identifiers = [
        Identifier(kind, f"{number:02d}".ljust(limits.IDENTIFIER_LENGTH_MAX, character))
        for number in range(4)
        for kind in ("crm", "account", "email", "cookie")
    ]
    name = character * min(limits.ID_LENGTH_MAX, limits.NAME_SIZE_BYTES_MAX // len(character.encode()))
    evidence = Evidence(
        name,
        name,
        TIME_MAX_US,
        int(Grade.RECORD),
        tuple(SealedIdentifier(fragment_of(each), each.kind, sealed(each)) for each in identifiers),
        tuple(combinations(range(len(identifiers)), 2)),
    )
    assert len(encode(evidence)) < SIZE_BYTES_MAX
    engine = IdentityEngine(MemoryRows(), RING.unseal, DEFAULT_POLICY)
    engine.apply(encode(evidence), 2**40)
    pair = evidence.identifiers[:2]
    order = Order(
        OPERATOR_SOURCE, "o" * ORDER_ID_LENGTH_MAX, TIME_MAX_US, 2, Verb.FORBID, pair,
        author=character * AUTHOR_LENGTH_MAX, reason=character * REASON_LENGTH_MAX,
    )  # fmt: skip
    record = Order(name, name, TIME_MAX_US, 1, Verb.REQUIRE, pair, former=pair[0].fragment)
    undo = Undo("u" * ORDER_ID_LENGTH_MAX, TIME_MAX_US, "p" * ORDER_ID_LENGTH_MAX, order.author, order.reason)
    for offset, message in enumerate((order, record, undo)):
        assert len(encode(message)) < SIZE_BYTES_MAX
        engine.apply(encode(message), 2**40 + 1 + offset)
    assert engine.counts == {"applied": 4}
    engine.apply(b"x" * RECORD_SIZE_BYTES_MAX, 2**40 + 9)
    drained = engine.drain()
    of_orders, of_policy = 2 * 2 + 1 + 1, 1
    assert len(drained.rows) == len(identifiers) + 2 * len(evidence.pairs) + of_orders + of_policy
    assert all(len(key) + len(value or b"") < SIZE_BYTES_MAX for key, value in drained.rows.items())
    *told, letter = drained.outputs
    assert len(told) > len(identifiers)
    assert all(len(output.value or b"") < SIZE_BYTES_MAX for output in told)
    assert len(letter.value or b"") + headers_size_bytes(letter.headers) < RECORD_SIZE_BYTES_MAX

"""The guard sees customers that grow too large or too fast, and many shared identifiers; each once."""

from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.messages import Order
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from state.identity import guard as module
from state.identity.engine import IdentityEngine
from state.identity.guard import Alarm, Guard, Noticed, Thresholds
from tests.state.identity.driving import KEYRING, DrivenEngine, evidence, fragment, identifier, sealed

HOUR_US = 3_600_000_000


class Guarded(DrivenEngine):
    """An engine that a guard watches."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.noticed: list[Noticed] = []
        self.guard = Guard(self.noticed.append, thresholds)
        super().__init__()

    def restart(self) -> None:
        """Begin anew, with the same guard."""
        self.engine = IdentityEngine(self.rows, KEYRING.unseal, DEFAULT_POLICY, watch=self.guard)

    def see(self, *texts: str, time: int = 0, grade: int = Grade.CLAIMED) -> None:
        """One event that shows these, at a time."""
        self.take(evidence(map(identifier, texts), name=f"e{self.offset}", time=time, grade=grade))
        self.checkpoint()


def test_a_customer_that_gains_too_many_within_an_hour_is_noticed_once() -> None:
    engine = Guarded(Thresholds(gained_per_hour=3))
    for number in range(10):
        engine.see("email:ann@example.com", f"cookie:{number}", time=number)
    assert engine.noticed == [Noticed(Alarm.FAST_GROWTH, fragment("email:ann@example.com"), 4, "shop", "e3")]


def test_what_comes_over_many_hours_is_no_fast_growth_in_whatever_order_it_is_read() -> None:
    engine = Guarded(Thresholds(gained_per_hour=3))
    for number in (*range(0, 20, 2), *range(1, 20, 2)):
        engine.see("email:ann@example.com", f"cookie:{number}", time=number * HOUR_US // 3)
    assert engine.noticed == []


def test_a_merge_counts_all_that_it_brings_and_an_operators_order_is_meant() -> None:
    engine = Guarded(Thresholds(gained_per_hour=5))
    for side in "ab":
        for number in range(5):
            engine.see(f"email:{side}@example.com", f"cookie:{side}{number}", time=number)
    assert engine.noticed == []
    ends = tuple(sealed(identifier(f"email:{side}@example.com")) for side in "ab")
    order = Order(OPERATOR_SOURCE, "o1", HOUR_US * 9, Authority.OPERATOR, Verb.REQUIRE, ends)
    engine.take(order)
    engine.checkpoint()
    assert engine.noticed == []
    engine = Guarded(Thresholds(gained_per_hour=5))
    for side in "ab":
        for number in range(5):
            engine.see(f"email:{side}@example.com", f"cookie:{side}{number}", time=number)
    engine.see("email:a@example.com", "email:b@example.com", time=HOUR_US * 9, grade=Grade.LOGIN)
    (noticed,) = engine.noticed
    assert (noticed.alarm, noticed.size) == (Alarm.FAST_GROWTH, 6)


def test_a_cluster_of_identifying_identifiers_that_grows_large_is_noticed_with_each_further_size() -> None:
    engine = Guarded(Thresholds(cluster_identifiers=3))
    for number in range(4):
        engine.see("account:ann", f"email:{number}@example.com", grade=Grade.LOGIN)
    assert [(noticed.alarm, noticed.size) for noticed in engine.noticed] == [
        (Alarm.LARGE_CLUSTER, 4),
        (Alarm.LARGE_CLUSTER, 5),
    ]
    engine.take(evidence(map(identifier, ("account:ann", "email:0@example.com")), source="crm", grade=Grade.LOGIN))
    engine.checkpoint()
    assert len(engine.noticed) == 2


def test_many_identifiers_that_turn_out_to_be_shared_within_an_hour_are_noticed() -> None:
    engine = Guarded(Thresholds(shared_per_hour=2))
    for number in range(4):
        for side in "ab":
            engine.see(f"phone:+3161234567{number}", f"email:{side}@example.com", time=number)
    assert [(noticed.alarm, noticed.customer, noticed.size) for noticed in engine.noticed] == [
        (Alarm.MANY_SHARED, "", 3)
    ]


def test_thresholds_of_zero_say_nothing_and_memory_is_bounded() -> None:
    engine = Guarded(Thresholds(0, 0, 0))
    for number in range(30):
        engine.see("email:ann@example.com", f"cookie:{number}")
    assert engine.noticed == []
    assert module.CUSTOMERS_MAX * 300 < 10 * 1024 * 1024


def test_the_guard_changes_nothing() -> None:
    rows = []
    for engine in (Guarded(Thresholds(1, 1, 1)), DrivenEngine()):
        for number in range(6):
            engine.take(evidence(map(identifier, ("email:ann@example.com", f"cookie:{number}")), time=number))
        engine.checkpoint()
        rows.append((engine.rows.rows, engine.outputs))
    assert rows[0] == rows[1]

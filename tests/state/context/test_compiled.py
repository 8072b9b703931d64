"""Goal: the compiled library says what Python says, to the byte. Method: both get the same records, and are compared.

Outputs with their order, rows, counts and dead letters are compared after each checkpoint. That the library refuses
everything would pass as well, so tests say of what is plain that it was taken.
"""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generator import SOURCES_FILE, Plan, encode, generate
from bench.job.events import Plan as JobPlan
from bench.job.events import arrivals, event
from bench.job.forms import SECRET, Forms
from schemas.cleaning import Cleaner
from schemas.event import parse_structured
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.messages import encode as encode_message
from schemas.sources import load_sources
from schemas.topics import DEFAULT_CHANNELS, Topic
from state.context.engine import ContextEngine
from state.dedupe import Dedupe
from state.engine import MemoryRows
from state.fragment import Limits
from state.join import JoinRules
from state.native.loading import Library
from tests.state.builders import LIBRARY, RING, fragment_of, routed
from tests.state.context.bench import Bench
from tests.state.context.odd_messages import PEOPLE, OddMessages
from tests.state.context.twins import Make, Twins

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="the library is not built: no rustc, or not yet made")
JOB_RING = Keyring(SECRET.encode())
#: 2100-01-01.
_FAR_FUTURE_US = 4_102_444_800_000_000
_LIMITS = (0, 1, 2, 3, 5)


@pytest.fixture(name="library")
def _library() -> Library:
    assert LIBRARY is not None
    return LIBRARY


def _plain(rows: MemoryRows, library: Library | None) -> ContextEngine:
    return ContextEngine(rows, RING.unseal, JoinRules(DEFAULT_POLICY), library=library)


def _jobs(rows: MemoryRows, library: Library | None) -> ContextEngine:
    return ContextEngine(rows, JOB_RING.unseal, JoinRules(DEFAULT_POLICY), library=library)


def _tight(chance: Random) -> Make:
    """Engines with limits, caches and dedupe rows that are often too small."""
    shown, kept = (Limits(*(chance.choice(_LIMITS) for _ in range(9))) for _ in range(2))
    rules = JoinRules(DEFAULT_POLICY, limits=shown if chance.random() < 0.5 else Limits())
    limits = kept if chance.random() < 0.3 else None
    row_size, cached = chance.choice((40, 4_096, 4_096)), chance.choice((0, 1 << 20))
    cached_rows, document_size = chance.choice((0, 1_000)), chance.choice((900_000, 900_000, 3_000, 60_000))

    def make(rows: MemoryRows, library: Library | None) -> ContextEngine:
        return ContextEngine(
            rows,
            RING.unseal,
            rules,
            dedupe=Dedupe(rows, row_size_bytes_max=row_size, cached_size_bytes_max=cached),
            cached_rows_max=cached_rows,
            document_size_bytes_max=document_size,
            limits=limits,
            library=library,
        )

    return make


@settings(max_examples=120)
@given(st.integers(0, 1 << 32))
def test_odd_messages_give_the_same(seed: int) -> None:
    assert LIBRARY is not None
    chance = Random(seed)
    members = chance.random() < 0.5
    twins = Twins(LIBRARY, _tight(chance))
    messages = OddMessages(chance, chance.choice((1, 3, len(PEOPLE))), members=members)
    sent: list[bytes] = []
    back: list[bytes] = []
    for _ in range(chance.randrange(1, 8)):
        values = back
        for _ in range(chance.randrange(30)):
            repeats = sent and chance.random() < 0.1
            values.append(chance.choice(sent) if repeats else messages.draw())
        sent += values
        outputs = twins.publish(values, again=5 if chance.random() < 0.05 else 0)
        # What fragments say to owners comes back to them.
        back = [each.value for each in outputs if each.topic == Topic.ROUTED and each.value] if members else []
        happens = chance.random()
        if happens < 0.15:
            twins.restart()
        elif happens < 0.3:
            twins.exchange()


def test_the_library_takes_all_of_the_job(library: Library) -> None:
    plan = JobPlan(events=1_500, customers=120, hot_share=0.05)
    forms = Forms(JOB_RING)
    values = [forms.routed(event(plan, number), place).value for place, number in enumerate(arrivals(plan))]
    twins = Twins(library, _jobs)
    for start in range(0, len(values), 400):
        twins.publish(values[start : start + 400])
        twins.restart()
    assert twins.library.refused == 0
    assert twins.library.taken > 300


def test_the_generators_people_give_the_same(library: Library) -> None:
    cleaner = Cleaner(
        policy=DEFAULT_POLICY, registry=load_sources(SOURCES_FILE), keyring=RING, channels=DEFAULT_CHANNELS
    )
    values = [
        encode_message(
            cleaner.clean(parse_structured(encode(event)), topic_channel=event["channel"], now_us=_FAR_FUTURE_US).routed
        )
        for event in generate(Plan(customers=40, events=800))
    ]
    twins = Twins(library, _plain)
    for start in range(0, len(values), 250):
        twins.publish(values[start : start + 250])
    assert twins.library.taken > 9 * twins.library.refused


def test_a_library_that_fails_is_gone_past() -> None:
    class Failing(Library):
        """One that reads nothing, or the half of it."""

        def __init__(self, plan: bytes | None) -> None:
            self._answer = plan

        def plan(self, settings: bytes, request: bytes) -> bytes | None:
            """Nothing is needed, or nothing could be read."""
            assert LIBRARY is not None
            return None if self._answer is None else LIBRARY.plan(settings, request)

        def step(self, settings: bytes, request: bytes, supply: bytes) -> bytes | None:
            """A panic."""
            assert settings
            assert request
            assert supply
            return None

    general, *failing = (Bench(library=library) for library in (None, Failing(None), Failing(b"as it does")))
    events = [routed(who, id=f"e-{number}") for number in range(3) for who in PEOPLE]
    said = general.publish(*events)
    for bench in failing:
        assert bench.publish(*events) == said
        assert bench.rows.rows == general.rows.rows


def test_engines_of_several_threads_do_not_disturb_each_other(library: Library) -> None:
    def run(seed: int) -> int:
        chance = Random(seed)
        twins = Twins(library, _plain)
        messages = OddMessages(chance, len(PEOPLE), members=True)
        for _ in range(12):
            twins.publish([messages.draw() for _ in range(60)])
        return twins.library.taken

    with ThreadPoolExecutor(4) as threads:
        assert min(threads.map(run, range(4))) > 0


def test_where_days_are_forgotten_python_does_it(library: Library) -> None:
    bench = Bench(library=library, horizon_days=3)
    assert bench.engine._compiled is None
    assert {each.key for each in bench.publish(routed())} == {fragment_of(PEOPLE[0]).encode()}

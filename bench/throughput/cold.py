"""Part (c): an installation with a million customers on disk, of whom each event touches one that is in no cache.

It is filled once; each round then lays events of customers by chance, starts a worker over them, and measures.
Documents are judged for one customer in two hundred, by all events that they ever had.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from bench.job.check import judge
from bench.job.events import Plan
from bench.job.feed import lay
from bench.job.outputs import Ends, read_documents
from bench.job.persons import Happening, Households, happening, shown_fields
from bench.job.reference import Expectation, expect
from bench.job.topics import INTERACTIONS, PARTITIONS, stamp_appends
from bench.throughput.engines import PipelineEngine
from bench.throughput.loads import Load
from bench.throughput.passage import FROM_THE_START, make_place, pass_through
from bench.throughput.run import WARM_UP_SHARE, Run, Stored, figures, shown, written
from bench.throughput.sampling import folder_size_bytes
from bench.throughput.site import Site

NAME: Final = "pipeline, cold"
#: One customer of so many is judged.
JUDGED_EVERY: Final = 200
_SEED: Final = 7


class ColdInstallation:
    """The installation; it is filled when it is first measured.

    Args:
        site: Where it is.
        customers: How many it knows before the first round.
        tell: Is told how it goes.
    """

    name: Final = NAME

    def __init__(self, site: Site, customers: int, tell: Callable[[str], None]) -> None:
        self._engine = PipelineEngine(NAME)
        self._place = make_place(self._engine, site, 0)
        self._customers = customers
        self._tell = tell
        #: Events of the customers that are judged, of all rounds.
        self._judged: list[Happening] = []

    def measure(self, events: int, number: int) -> Run:
        """Lay so many events more, and run a worker over them.

        Raises:
            RestartNeeded: the worker did not start, ended by itself, or did not write all interactions in time.
        """
        if not self._judged:
            self._fill()
        plan = Plan(events=events, customers=self._customers, seed=_SEED + number, part=f"c{number}-")
        load, place, engine = Load(plan), self._place, self._engine
        bootstrap_servers = place.site.bootstrap_servers
        starts, before = self._committed(), Stored(written(engine, place), folder_size_bytes(place.state))
        laid = lay(bootstrap_servers, engine.backlog(load, place), PARTITIONS)
        expectation = self._expect(plan)
        # A worker refuses to start with any other stamps than its own.
        stamp_appends(bootstrap_servers, place.prefix + INTERACTIONS, by_broker=False)
        passage = pass_through(engine, place, events, starts=starts, kept=frozenset(expectation.documents))
        read_documents(bootstrap_servers, place.prefix, passage.outputs)
        verdict = judge(expectation, passage.outputs, exactly_once=True, is_pipeline=True)
        sizes = {name: size - before.topics.get(name, 0) for name, size in written(engine, place).items()}
        # Merging tables may take away more than came.
        stored = Stored(sizes, max(0, folder_size_bytes(place.state) - before.state))
        run = figures(engine, load, passage, verdict, stored=stored, laid=laid, warm_up_share=WARM_UP_SHARE)
        self._tell(shown(run))
        return run

    def _fill(self) -> None:
        plan = Plan(
            events=self._customers,
            customers=self._customers,
            seed=_SEED,
            duplicate_share=0.0,
            in_turn=True,
            part="first-",
        )
        self._tell(f"{self._customers:,} customers are made known, each by one event")
        self._engine.prepare(self._place)
        lay(self._place.site.bootstrap_servers, self._engine.backlog(Load(plan), self._place), PARTITIONS)
        pass_through(self._engine, self._place, plan.events, starts=FROM_THE_START, kept=frozenset())
        self._judged.extend(self._of_judged(plan))

    def _committed(self) -> tuple[int, ...]:
        ends = Ends(self._place.site.bootstrap_servers, self._place.prefix)
        try:
            return ends.committed(INTERACTIONS)
        finally:
            ends.close()

    def _of_judged(self, plan: Plan) -> Iterator[Happening]:
        happenings = (happening(plan, number) for number in range(plan.events))
        return (each for each in happenings if each.event.customer % JUDGED_EVERY == 0)

    def _expect(self, plan: Plan) -> Expectation:
        """Documents of the judged customers by all that they ever did; interactions of this round's events."""
        self._judged.extend(self._of_judged(plan))
        households = Households()
        for each in self._judged:
            households.show(each.identifiers)
        households.settle()
        documents = expect((households.home(each.identifiers), shown_fields(each)) for each in self._judged).documents
        return Expectation(documents, expect(_unnamed(plan)).interactions)


def _unnamed(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """The plan's events; whose they are is not judged by their interactions."""
    return (("", shown_fields(happening(plan, number))) for number in range(plan.events))

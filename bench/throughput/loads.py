"""What is laid before an engine: a plan's events in each form, made once and kept, and what must come of them."""

from collections.abc import Iterator
from functools import cached_property

from bench.job.events import Plan, arrivals, event
from bench.job.feed import Laid
from bench.job.forms import Forms, Keyed, job_fields
from bench.job.persons import Households, happening, raw, shown_fields
from bench.job.reference import Expectation, expect
from bench.job.topics import EVENTS
from schemas.topics import RAW, Topic


class Load:
    """A plan's events; each form is made when it is first asked for."""

    def __init__(self, plan: Plan, forms: Forms | None = None) -> None:
        self.plan = plan
        self._forms = forms or Forms()

    @cached_property
    def arrivals(self) -> list[int]:
        """Numbers of events in the order of arrival, copies among them."""
        return list(arrivals(self.plan))

    def job(self, prefix: str) -> Iterator[Laid]:
        """For peers."""
        return (Laid(prefix + EVENTS, each.key, each.value) for each in self._job)

    def routed(self, prefix: str) -> Iterator[Laid]:
        """For the context stage."""
        return (Laid(prefix + Topic.ROUTED, each.key, each.value) for each in self._routed)

    def raw(self, prefix: str) -> Iterator[Laid]:
        """For the whole pipeline: keyed by nothing, as channels send them."""
        return (Laid(f"{prefix}{RAW}{channel}", None, value) for channel, value in self._raw)

    @cached_property
    def expectation(self) -> Expectation:
        """What must come of the job."""
        events = (event(self.plan, number) for number in range(self.plan.events))
        return expect((self._forms.customer(each.customer), job_fields(each)) for each in events)

    @cached_property
    def pipeline_expectation(self) -> Expectation:
        """What must come of the whole pipeline."""
        households = Households()
        for number in range(self.plan.events):
            households.show(happening(self.plan, number).identifiers)
        households.settle()
        happenings = (happening(self.plan, number) for number in range(self.plan.events))
        return expect((households.home(each.identifiers), shown_fields(each)) for each in happenings)

    @property
    def job_event_size_bytes(self) -> float:
        """Of a value of the job, on average."""
        return sum(len(each.value) for each in self._job) / len(self._job)

    @property
    def raw_event_size_bytes(self) -> float:
        """Of a raw event, on average."""
        return sum(len(value) for _, value in self._raw) / len(self._raw)

    @cached_property
    def _job(self) -> list[Keyed]:
        return [self._forms.job(event(self.plan, number)) for number in self.arrivals]

    @cached_property
    def _routed(self) -> list[Keyed]:
        return [self._forms.routed(event(self.plan, number), place) for place, number in enumerate(self.arrivals)]

    @cached_property
    def _raw(self) -> list[tuple[str, bytes]]:
        happenings = (happening(self.plan, number) for number in self.arrivals)
        return [(each.event.channel, raw(each)) for each in happenings]

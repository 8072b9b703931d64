"""The small run of `goldenthread up --demo`: forty people, one of them Ann Example, over the last two weeks."""

from typing import Any, Final

from bench.generator import Plan, generate
from bench.population import example_person

_CUSTOMERS: Final = 40
_EVENTS: Final = 600
_SPAN_SECONDS: Final = 14 * 86_400
#: What the demo's printed commands ask for: all of them lead to Ann Example's context.
EXAMPLE_EMAIL: Final = example_person().emails[0]
EXAMPLE_PHONE: Final = example_person().phone
EXAMPLE_CRM: Final = example_person().crm
EXAMPLE_COOKIE: Final = example_person().cookies[0]


def demo_events(now_us: int) -> list[dict[str, Any]]:
    """About 630 CloudEvents in the order of arrival, the last of them just before `now_us`; none in the future.

    Args:
        now_us: microseconds since 1970, UTC.
    """
    plan = Plan(
        customers=_CUSTOMERS,
        events=_EVENTS,
        seed=7,
        # The last event happens one gap before the end.
        start_us=now_us - _SPAN_SECONDS * 1_000_000,
        events_per_second=_EVENTS / _SPAN_SECONDS,
    )
    # Every run happens at its own time, so its events are others than those of the run before.
    run = now_us // 1_000_000
    return [event | {"id": f"{event['id']}-{run}"} for event in generate(plan)]

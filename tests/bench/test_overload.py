"""Ten times what a worker takes, for seconds: memory stays, lag says so, nothing is lost, and it catches up."""

import secrets

from bench.overload import Plan, overload

THROTTLE_PER_SECOND = 200
# Four thousand events of 8 KB: what is held of them all would show.
FLOOD_SECONDS = 2
PADDING_BYTES = 8_000
#: The read-ahead, and what caches and buffers take of the few hundred events that are folded meanwhile.
GROWTH_MIB_MAX = 30


def test_a_flood_leaves_memory_as_it_is_grows_lag_and_loses_nothing(broker: str) -> None:
    unique = f"flood-{secrets.token_hex(4)}"
    report = overload(
        Plan(
            warm_events=0,
            flood_per_second=10 * THROTTLE_PER_SECOND,
            flood_seconds=FLOOD_SECONDS,
            throttle_per_second=THROTTLE_PER_SECOND,
            padding_bytes=PADDING_BYTES,
            partitions=2,
            settings={"GOLDENTHREAD_READ_AHEAD_MB": "12", "GOLDENTHREAD_APPLICATION": unique},
            bootstrap_servers=broker,
            prefix=f"{unique}.",
        )
    )
    told = "\n".join(report.lines())
    flood = report.flood()
    assert report.is_exact, told
    assert report.distinct > 3_500, told
    # Far more came than was folded meanwhile, and the lookup knew.
    assert flood[-1].folded < flood[-1].sent / 2, told
    assert report.lag_seconds_max > 1, told
    assert flood[-1].worker_mib - flood[0].worker_mib < GROWTH_MIB_MAX, told

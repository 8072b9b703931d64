"""Waiting for a broker: away is waited for, wrong topics are not."""

import asyncio
from collections.abc import Callable

import pytest

from connectors.collect import broker_readiness
from connectors.collect.broker_readiness import BrokerReadiness
from schemas.errors import BrokerUnreachable, RestartNeeded, TopicError
from tests.waiting import until


class _Looks:
    """What each look meets next; counts them."""

    def __init__(self) -> None:
        self.faults: dict[str, Exception] = {}
        self.counts: dict[str, int] = {}

    def at(self, name: str) -> Callable[[], None]:
        def look() -> None:
            self.counts[name] = self.counts.get(name, 0) + 1
            if name in self.faults:
                raise self.faults[name]

        return look

    def readiness(self) -> BrokerReadiness:
        return BrokerReadiness(
            probe=self.at("probe"),
            find_topics=self.at("find_topics"),
            verify=self.at("verify"),
            verify_producer=self.at("verify_producer"),
        )


async def test_away_then_there_then_away_again() -> None:
    looks = _Looks()
    readiness = looks.readiness()
    seen = [(readiness.report().ready, readiness.verified)]
    looks.faults["probe"] = BrokerUnreachable("no broker answers at nowhere")
    await readiness.look()
    assert readiness.report().reasons == ("no broker answers at nowhere",)
    seen.append((readiness.report().ready, readiness.verified))
    looks.faults.clear()
    await readiness.look()
    seen.append((readiness.report().ready, readiness.verified))
    looks.faults["probe"] = BrokerUnreachable("away")
    await readiness.look()
    seen.append((readiness.report().ready, readiness.verified))
    assert seen == [(False, False), (False, False), (True, True), (False, True)]
    assert looks.counts == {"probe": 3, "find_topics": 1, "verify": 1, "verify_producer": 3}


async def test_missing_topic_is_waited_for() -> None:
    looks = _Looks()
    readiness = looks.readiness()
    looks.faults["find_topics"] = TopicError("topic gt.raw.web does not exist")
    await readiness.look()
    assert readiness.report().reasons == ("topic gt.raw.web does not exist",)
    assert "verify" not in looks.counts
    looks.faults.clear()
    await readiness.look()
    assert readiness.report().ready


async def test_wrong_topic_ends_the_watch() -> None:
    looks = _Looks()
    looks.faults["verify"] = TopicError("gt.raw.web has 3 partitions")
    with pytest.raises(TopicError, match="3 partitions"):
        await looks.readiness().watch()


async def test_broken_producer_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_readiness, "WATCH_INTERVAL_SECONDS", 0.001)
    looks = _Looks()
    readiness = looks.readiness()
    watching = asyncio.create_task(readiness.watch())
    async with asyncio.timeout(5):
        await until(lambda: readiness.report().ready)
        looks.faults["verify_producer"] = RestartNeeded("sequence lost")
        with pytest.raises(RestartNeeded, match="sequence lost"):
            await watching

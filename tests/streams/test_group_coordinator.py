"""What a coordinator says of the whole group counts; and aiokafka is as it was when this was written."""

from typing import Any

import pytest
from aiokafka import errors
from aiokafka.consumer import consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3
from aiokafka.structs import TopicPartition

from streams.group_coordinator import HeedingCoordinator, heed_group_errors

ASKED = TopicPartition("gt.routed", 0)


class _Client:
    """Answers every request with the same."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def send(self, _node: int, request: Any, *, group: Any) -> Any:  # noqa: ARG002 - aiokafka's signature.
        assert isinstance(request, OffsetFetchRequest)
        return self._answer


def _coordinator(made_of: Any, error_code: int, topics: list[Any]) -> Any:
    coordinator = made_of.__new__(made_of)
    coordinator.group_id = "group"
    coordinator.coordinator_id = 1
    coordinator._client = _Client(OffsetFetchResponse_v3(0, topics, error_code))
    coordinator.deaths = 0

    def dead() -> None:
        coordinator.deaths += 1

    coordinator.coordinator_dead = dead
    return coordinator


@pytest.mark.parametrize(
    ("error", "deaths"), [(errors.GroupLoadInProgressError, 0), (errors.NotCoordinatorForGroupError, 1)]
)
async def test_an_error_of_the_whole_group_is_raised_and_may_be_tried_again(
    error: type[errors.KafkaError], deaths: int
) -> None:
    coordinator = _coordinator(HeedingCoordinator, error.errno, [])
    with pytest.raises(error) as raised:
        await coordinator._do_fetch_commit_offsets([ASKED])
    assert raised.value.retriable
    assert coordinator.deaths == deaths


async def test_aiokafka_alone_takes_such_an_error_for_no_offsets() -> None:
    # Once it does not, this module has nothing more to do.
    coordinator = _coordinator(GroupCoordinator, errors.GroupLoadInProgressError.errno, [])
    assert await coordinator._do_fetch_commit_offsets([ASKED]) == {}


async def test_offsets_come_as_they_did() -> None:
    coordinator = _coordinator(HeedingCoordinator, 0, [("gt.routed", [(0, 7, "", 0)])])
    offsets = await coordinator._do_fetch_commit_offsets([ASKED])
    assert offsets[ASKED].offset == 7


def test_consumers_join_with_it() -> None:
    heed_group_errors()
    heed_group_errors()
    assert consumer.GroupCoordinator is HeedingCoordinator

"""A group member that heeds what a coordinator says of the whole group when it is asked for offsets.

A coordinator that is just loading, or just going, answers with an error for the group and with no partitions at all.
aiokafka looks at errors of partitions only, and takes the answer for: nothing was ever committed. A worker would stop
for want of its offsets whenever a broker restarts. Its consumer finds the class as a global of its module, so that is
what `heed_group_errors` sets. What is private to aiokafka 0.14.0 here, tests/streams/test_group_coordinator.py holds
it to.
"""

from typing import Any

from aiokafka import errors
from aiokafka.consumer import consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetFetchRequest


def heed_group_errors() -> None:
    """Have every consumer of this process join its group with `HeedingCoordinator`. A second call changes nothing."""
    consumer.GroupCoordinator = HeedingCoordinator


class HeedingCoordinator(GroupCoordinator):  # type: ignore[misc]
    """aiokafka's coordinator, whose fetches of offsets fail where the answer says so; callers try again."""

    async def _send_req(self, request: Any) -> Any:
        answer = await super()._send_req(request)
        code = getattr(answer, "error_code", 0) if isinstance(request, OffsetFetchRequest) else 0
        if code:
            error = errors.for_code(code)
            if error in (errors.NotCoordinatorForGroupError, errors.GroupCoordinatorNotAvailableError):
                self.coordinator_dead()
            raise error("the coordinator answered for the whole group")
        return answer

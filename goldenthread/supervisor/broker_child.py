"""The local broker as a supervised child."""

import asyncio
from typing import Final

from goldenthread.supervisor.child_spec import ChildSpec
from streams.broker.configuration import BROKER_LOG
from streams.broker.local_broker import LocalBroker

BROKER: Final = "broker"


def broker_child(broker: LocalBroker) -> ChildSpec:
    """How to supervise a prepared broker; the caller closes it after the supervisor has ended."""

    async def answers() -> bool:
        return await asyncio.to_thread(broker.answers)

    options = broker.options
    return ChildSpec(
        name=BROKER,
        command=tuple(broker.command),
        environment=broker.environment,
        directory=options.data_dir,
        own_log=options.data_dir / BROKER_LOG,
        ready=answers,
        ready_deadline_s=options.ready_deadline_s,
        stop_deadline_s=options.stop_deadline_s,
        niceness=options.niceness,
    )

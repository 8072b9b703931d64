"""A worker process with the real application over the counting engine; run by test_application.

Exits with 0 after an orderly end by SIGTERM, with the error's code when it was ended by one.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from schemas.errors import EXIT_RESTART, GoldenthreadError
from schemas.topics import Catalogue, Topic
from state.store_cache import shared_cache
from streams.application import Application, ApplicationOptions, make_app
from streams.checkpoint_options import CheckpointOptions
from streams.faults import fault_hook
from streams.kafka import KafkaOptions
from streams.logs import configure_logs
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy
from streams.stage import StatefulStage
from tests.streams.counting import make_counting

SESSION_TIMEOUT_SECONDS = 6.0
# A static member is expected back: a slow machine starts it within this.
STATIC_SESSION_TIMEOUT_SECONDS = 60.0


async def run(kafka: KafkaOptions, catalogue: Catalogue, folder: Path, plan: str, instance_id: str = "") -> None:
    """Work until SIGTERM."""
    # Brokers take no shorter session than this one is set to.
    session_timeout_s = STATIC_SESSION_TIMEOUT_SECONDS if instance_id else SESSION_TIMEOUT_SECONDS
    options = ApplicationOptions(
        kafka, catalogue.prefix, folder, session_timeout_s=session_timeout_s, instance_id=instance_id or None
    )
    metrics = Metrics("worker", "1")
    application = Application(make_app(options), metrics)
    stage = StatefulStage(
        CheckpointOptions(
            kafka, catalogue, catalogue.prefix, "counting", Topic.ROUTED, Topic.STATE, folder, "f",
            metrics, shared_cache(8 * 1024 * 1024), fault_hook(plan, "counting"),
        ),
        make_counting,
        acknowledge=application.acknowledge,
        policy=CheckpointPolicy(interval_ms=50, events_max=500),
        fatal=application.fatal,
    )  # fmt: skip
    application.add(stage)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    try:
        await application.run(stopping)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the process's end, as in the real worker.
        sys.stderr.write(f"ended by {error!r}\n")
        sys.stderr.flush()
        os._exit(error.exit_code if isinstance(error, GoldenthreadError) else EXIT_RESTART)
    os._exit(0)


def main() -> None:
    """Read the arguments: brokers, prefix, partitions, folder, plan, and the name of a static member if it is one."""
    brokers, prefix, partitions, folder, plan, *names = sys.argv[1:]
    configure_logs("INFO")
    catalogue = Catalogue(prefix=prefix, partitions=int(partitions), channels=("web",))
    asyncio.run(run(KafkaOptions(brokers), catalogue, Path(folder), plan, *names))


if __name__ == "__main__":
    main()

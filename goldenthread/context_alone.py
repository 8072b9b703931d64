"""The context stage by itself, as a process: for whoever measures it. Settings are the worker's, from the environment.

It reads `routed` and does all that a worker's context stage does: ownership, changes, checkpoints with their
transactions. Intake and identity, and what watches over them, are left out. `python -m goldenthread.context_alone` says
`ready` on standard output once its partitions are its own, and runs until SIGTERM.
"""

import asyncio
import sys
from importlib.metadata import version
from typing import Final

from agents import context
from goldenthread.parts import Parts, make_parts
from goldenthread.processes.running import run_process
from goldenthread.secret import keyring
from goldenthread.settings import load_settings
from goldenthread.stage_options import context_factory, stage_options
from schemas.topics import Topic
from state.store_cache import shared_cache
from streams.application import Application, ApplicationOptions, make_app
from streams.broker.directory_lock import DirectoryLock
from streams.logs import configure_logs
from streams.metrics import WORKER_SERVICE, Metrics
from streams.partition import CheckpointPolicy
from streams.stage import StatefulStage
from streams.topics import topic_ids, verify_topics, wait_for_broker

READY: Final = "ready"
BROKER_WAIT_SECONDS: Final = 60.0


class ContextAlone:
    """One process with the context stage."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._metrics = Metrics(WORKER_SERVICE, version("goldenthread"))

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set.

        1. Have the worker's folder for this process alone. 2. Verify the topics that it reads and keeps its state in;
        whoever measures has the outputs stamped by the broker. 3. Run the stage.

        Raises:
            GoldenthreadError: what ended it.
        """
        parts = self._parts
        # Step 1.
        folder = DirectoryLock(parts.settings.worker_dir, setting="GOLDENTHREAD_DATA_DIR")
        folder.acquire()
        try:
            # Step 2.
            wait_for_broker(parts.kafka, BROKER_WAIT_SECONDS)
            routed = parts.catalogue.name(context.INPUT)
            verify_topics(parts.kafka, parts.catalogue, [routed, parts.catalogue.name(Topic.STATE)])
            # Step 3.
            application = self._application(routed)
            application.add(self._stage(application))
            told = asyncio.create_task(_tell_ready(application))
            try:
                await application.run(stopping)
            finally:
                told.cancel()
        finally:
            folder.release()

    def _application(self, routed: str) -> Application:
        parts = self._parts
        settings = parts.settings
        options = ApplicationOptions(
            parts.kafka,
            settings.application,
            settings.worker_dir,
            session_timeout_s=settings.session_timeout_s,
            instance_id=f"{settings.application}-{settings.worker_index}",
            topic_ids=topic_ids(parts.kafka, [routed]),
            read_ahead_size_bytes_max=settings.read_ahead_size_bytes_max,
        )
        return Application(make_app(options), self._metrics)

    def _stage(self, application: Application) -> StatefulStage:
        parts = self._parts
        settings = parts.settings
        engines = context_factory(parts, self._metrics)
        options = stage_options(
            parts,
            context.STAGE,
            data_dir=settings.worker_dir,
            metrics=self._metrics,
            cache=shared_cache(settings.store_cache_size_bytes),
        )
        policy = CheckpointPolicy(
            settings.checkpoint_interval_ms, settings.checkpoint_events_max, settings.checkpoint_pause_ms
        )
        return StatefulStage(
            options, engines, acknowledge=application.acknowledge, policy=policy, fatal=application.fatal
        )


async def _tell_ready(application: Application) -> None:
    await application.joined.wait()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the process."""
    settings = load_settings()
    configure_logs(settings.log_level)
    parts = make_parts(settings, "worker", keyring(settings))
    run_process("context stage", ContextAlone(parts).run)


if __name__ == "__main__":
    main()

"""`state accept-gap` and `state gaps`: going on where something is gone, and what was given up so far."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown, table
from goldenthread.parts import catalogue_of, kafka_of
from goldenthread.settings import Settings, load_settings
from schemas.errors import EXIT_PROBLEMS_FOUND, UsageError
from schemas.times import format_time
from streams.logs import configure_logs

if TYPE_CHECKING:
    from streams.acceptance import AcceptanceOptions, Plan

# The session of a worker that stopped runs out in its time, and a little later at the broker.
_SESSION_GRACE_SECONDS: Final = 5.0
_SCRATCH: Final = "accept-gap-scratch"
_REPLAYED: Final = (
    "all raw topics are read again from their begin: what was lost on the way and is still there is had again, and "
    "copies are recognised"
)
_NOT_REPLAYED: Final = "raw topics are not read again: what was lost on the way stays lost (--replay would read them)"
_NO_REPLAY_NEEDED: Final = "raw topics need not be read again: nothing was lost behind them"


def accept_gap(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for those who read it later; needed with --yes.")] = None,
    replay: Annotated[
        bool | None,
        typer.Option(
            "--replay/--no-replay", help="Read the raw topics again from their begin; by default where it may help."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Go on where a worker stopped because something that it was to read, or its state, is gone.

    All workers have to be stopped. Says what is gone and where work would go on; with --yes it does that, and
    announces all owners of identifiers again. Can be called again after it was cut short.
    """
    if yes and not (reason or "").strip():
        raise UsageError("--yes needs --reason TEXT: who looks at this later should know why")
    # Kafka and RocksDB are loaded by those commands that use them.
    from goldenthread.local_broker import answering_broker
    from schemas.errors import OperatorNeeded
    from streams.acceptance import Plan, accept, wait_without_members
    from streams.gap_search import find_gaps
    from streams.topics import verify_topics

    settings = load_settings()
    configure_logs("WARNING")
    options = _options(settings)
    with answering_broker(settings):
        verify_topics(options.kafka, options.catalogue)
        if yes:
            wait_without_members(options, settings.session_timeout_s + _SESSION_GRACE_SECONDS)
        gaps = find_gaps(options.kafka, options.application, options.catalogue, options.stages)
        announces = Plan(tuple(gaps), replays=False).announces
        plan = Plan(tuple(gaps), announces if replay is None else replay)
        final = next((gap for gap in gaps if not gap.is_acceptable), None)
        done = yes and final is None and bool(gaps or plan.replays)
        if done:
            accept(options, plan, reason or "")
    if json:
        print_json(_summary(plan, done))
    else:
        _print(plan, done)
    if final is not None:
        raise OperatorNeeded(f"this can't be accepted as a gap: {final.gone}: {final.consequence} (docs/gaps.md)")
    if gaps and not yes:
        sys.exit(EXIT_PROBLEMS_FOUND)


def gaps(json: JsonFlag = False) -> None:
    """List the gaps that were accepted: when, by whom, why, and what was gone. It reads all changelogs."""
    from goldenthread.local_broker import answering_broker
    from streams.acceptance import accepted_gaps

    settings = load_settings()
    configure_logs("WARNING")
    options = _options(settings)
    with answering_broker(settings):
        found = accepted_gaps(options)
    if json:
        for gap in found:
            print_json(gap)
        return
    columns = ("time", "by", "partition", "era", "goes on", "gone", "reason")
    rows: list[Sequence[Any]] = [
        (
            format_time(gap.time_ms * 1000),
            gap.accepted_by,
            f"{gap.topic}/{gap.partition}",
            gap.era or "",
            gap.next_offset,
            gap.gone,
            gap.reason,
        )
        for gap in found
    ]
    if rows:
        OUT.print(table(columns, rows))
    else:
        ERR.print("No gap was ever accepted.")


def _options(settings: Settings) -> "AcceptanceOptions":
    from agents.stages import stateful_stages
    from streams.acceptance import AcceptanceOptions

    catalogue = catalogue_of(settings)
    identity, context = stateful_stages(catalogue)
    return AcceptanceOptions(
        kafka=kafka_of(settings, "state"),
        catalogue=catalogue,
        application=settings.application,
        identity=identity,
        context=context,
        scratch=settings.data_dir / _SCRATCH,
    )


def _summary(plan: "Plan", done: bool) -> dict[str, Any]:
    return {
        "accepted": done,
        "gaps": [
            {
                "cause": gap.cause.value,
                "stage": gap.stage,
                "topic": gap.topic,
                "partition": gap.partition,
                "gone": gap.gone,
                "goes_on": gap.goes_on,
                "consequence": gap.consequence,
                "lost": not gap.is_harmless,
            }
            for gap in plan.gaps
        ],
        "announces": plan.announces,
        "replays": plan.replays,
    }


def _print(plan: "Plan", done: bool) -> None:
    if not plan.gaps:
        OUT.print("There is no gap: workers can go on as they are.")
    for gap in plan.gaps:
        OUT.print(shown(f"- {gap.gone}"))
        OUT.print(shown(f"  {gap.consequence}"))
    if plan.gaps or plan.replays:
        if plan.announces:
            OUT.print("- the owners of all identifiers are announced again, so that nothing stays stale")
        replay = _REPLAYED if plan.replays else _NOT_REPLAYED if plan.announces else _NO_REPLAY_NEEDED
        OUT.print(shown(f"- {replay}"))
    if done:
        OUT.print("Accepted. Start the workers.")
    elif plan.gaps:
        OUT.print("Nothing was changed. With all workers stopped: goldenthread state accept-gap --yes --reason TEXT")

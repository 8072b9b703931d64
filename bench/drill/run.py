"""One drill from the first event to the verdict."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from bench.compare import Lookup, Report, compare
from bench.drill.canaries import Canaries
from bench.drill.faults import Faults
from bench.drill.installation import Installation
from bench.drill.judgement import judge
from bench.drill.outputs import judge_letters, read_outputs
from bench.drill.schedule import LOOKUP, FaultKind, Timing, schedule
from bench.drill.senders import REQUEST_TIMEOUT_SECONDS, Senders
from bench.drill.verdict import Findings, Verdict, percentile
from bench.drill.workload import workload
from bench.generator import load_sources
from bench.oracle import expect
from schemas.errors import RestartNeeded

#: A line about the state comes this often.
STATE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
#: The lookup says with each answer how fresh it is, and asks the broker for that once for many.
REQUESTS_MAX: Final = 64
# Where a start takes longer than the gap between two faults nothing would ever be done between them: with so many not
# recovered from, the next fault waits for one of them, for a while.
UNRECOVERED_MAX: Final = 3
HOLD_SECONDS_MAX: Final = 30.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions:
    """What to drill.

    Attributes:
        seed: Faults and load are functions of it.
        seconds: How long faults go on, at the most.
        events_per_second: Distinct events; copies come on top.
        kills: Faults end after so many processes were killed; None: they end with the time.
        kinds: Only these faults; none given: all.
        timing: How close they follow each other.
        catch_up_seconds: How long everything may take to be there once the faults are over.
    """

    seed: int
    seconds: float
    events_per_second: float = 100.0
    kills: int | None = None
    kinds: tuple[FaultKind, ...] = ()
    timing: Timing = field(default_factory=Timing)
    catch_up_seconds: float = 180.0


class Drill:
    """One run; `stop` ends the faults early, and the verdict is about what was sent until then."""

    def __init__(self, installation: Installation, options: DrillOptions, tell: Tell) -> None:
        self._installation = installation
        self._options = options
        self._tell = tell
        self._clock = asyncio.get_running_loop().time
        self._stopping = asyncio.Event()
        self._faults = Faults(installation)
        events = max(1, int(options.seconds * options.events_per_second))
        self._senders = Senders(
            installation,
            workload(options.seed, events),
            rate_per_second=options.events_per_second,
            dice=random.Random(f"ways/{options.seed}"),
        )
        self._canaries: Canaries | None = None
        self._started = self._ended = 0.0
        self._reasons: list[str] = []

    def stop(self) -> None:
        """No more faults and no more events."""
        self._stopping.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    async def run(self) -> Verdict:
        """Drill and judge.

        1. Send events and canaries. 2. Strike, until the time is over or enough was killed. 3. End what still lasts.
        4. Wait until all that was sent is there. 5. Judge it, the lookup a second time with a copy that is built anew.
        """
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            # 1. Send events and canaries.
            self._started = self._ended = self._clock()
            self._canaries = canaries = Canaries(self._installation, self._senders, session)
            sending = asyncio.create_task(self._senders.run(session))
            watching = asyncio.create_task(canaries.run())
            telling = asyncio.create_task(self._keep_telling())
            try:
                # 2. Strike.
                await self._strike(canaries)
                # 3. End what still lasts.
                await self._faults.heal()
                self._ended = self._clock()
                # 4. Wait until all that was sent is there.
                await self._settle(canaries, session)
            finally:
                await _cancelled(sending, watching, telling)
        # 5. Judge it.
        self._reasons += self._senders.refusals
        return self.verdict(await self._judge(canaries))

    def verdict(self, findings: Findings | None = None, *reasons: str, failed: bool = False) -> Verdict:
        """The verdict on what is known so far; `failed`: what was drilled gave up."""
        canaries = self._canaries
        recoveries = [] if canaries is None else [*canaries.recovered.values(), *canaries.unrecovered.values()]
        return Verdict(
            seed=self._options.seed,
            seconds=(self._ended if self._ended > self._started else self._clock()) - self._started,
            events=len(self._senders.truth),
            orders=len(self._senders.orders),
            sends=self._senders.sends,
            retries=self._senders.retries,
            kills=self._installation.kills(),
            faults={str(kind): number for kind, number in self._faults.struck.items()},
            recoveries=recoveries,
            findings=findings,
            reasons=[*self._reasons, *reasons],
            failed=failed,
        )

    async def _strike(self, canaries: Canaries) -> None:
        options = self._options
        late = 0.0
        for fault in schedule(options.seed, options.kinds, options.timing):
            await self._stopped_until(self._started + fault.at_seconds + late)
            held_until = min(self._clock() + HOLD_SECONDS_MAX, self._started + options.seconds)
            while len(canaries.unrecovered) > UNRECOVERED_MAX and self._clock() < held_until and not self.stopped:
                await self._stopped_until(self._clock() + _POLL_SECONDS)
            enough = options.kills is not None and self._installation.kills() >= options.kills
            if self.stopped or enough or self._clock() >= self._started + options.seconds:
                return
            if await self._faults.strike(fault):
                canaries.struck(fault.number)
                self._tell(f"{self._now()}  fault {fault.number}: {fault}")
            else:
                self._tell(f"{self._now()}  fault {fault.number}: {fault}: missed, it did not run")
            # Whoever had to be waited for must not have the next faults all at once.
            late += max(0.0, self._clock() - (self._started + fault.at_seconds + late))

    async def _stopped_until(self, due: float) -> None:
        """Wait for this time, the end of all faults, or `stop`, whichever comes first."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(due, self._started + self._options.seconds)):
                await self._stopping.wait()

    async def _settle(self, canaries: Canaries, session: aiohttp.ClientSession) -> None:
        """Wait until everything sent was taken and is there; what is missing in the end is a reason."""
        self._senders.finish()
        canaries.finish()
        self._tell(f"{self._now()}  no more faults; waiting until all is there")
        waits_for = "every canary to be seen"
        try:
            async with asyncio.timeout(self._options.catch_up_seconds) as bound:
                await canaries.all_seen()
                # Seen canaries are forged, so this comes after them.
                waits_for = "what was sent to be taken"
                await self._senders.all_taken()
                waits_for = "all processes to be ready"
                while self._installation.not_ready():  # noqa: ASYNC110 - processes say nothing by themselves.
                    await asyncio.sleep(_POLL_SECONDS)
                waits_for = "a lag of 0"
                await Lookup(session, self._installation.lookup_url).caught_up(bound.when() or self._clock())
        except (TimeoutError, RestartNeeded) as error:
            still = f"; not ready: {', '.join(self._installation.not_ready()) or 'none'}"
            unseen = f"{self._senders.waiting} not taken, {canaries.unseen} canaries not seen"
            self._reasons.append(
                f"it did not catch up within {self._options.catch_up_seconds:.0f} s: waited for {waits_for}; "
                f"{unseen}{still}; {error}"
            )
        else:
            self._tell(f"{self._now()}  all is there, {self._clock() - self._ended:.1f} s after the last fault")

    async def _judge(self, canaries: Canaries) -> Findings:
        senders, installation = self._senders, self._installation
        self._tell(
            f"{self._now()}  working out what {len(senders.truth):,} events and {len(senders.orders):,} orders come to"
        )
        expectation = await asyncio.to_thread(expect, list(senders.truth.values()), load_sources(), senders.orders)
        lookups: dict[str, Report] = {}
        for which in ("lookup", "lookup with a new copy"):
            try:
                if lookups:
                    await self._renew_lookup()
                self._tell(f"{self._now()}  asking the {which} about {len(expectation.customers):,} customers")
                lookups[which] = await compare(
                    expectation, installation.lookup_url, wait=False, requests_max=REQUESTS_MAX
                )
            except (RestartNeeded, TimeoutError) as error:
                self._reasons.append(f"{which}: {str(error) or 'it did not catch up in time'}")
                lookups[which] = Report()
        self._tell(f"{self._now()}  reading the topics")
        outputs = await asyncio.to_thread(read_outputs, installation.kafka, installation.catalogue)
        letters = await asyncio.to_thread(
            judge_letters, installation.kafka, installation.catalogue, senders.bad, canaries.forged
        )
        return judge(
            senders.truth,
            expectation,
            outputs=outputs,
            letters=letters,
            lookups=lookups,
            id_of=installation.keyring.fragment_id,
        )

    async def _renew_lookup(self) -> None:
        """Let the lookup build its copy from the topics, and wait until it has."""
        installation = self._installation
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with (
            asyncio.timeout(self._options.catch_up_seconds) as bound,
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            while (old := installation.pid(LOOKUP)) is None:  # noqa: ASYNC110 - processes say nothing by themselves.
                await asyncio.sleep(_POLL_SECONDS)
            installation.wipe(LOOKUP)
            with suppress(ProcessLookupError):
                os.kill(old, signal.SIGKILL)
            while installation.pid(LOOKUP) in (None, old):  # noqa: ASYNC110 - as above.
                await asyncio.sleep(_POLL_SECONDS)
            await Lookup(session, installation.lookup_url).caught_up(bound.when() or self._clock())

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(STATE_SECONDS)
            canaries = self._canaries
            if canaries is None:
                continue
            p50 = percentile(list(canaries.recovered.values()), 50)
            self._tell(
                f"{self._now()}  {self._faults.struck.total()} faults, {self._installation.kills()} kills, "
                f"{len(self._senders.truth):,} events, {self._senders.waiting:,} waiting to be taken, "
                f"{canaries.unseen} canaries unseen, {len(canaries.unrecovered)} faults not recovered from"
                + ("" if p50 is None else f", recovery {p50:.1f} s at the median")
            )

    def _now(self) -> str:
        return f"{self._clock() - self._started:7.1f} s"


async def _cancelled(*tasks: "asyncio.Task[None]") -> None:
    """End tasks that would go on for ever; one that has failed before is a mistake in the drill, and raised."""
    for task in tasks:
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception):
            raise end

"""Canaries: events of their own customers, sent again and again, that show how long nothing comes through.

A fault is recovered from when for every partition a canary that was sent after it is seen by the lookup: one alone may
have taken a way that the fault never touched.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

import aiohttp

from bench.compare import Lookup
from bench.drill.installation import Installation
from bench.drill.senders import Senders
from bench.drill.workload import BAD_CHANNEL, Event, Sending
from bench.generator import encode
from schemas.errors import DeadCode
from schemas.identifiers import Identifier
from schemas.topics import partition_of

SOURCE: Final = "drill-canary"
INTERVAL_SECONDS: Final = 0.5
#: How exact a time of recovery is.
LOOK_SECONDS: Final = 0.2
#: Of the unseen ones of a partition, so many of the oldest and of the newest are looked for at once: what waits behind
#: an outage comes together, and looking takes what the outage needs to end.
LOOKED_FOR_MAX: Final = 3
#: Unseen ones, at most; past it none is sent until some are seen.
UNSEEN_MAX: Final = 240
# Every so many canaries a forgery follows once it is seen: its source and id with another content.
_FORGED_EVERY: Final = 5
_TIME: Final = "2025-02-01T00:00:00Z"


@dataclass(slots=True)
class Canary:
    """One that is not seen yet."""

    number: int
    email: str
    partition: int
    sent_at: float


@dataclass(slots=True)
class Recovery:
    """One fault, by when it struck; `partitions` are those that no canary came through since."""

    fault: int
    struck_at: float
    partitions: set[int]


class Canaries:
    """Sends canaries, looks for them, and takes the times of recovery.

    Attributes:
        recovered: Seconds from each fault to its recovery, by the number of the fault.
        forged: The forgery that followed a canary, by its source and id.
    """

    def __init__(
        self,
        installation: Installation,
        senders: Senders,
        session: aiohttp.ClientSession,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._senders = senders
        self._session = session
        self._lookup = Lookup(session, installation.lookup_url)
        self._fragment_id = installation.keyring.fragment_id
        self._partitions = installation.catalogue.partitions
        self._clock = clock or asyncio.get_running_loop().time
        self._numbers = count(1)
        self._unseen: dict[int, Canary] = {}
        self._open: list[Recovery] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._finishing = False
        self.recovered: dict[int, float] = {}
        self.forged: dict[tuple[str, str], bytes] = {}

    @property
    def unseen(self) -> int:
        """How many canaries were sent and not seen yet."""
        return len(self._unseen)

    @property
    def unrecovered(self) -> dict[int, float]:
        """Seconds since each fault that is not recovered from, by its number."""
        return {one.fault: self._clock() - one.struck_at for one in self._open}

    def struck(self, fault: int) -> None:
        """A fault happened just now: send a canary to each partition, and take the time until all are seen."""
        self._open.append(Recovery(fault, self._clock(), set(range(self._partitions))))
        for partition in range(self._partitions):
            self._send(partition)

    async def run(self) -> None:
        """Send one now and then, and look for all, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_sending())
            tasks.create_task(self._keep_looking())

    def finish(self) -> None:
        """Send no more of them."""
        self._finishing = True

    async def all_seen(self) -> None:
        """Wait until every canary was seen."""
        while self._unseen or self._sending:  # noqa: ASYNC110 - another process makes them seen.
            await asyncio.sleep(LOOK_SECONDS)

    def seen(self, canary: Canary) -> None:
        """A canary has come through."""
        del self._unseen[canary.number]
        for recovery in self._open:
            if recovery.struck_at <= canary.sent_at:
                recovery.partitions.discard(canary.partition)
                if not recovery.partitions:
                    self.recovered[recovery.fault] = self._clock() - recovery.struck_at
        self._open = [recovery for recovery in self._open if recovery.partitions]
        if canary.number % _FORGED_EVERY == 0:
            self._forge(canary)

    async def _keep_sending(self) -> None:
        for turn in count():
            if self._finishing:
                return
            if len(self._unseen) < UNSEEN_MAX:
                self._send(turn % self._partitions)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _keep_looking(self) -> None:
        while True:
            waiting = self._looked_for()
            found = await asyncio.gather(*(self._is_there(canary) for canary in waiting))
            for canary, there in zip(waiting, found, strict=True):
                if there:
                    self.seen(canary)
            await asyncio.sleep(LOOK_SECONDS)

    def _looked_for(self) -> list[Canary]:
        found: dict[int, Canary] = {}
        for partition in range(self._partitions):
            unseen = [canary for canary in self._unseen.values() if canary.partition == partition]
            for canary in (*unseen[:LOOKED_FOR_MAX], *unseen[-LOOKED_FOR_MAX:]):
                found[canary.number] = canary
        return list(found.values())

    async def _is_there(self, canary: Canary) -> bool:
        try:
            return (await self._lookup.ask("email", canary.email)).status == 200
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False

    def _send(self, partition: int) -> None:
        number = next(self._numbers)
        canary = Canary(number, self._address(number, partition), partition, self._clock())
        self._unseen[number] = canary
        event = _event(canary)
        self._senders.truth[SOURCE, event["id"]] = event
        task = asyncio.ensure_future(self._senders.post(self._session, [encode(event)]))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _address(self, number: int, partition: int) -> str:
        """An address whose fragment lies in the partition."""
        for attempt in count():
            email = f"canary-{number}-{attempt}@drill.example"
            fragment = self._fragment_id(Identifier("email", email))
            if partition_of(fragment.encode(), self._partitions) == partition:
                return email
        raise AssertionError("count() has no end")

    def _forge(self, canary: Canary) -> None:
        event = _event(canary)
        event["data"]["summary"] = "A forgery"
        body = self.forged[SOURCE, event["id"]] = encode(event)
        self._senders.send_straight(Sending(BAD_CHANNEL, body, None, DeadCode.CONTENT_CONFLICT))


def _event(canary: Canary) -> Event:
    return {
        "specversion": "1.0",
        "id": f"canary-{canary.number}",
        "source": SOURCE,
        "type": "canary.sent",
        "time": _TIME,
        "channel": BAD_CHANNEL,
        "data": {"identifiers": {"email": canary.email}, "summary": f"Canary {canary.number}"},
    }

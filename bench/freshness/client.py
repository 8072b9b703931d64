"""The sender and the one who asks, as a process: `python -m bench.freshness.client`.

Each event has its moment, and every n-th is asked for at the lookup, once it was accepted, until the lookup shows it:
so few that asking is no load to speak of.
"""

import asyncio
import time

import msgspec

from bench.load.connections import Answer, Connections, get
from bench.load.process import play, wall_offset_us
from bench.load.sending import send

_ACCEPTED = 202
_OK = 200
_MICROSECONDS = 1_000_000
# Of what an event has waited already, so much passes until it is asked for again: where much is late, questions do not
# become a load of their own, and the moment is known as exactly in proportion.
_POLL_SHARE = 0.08


class Shot(msgspec.Struct, frozen=True):
    """One request to collect, with the events in it; `path` is where the lookup shows `sample`, one of them."""

    request: bytes
    events: list[str]
    path: str = ""
    sample: str = ""


class ClientPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, how fast, and who is asked."""

    collect: tuple[str, int]
    lookup: tuple[str, int]
    requests_per_second: float
    connections: int
    #: Between two questions for the same event: how exact the moment is at which it was seen.
    poll_seconds: float
    #: An event that is not shown by then is told as missing.
    seen_seconds_max: float
    shots: list[Shot]


class SentRequest(msgspec.Struct, frozen=True, array_like=True):
    """One request: when it was due and answered, in microseconds since 1970, and its status."""

    due_us: int
    answered_us: int
    status: int


class ClientOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests, in their order; and when events that were asked for were seen."""

    requests: list[SentRequest]
    seen_us: dict[str, int]
    missing: list[str]
    questions: int


class _Asker:
    """Asks the lookup for events until it shows them."""

    def __init__(self, plan: ClientPlan, connections: Connections) -> None:
        self._plan = plan
        self._connections = connections
        self._under_way: set[asyncio.Task[None]] = set()
        self.seen: dict[str, float] = {}
        self.missing: list[str] = []
        self.questions = 0

    def accepted(self, number: int, _moment: float, answer: Answer) -> None:
        """Told of each answer of collect."""
        shot = self._plan.shots[number]
        if shot.sample and answer.status == _ACCEPTED:
            task = asyncio.ensure_future(self._ask(shot))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def finish(self) -> None:
        """Wait for those that were not seen yet."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _ask(self, shot: Shot) -> None:
        request = get(*self._plan.lookup, shot.path)
        shown = b'"id":' + msgspec.json.encode(shot.sample)
        began = time.monotonic()
        while (waited := time.monotonic() - began) < self._plan.seen_seconds_max:
            self.questions += 1
            answer = await self._connections.ask(request)
            if answer.status == _OK and shown in answer.body:
                self.seen[shot.sample] = time.monotonic()
                return
            await asyncio.sleep(max(self._plan.poll_seconds, _POLL_SHARE * waited))
        self.missing.append(shot.sample)


async def run(plan: ClientPlan) -> ClientOutcome:
    """Send and ask."""
    offset_us = wall_offset_us()

    def wall_us(moment: float) -> int:
        return int(moment * _MICROSECONDS) + offset_us

    async with (
        Connections(*plan.collect, plan.connections) as collect,
        Connections(*plan.lookup, plan.connections) as lookup,
    ):
        asker = _Asker(plan, lookup)
        sent = await send(
            collect, [shot.request for shot in plan.shots], plan.requests_per_second, on_answer=asker.accepted
        )
        await asker.finish()
    return ClientOutcome(
        requests=[SentRequest(wall_us(one.due), wall_us(one.answered), one.status) for one in sent],
        seen_us={event: wall_us(moment) for event, moment in asker.seen.items()},
        missing=asker.missing,
        questions=asker.questions,
    )


if __name__ == "__main__":
    play(ClientPlan, run)

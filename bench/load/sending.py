"""The load: each request at its moment, whatever has been answered until then."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from bench.load.connections import Answer, Connections
from bench.load.latencies import due_seconds

# Requests that are due within so long are sent together, none before its moment: a wake-up for each would cost the
# sender, on the machine that is measured, more than to send it. What it is late counts, as everything after its moment.
_TICK_SECONDS: Final = 0.002


class Sent(NamedTuple):
    """One request: when it was due and when it was answered (seconds of the monotonic clock), and with what status."""

    due: float
    answered: float
    status: int

    @property
    def seconds(self) -> float:
        """Its latency, from when it was due."""
        return self.answered - self.due


async def send(
    connections: Connections,
    requests: Sequence[bytes],
    per_second: float,
    *,
    on_answer: Callable[[int, float, Answer], None] | None = None,
    answer_seconds_max: float = 60.0,
) -> list[Sent]:
    """Send all requests at an even pace; returns what became of each, in their order.

    Args:
        connections: Where to; a request that finds none of them free waits, and its latency counts all the same.
        requests: Whole requests.
        per_second: How many are due in a second.
        on_answer: Told place, moment and answer of each.
        answer_seconds_max: How long the last answers are waited for; what has none by then has the status 0.
    """
    clock = time.monotonic
    began = clock()
    found = [Sent(began + due_seconds(number, per_second), 0.0, 0) for number in range(len(requests))]
    all_answered = asyncio.get_running_loop().create_future()
    left = len(requests)

    def note(number: int, answered: "asyncio.Future[Answer]") -> None:
        nonlocal left
        now = clock()
        answer = answered.result()
        found[number] = Sent(found[number].due, now, answer.status)
        if on_answer is not None:
            on_answer(number, now, answer)
        left -= 1
        if left == 0 and not all_answered.done():
            all_answered.set_result(None)

    # A collection of garbage here would be taken for a pause of the other side.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        number = 0
        while number < len(requests):
            now = clock()
            while number < len(requests) and found[number].due <= now:
                future = connections.ask(requests[number])
                future.add_done_callback(partial(note, number))
                number += 1
            if number < len(requests):
                await asyncio.sleep(max(_TICK_SECONDS, found[number].due - clock()))
        if requests:
            await asyncio.wait({all_answered}, timeout=answer_seconds_max)
    finally:
        gc.enable()
        gc.unfreeze()
    gave_up = clock()
    return [sent if sent.answered else Sent(sent.due, gave_up, 0) for sent in found]

"""Who asks, as a process: `python -m bench.lookup_load.client`. Sorts of question take turns, each by its weight."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

import msgspec

from bench.load.connections import Connections, get
from bench.load.latencies import Latencies, latencies_of
from bench.load.process import play
from bench.load.sending import send


class Question(msgspec.Struct, frozen=True):
    """One sort: the paths that are asked in turn, and of a hundred requests how many are of it."""

    name: str
    paths: list[str]
    weight: int


class ClientPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, how often, and what."""

    lookup: tuple[str, int]
    requests_per_second: float
    seconds: float
    #: At the pace, before anything counts.
    settle_seconds: float
    connections: int
    questions: list[Question]


class ClientOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies, from when a request was due: of all, and of each sort."""

    overall: Latencies
    by_question: dict[str, Latencies]
    #: How many answers had each status; 0 is none in time.
    statuses: dict[int, int]


def mixed(questions: list[Question]) -> Iterator[tuple[str, str]]:
    """Names and paths for ever; sorts alternate as evenly as their weights let them."""
    total = sum(question.weight for question in questions)
    owed = dict.fromkeys(range(len(questions)), 0)
    asked = [count() for _ in questions]
    while True:
        for place, question in enumerate(questions):
            owed[place] += question.weight
        place = max(owed, key=lambda each: (owed[each], -each))
        owed[place] -= total
        question = questions[place]
        yield question.name, question.paths[next(asked[place]) % len(question.paths)]


async def run(plan: ClientPlan) -> ClientOutcome:
    """Ask."""
    settling = round(plan.settle_seconds * plan.requests_per_second)
    number = settling + round(plan.seconds * plan.requests_per_second)
    asked = [pair for _, pair in zip(range(number), mixed(plan.questions), strict=False)]
    made: dict[str, bytes] = {path: get(*plan.lookup, path) for question in plan.questions for path in question.paths}
    async with Connections(*plan.lookup, plan.connections) as connections:
        sent = await send(connections, [made[path] for _, path in asked], plan.requests_per_second)
    counted = list(zip(asked, sent, strict=True))[settling:]
    return ClientOutcome(
        overall=latencies_of(one.seconds for _, one in counted),
        by_question={
            question.name: latencies_of(one.seconds for (name, _), one in counted if name == question.name)
            for question in plan.questions
        },
        statuses=dict(Counter(one.status for _, one in counted)),
    )


if __name__ == "__main__":
    play(ClientPlan, run)

"""The best path from each identifier to the home: the one whose weakest link is strongest."""

import heapq
from collections.abc import Iterable, Mapping


def best_chains(seeds: Mapping[str, int], edges: Mapping[str, Iterable[tuple[str, int]]]) -> dict[str, int]:
    """The greatest least grade along any path from a seed, for everything that one reaches.

    Args:
        seeds: where paths start, with the grade that they start from.
        edges: neighbours and grades of the links to them, under both ends.
    """
    chains: dict[str, int] = {}
    queue = [(-grade, fragment) for fragment, grade in seeds.items()]
    heapq.heapify(queue)
    while queue:
        negative, fragment = heapq.heappop(queue)
        if fragment in chains:
            continue
        chains[fragment] = -negative
        for neighbour, grade in edges.get(fragment, ()):
            if neighbour not in chains:
                heapq.heappush(queue, (-min(grade, -negative), neighbour))
    return chains

"""Explanations are right for every pair of thousands of random populations.

Goal: no chain may claim what the rules did not decide by. Method: small random sets of evidence and orders with low
limits, so that cuts, vetoes, shared identifiers and groups all occur; each pair's explanation is judged by a second
reading of the rules (`rederiving`), and what occurred is counted, so that no sort goes untested.
"""

from collections import Counter
from itertools import combinations

from state.identity.evidence import EvidenceGraph
from state.identity.explaining.explainer import Explainer, Surroundings
from state.identity.explaining.results import Reason, SharedBy, Verdict
from tests.state.identity.explaining.rederiving import Judge
from tests.state.identity.populations import CLUSTER_LIMIT, low_policy, random_population

POPULATIONS = 350


def test_every_pairs_explanation_decides_what_the_partition_decided() -> None:
    met: Counter[object] = Counter()
    for seed in range(POPULATIONS):
        population = random_population(seed, ordered=seed % 2 == 1)
        policy = low_policy(claimed_from=seed % 3)
        whole = population.whole(population.events, population.orders, policy, CLUSTER_LIMIT)
        evidence = [item for event in population.events for item in event]
        formed = population.formed(population.events)
        named = {name: population.identifiers[name] for name in whole.placements}
        graph = EvidenceGraph(named, formed, evidence, population.orders)
        seen = EvidenceGraph(named, formed, evidence)
        judge = Judge(graph, seen, whole, policy)
        around = Surroundings(graph, seen.links, policy, whole.placements.get, lambda _one, _other: None)
        for one, other in combinations(sorted(named), 2):
            said = Explainer(around).pair(one, other)
            judge.judge(one, other, said)
            met[said.verdict] += 1
            met["unlinked"] += said.verdict is Verdict.APART and not said.steps
            met.update(step.obstacle.reason for step in said.steps if step.obstacle)
            met.update(sharing.by for sharing in said.sharings)
            met[f"{said.verdict} in {len(said.steps)}"] += 1
    wanted = {*Verdict, *Reason, *SharedBy, "unlinked", "one in 3"}
    wanted -= {Reason.UNSETTLED, Reason.SPLIT, Reason.WITHDRAWN, SharedBy.UNSETTLED, SharedBy.UNLINKABLE}
    assert {sort: met[sort] for sort in wanted if met[sort] < 5} == {}

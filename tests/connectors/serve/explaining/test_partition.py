"""Explanations from the lookup's rows are right for every pair of random logs with orders of every sort.

Goal: what the lookup says is what the real engine decided and why. Method: logs of evidence, orders and undos go
through the engine, its rows through the lookup's projection; every pair's explanation is judged by a second reading of
the rules over what the log plainly says.
"""

from collections import Counter, defaultdict
from itertools import combinations

from connectors.serve.explaining.partition import PartitionRows, PartitionView
from state.identity.evidence import EvidenceGraph
from state.identity.explaining.results import Reason, Verdict
from tests.connectors.serve.explaining.identified import copied
from tests.state.identity.driving import KEYRING, DrivenEngine
from tests.state.identity.explaining.rederiving import Judge
from tests.state.identity.ordered_logs import Known, known_of, random_log
from tests.state.identity.populations import low_policy

LOGS = 60
POLICY = low_policy(claimed_from=2)


def _judge(known: Known) -> Judge:
    identifiers, formed = dict(sorted(known.identifiers.items())), known.formed
    graph = EvidenceGraph(
        identifiers, formed, known.sightings, known.orders,
        split_identifiers=known.split_identifiers, split_sources=known.split_sources,
    )  # fmt: skip
    shown_by: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    for item in known.sightings:
        shown_by[frozenset((item.one, item.other))].add(item.source)
    withdrawn = {pair for pair, sources in shown_by.items() if sources <= known.split_sources}
    seen = EvidenceGraph(identifiers, formed, known.sightings)
    return Judge(graph, seen, known.partition(POLICY), POLICY, known.split_identifiers, withdrawn)


def test_every_pairs_explanation_decides_what_the_engine_decided() -> None:
    met: Counter[object] = Counter()
    for seed in range(LOGS):
        engine, log = DrivenEngine(POLICY), []
        for message in random_log(70_000 + seed):
            log.append((engine.offset, message))
            engine.take(message)
        engine.repair()
        known = known_of(log)
        judge = _judge(known)
        rows = copied(engine.rows)
        for one, other in combinations(sorted(known.identifiers), 2):
            view = PartitionView(PartitionRows(rows), KEYRING.unseal, POLICY)
            said = view.explainer.pair(one, other)
            judge.judge(one, other, said)
            assert not view.cut
            met[said.verdict] += 1
            met.update(step.obstacle.reason for step in said.steps if step.obstacle)
            met["required"] += any(step.link.authority for step in said.steps)
    wanted = {*Verdict, Reason.FORBIDDEN, Reason.SPLIT, Reason.WITHDRAWN, Reason.SHARED, Reason.SURER, "required"}
    assert {sort: met[sort] for sort in wanted if met[sort] < 5} == {}
    assert met[Reason.UNSETTLED] == 0

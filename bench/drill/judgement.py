"""All findings together: interactions, contexts, the lookup, repeated outputs and dead letters against the truth."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bench.compare import Report
from bench.drill.contexts import Contexts
from bench.drill.outputs import EXAMPLES_MAX, DeadLetters, Outputs
from bench.drill.verdict import Findings
from bench.oracle import Expectation
from schemas.identifiers import Identifier


def judge(
    truth: Iterable[tuple[str, str]],
    expectation: Expectation,
    *,
    outputs: Outputs,
    letters: DeadLetters,
    lookups: Mapping[str, Report],
    id_of: Callable[[Identifier], str],
) -> Findings:
    """What is wrong.

    Args:
        truth: source and id of every event that has to be there.
        expectation: what the oracle makes of them.
        outputs: what the public topics hold.
        letters: dead letters, judged.
        lookups: comparisons of the lookup with the expectation, each with what is said of it in examples.
        id_of: the id of an identifier's fragment, under the secret of the installation.
    """
    wanted = Counter(dict.fromkeys(truth, 1))
    missing = wanted - outputs.interactions
    surplus = outputs.interactions - wanted
    contexts = Contexts(outputs.contexts, expectation, id_of)
    examples = [f"no interaction for {name} of {source}" for source, name in list(missing)[:EXAMPLES_MAX]]
    examples += [f"{name} of {source} too often on interactions" for source, name in list(surplus)[:EXAMPLES_MAX]]
    examples += [f"{which}: {line}" for which, report in lookups.items() for line in report.differences[:EXAMPLES_MAX]]
    return Findings(
        # An event that no interaction shows is missing in its context's count too: it is one that is lost.
        lost=max(missing.total(), contexts.lost) + letters.missing,
        doubled=max(surplus.total(), contexts.doubled),
        wrong_fields=contexts.wrong_fields + sum(len(report.differences) for report in lookups.values()),
        repeated_outputs=outputs.repeated,
        unexpected_dead_letters=letters.unexpected,
        examples=[*examples, *contexts.examples, *outputs.examples, *letters.examples],
    )

"""The scores, against cases that were reckoned by hand."""

import random

import pytest

from bench.identity.clusters import Judge, Scores

# Ann did three events, Bob two, Cem one.
TRUTH = {1: "ann", 2: "ann", 3: "ann", 4: "bob", 5: "bob", 6: "cem"}


def scores(assigned: dict[int, object | None], of: list[int] | None = None) -> Scores:
    return Judge(TRUTH, assigned).scores(of)


def test_a_perfect_answer_scores_one_in_everything() -> None:
    perfect = scores({event: person.upper() for event, person in TRUTH.items()})
    assert (perfect.wrong, perfect.precision, perfect.recall, perfect.f1) == (0, 1, 1, 1)
    assert (perfect.pair_precision, perfect.pair_recall, perfect.pair_f1) == (1, 1, 1)
    assert Judge(TRUTH, TRUTH).merged_share == 0


def test_all_in_one_customer_scores_as_reckoned_by_hand() -> None:
    one = scores(dict.fromkeys(TRUTH, "all"))
    # B-cubed precision: (3 * 3/6 + 2 * 2/6 + 1 * 1/6) / 6 = 14/36. Pairs: 3 + 1 of 15.
    assert one.precision == pytest.approx(14 / 36)
    assert one.recall == 1
    assert one.f1 == pytest.approx(2 * (14 / 36) / (1 + 14 / 36))
    assert one.pair_precision == pytest.approx(4 / 15)
    assert one.pair_recall == 1
    assert one.wrong == pytest.approx(3 / 6)
    assert Judge(TRUTH, dict.fromkeys(TRUTH, "all")).merged_share == 1


def test_events_that_are_nobodys_stand_alone_and_cost_recall_only() -> None:
    alone = scores({})
    # B-cubed recall: (3 * 1/3 + 2 * 1/2 + 1) / 6.
    assert (alone.wrong, alone.precision, alone.pair_precision) == (0, 1, 1)
    assert alone.recall == pytest.approx(3 / 6)
    assert alone.pair_recall == 0
    assert scores(dict.fromkeys(TRUTH)) == alone


def test_a_mixed_answer_and_some_of_its_events() -> None:
    mixed: dict[int, object | None] = {1: "x", 2: "x", 3: None, 4: "x", 5: "y", 6: "y"}
    # Event: precision, recall. 1 and 2: 2/3, 2/3. 3: 1, 1/3. 4: 1/3, 1/2. 5: 1/2, 1/2. 6: 1/2, 1.
    whole = scores(mixed)
    assert whole.precision == pytest.approx((2 / 3 + 2 / 3 + 1 + 1 / 3 + 1 / 2 + 1 / 2) / 6)
    assert whole.recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 / 2 + 1 / 2 + 1) / 6)
    assert whole.pair_precision == pytest.approx(1 / 4)
    assert whole.pair_recall == pytest.approx(1 / 4)
    # Customer y is Bob's, whose event came first: Cem's is wrong in it, and Bob's is in x.
    assert whole.wrong == pytest.approx(2 / 6)
    some = scores(mixed, [3, 4])
    assert (some.events, some.wrong) == (2, 1 / 2)
    assert some.precision == pytest.approx((1 + 1 / 3) / 2)
    assert some.pair_recall == pytest.approx(0)


@pytest.mark.parametrize("seed", range(20))
def test_any_answer_scores_as_its_definition_says(seed: int) -> None:
    dice = random.Random(seed)
    truth = {event: dice.randrange(6) for event in range(60)}
    assigned = {event: dice.choice([*range(8), None]) for event in truth}

    def together(one: int, other: int) -> bool:
        return one == other or (assigned[one] is not None and assigned[one] == assigned[other])

    precision = recall = 0.0
    for one, person in truth.items():
        here = [other for other in truth if together(one, other)]
        same = [other for other in truth if truth[other] == person]
        both = [other for other in here if other in same]
        precision += len(both) / len(here)
        recall += len(both) / len(same)
    found = Judge(truth, assigned).scores()
    assert found.precision == pytest.approx(precision / len(truth))
    assert found.recall == pytest.approx(recall / len(truth))

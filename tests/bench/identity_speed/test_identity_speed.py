"""The benchmark of identity says what it claims to: tried small."""

from itertools import islice
from pathlib import Path

import pytest

from bench.identity_speed.alone import SECRET, lines, measure
from bench.identity_speed.population import Customers
from bench.identity_speed.running import measure_merge, sample
from goldenthread.identity_alone import IdentityAlone
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.messages import Evidence, decode_identity

KEYRING = Keyring(SECRET)


def test_the_population_counts_what_is_new_and_looks_like_customers(tmp_path: Path) -> None:
    links = list(islice(Customers(KEYRING), 6_000))
    seen: set[str] = set()
    for link in links:
        message = decode_identity(link.value)
        assert isinstance(message, Evidence)
        fragments = {identifier.fragment for identifier in message.identifiers}
        assert len(message.pairs) == link.pairs
        seen |= fragments
    assert sum(link.identifiers for link in links) == pytest.approx(len(seen), rel=0.02)
    with IdentityAlone(tmp_path / "store", KEYRING) as stage:
        stage.take(link.value for link in links)
        largest = stage.largest_customers(5)
        kiosks = stage.foremost_suspects(5)
    assert 4 <= largest[0].members <= 8
    assert kiosks[0].identifier.value.startswith("kiosk-")
    assert kiosks[0].customers > 20


def test_the_stage_by_itself_is_measured_at_four_marks(tmp_path: Path) -> None:
    marks = measure(tmp_path / "store", 2_000)
    assert [mark.identifiers for mark in marks] == sorted(mark.identifiers for mark in marks)
    assert len(marks) == 4
    assert marks[-1].identifiers >= 2_000
    assert min(mark.links_per_cpu_second for mark in marks) > 0
    text = list(lines(marks))
    assert len(text) == 6
    assert text[-1].lstrip().startswith(f"{10 * marks[-1].identifiers:,} identifiers, extrapolated")


def test_a_sample_holds_the_ends() -> None:
    identifiers = [Identifier("cookie", str(number)) for number in range(1_000)]
    chosen = sample(identifiers)
    assert (chosen[0], chosen[-1]) == (identifiers[0], identifiers[-1])
    assert 25 <= len(chosen) <= 30


@pytest.mark.drill
def test_customers_merge_and_split_in_a_system_of_its_own(tmp_path: Path) -> None:
    merged, split = measure_merge(tmp_path, 40)
    assert merged.startswith("two customers of 40 fragments each: merged after")
    assert split.startswith("split by an order after")

"""Goal: each of the three reads every record, whatever a store held before. Method: a small partition."""

from pathlib import Path

import pytest

from bench.restore import RestorePlan, lines, measure


@pytest.mark.kafka
def test_all_three_read_all(tmp_path: Path) -> None:
    found = measure(RestorePlan(records=3_000, value_size_bytes=200, rounds=2), tmp_path)
    assert [len(turns) for turns in (found.discarding, found.restoring, found.following)] == [2, 2, 2]
    assert 0 < found.restore_share < 10
    assert any("restore into a store" in line for line in lines(found))
    # What it made is gone but for the broker's own.
    assert not list(tmp_path.glob("restoring-*"))

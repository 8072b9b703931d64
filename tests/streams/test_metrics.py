"""Metrics: names, label sets that start at 0, and an exposition that Prometheus can read."""

from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import DeadCode
from streams.metrics import STAGES, Metrics


def _samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_metric_is_ours_and_is_explained() -> None:
    metrics = Metrics("worker", "1.2.3")
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    assert len(families) > 10
    assert all(family.name.startswith("goldenthread_") for family in families)
    assert all(family.documentation.endswith(".") for family in families)


def test_the_version_is_told() -> None:
    labels = (("service", "worker"), ("version", "1.2.3"))
    assert _samples(Metrics("worker", "1.2.3"))["goldenthread_build_info", labels] == 1


def test_known_label_sets_start_at_0() -> None:
    metrics = Metrics("worker", "1")
    metrics.expect_dead(["intake"], ["web", "crm"])
    samples = _samples(metrics)
    for code in DeadCode:
        assert samples["goldenthread_dead_letters_total", (("code", code.value), ("stage", "intake"))] == 0
    for channel in ("web", "crm"):
        assert samples["goldenthread_events_received_total", (("channel", channel), ("stage", "intake"))] == 0


def test_dead_letters_have_as_many_series_as_there_are_codes() -> None:
    metrics = Metrics("worker", "1")
    metrics.expect_dead(STAGES, [])
    series = [name for name, _ in _samples(metrics) if name == "goldenthread_dead_letters_total"]
    assert len(series) == len(STAGES) * len(DeadCode)


def test_two_processes_in_one_interpreter_share_nothing() -> None:
    one, other = Metrics("a", "1"), Metrics("b", "1")
    one.duplicates.inc()
    assert _samples(one)["goldenthread_duplicates_total", ()] == 1
    assert _samples(other)["goldenthread_duplicates_total", ()] == 0

"""Metrics: names, label sets that start at 0, and an exposition that Prometheus can read."""

import math

from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import DeadCode
from streams.metrics import DROP_REASONS, STAGES, Metrics


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


def test_what_only_one_service_measures_the_others_do_not_show() -> None:
    only = {"goldenthread_lag_seconds": "lookup", "goldenthread_sse_clients": "lookup"}
    only |= {"goldenthread_end_to_end_duration_seconds_count": "lookup", "goldenthread_rebalances_total": "worker"}
    for service in ("worker", "lookup", "collect"):
        shown = {name for name, _ in _samples(Metrics(service, "1"))}
        assert only.keys() & shown == {name for name, measures in only.items() if measures == service}


def test_lag_is_no_number_until_it_is_measured() -> None:
    assert math.isnan(_samples(Metrics("lookup", "1"))["goldenthread_lag_seconds", ()])


def test_what_a_worker_counts_starts_at_0() -> None:
    metrics = Metrics("worker", "1")
    metrics.expect_agents({"context": ("applied", "duplicate")}, ("context",))
    samples = _samples(metrics)
    stage = ("stage", "context")
    assert samples["goldenthread_events_processed_total", (("outcome", "applied"), stage)] == 0
    assert samples["goldenthread_events_processed_total", (("outcome", "content_conflict"), stage)] == 0
    dropped = (("intentional", "true"), ("reason", "duplicate"), stage)
    assert samples["goldenthread_events_dropped_total", dropped] == 0
    assert samples["goldenthread_checkpoint_duration_seconds_count", (stage,)] == 0
    assert samples["goldenthread_checkpoint_rows_total", (stage,)] == 0
    assert samples["goldenthread_identity_changes_total", (("change", "merged"),)] == 0


def test_a_drop_says_whether_it_is_as_it_should_be() -> None:
    metrics = Metrics("worker", "1")
    for reason in DROP_REASONS:
        metrics.drop("context", reason, 2)
    intended = {
        dict(labels)["reason"]: dict(labels)["intentional"]
        for (name, labels), value in _samples(metrics).items()
        if name == "goldenthread_events_dropped_total" and value == 2
    }
    assert intended == {reason: str(as_it_should_be).lower() for reason, as_it_should_be in DROP_REASONS.items()}


def test_a_process_shows_what_it_takes() -> None:
    samples = _samples(Metrics("worker", "1"))
    assert samples["goldenthread_process_resident_memory_bytes", ()] > 1_000_000
    assert samples["goldenthread_process_start_time_seconds", ()] > 1_000_000_000

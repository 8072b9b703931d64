"""Streams and state: how loaded and how far behind each part is, its checkpoints, restores, stores and processes."""

from typing import Final

from dashboards.dashboard import INSTANCE, Dashboard, Row, Variable
from dashboards.expressions import increase, largest, metric, quantile, rate, top
from dashboards.panels import Panel, Query, stat

_TOPIC: Final = 'topic=~"$topic"'
_STAGE: Final = 'stage=~"$stage"'


def _each(title: str, description: str, unit: str, name: str, *labels: str, maximum: float | None = None) -> Panel:
    """A gauge as it is, by these labels."""
    by = ", ".join(labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return Panel(title, description, unit, (Query(f"max by ({by}) ({metric(name)})", legend),), maximum=maximum)


_NOW: Final = Row(
    "Now",
    (
        stat("Waiting", "Records of the chosen topics that nobody has processed yet.", "short",
             f"sum({largest('lag_records', _TOPIC, by='topic, partition')})",
             ("green", None), ("yellow", 10_000), ("red", 100_000)),
        stat("Restoring", "Changelog records that restores have still to read; nobody works on their partitions.",
             "short", f"sum({metric('restore_remaining_records', _STAGE)})", ("green", None), ("yellow", 1)),
        stat("Copies not complete", "Followers that have not caught up since they started.", "short",
             f"count({metric('follower_ready')}) - sum({metric('follower_ready')})", ("green", None), ("red", 1)),
        stat("Rebalances", "Times within the last hour that workers got their partitions anew.", "short",
             increase("rebalances_total", "1h"), ("green", None), ("yellow", 5), ("red", 20)),
        stat("Stalled stores", "Stores whose writes RocksDB stops or slows.", "short",
             f"sum({metric('store_write_stalled')})", ("green", None), ("red", 1)),
        stat("Disk left", "Of the fullest disk under a store.", "percentunit",
             f"min({metric('store_disk_available_bytes')} / {metric('store_disk_size_bytes')})",
             ("red", None), ("yellow", 0.1), ("green", 0.2)),
    ),
)  # fmt: skip

_LAG: Final = Row(
    "Lag",
    (
        Panel("Records that wait, by partition", "Of the chosen topics. One partition above the others is a hot one.",
              "short", (Query(largest("lag_records", _TOPIC, by="topic, partition"), "{{topic}}/{{partition}}"),)),
        Panel("Growth of what waits", "Records a second by which waiting ones grow; below 0 it is being caught up.",
              "recps", (Query("sum by (topic) (max by (topic, partition) "
                              f"(deriv({metric('lag_records', _TOPIC)}[$__rate_interval])))", "{{topic}}"),)),
        _each("Catch-up of copies", "Records that the first catch-up of followers has still to read.", "short",
              "follower_remaining_records", "instance", "follower"),
        Panel("Records into copies", "Records that followers applied.", "recps",
              (Query(rate("follower_records_total", by="instance, follower"), "{{instance}} {{follower}}"),)),
    ),
)  # fmt: skip

_THROUGHPUT: Final = Row(
    "Throughput",
    (
        Panel("Processed", "What became of events and of messages of ownership, the 15 most frequent.", "eps",
              (Query(top(15, rate("events_processed_total", _STAGE, by="stage, outcome")), "{{stage}} {{outcome}}"),)),
        Panel("Left out on purpose", "Copies, and records applied already: after a restart some are read twice.",
              "eps", (Query(rate("events_dropped_total", 'intentional="true"', by="stage, reason"),
                            "{{stage}} {{reason}}"),)),
        Panel("Records written", "Records produced and acknowledged, by topic.", "recps",
              (Query(rate("records_written_total", _TOPIC, by="topic"), "{{topic}}"),)),
        Panel("Bytes written", "Keys and values produced and acknowledged, by topic.", "Bps",
              (Query(rate("written_bytes_total", _TOPIC, by="topic"), "{{topic}}"),), stacked=True),
    ),
)  # fmt: skip

_CHECKPOINTS: Final = Row(
    "Checkpoints",
    (
        Panel("Duration", "From drain to acknowledgement; a transaction takes a few milliseconds on an idle broker.",
              "s", tuple(Query(quantile(which, "checkpoint_duration_seconds", _STAGE, by="stage"),
                               f"{{{{stage}}}} p{which * 100:g}") for which in (0.5, 0.99))),
        Panel("Written by checkpoints", "Outputs for other stages and readers, and changed rows of state.", "recps",
              (Query(rate("checkpoint_outputs_total", _STAGE, by="stage"), "{{stage}} outputs"),
               Query(rate("checkpoint_rows_total", _STAGE, by="stage"), "{{stage}} rows"))),
        Panel("Checkpoints", "How many are made.", "ops",
              (Query(rate("checkpoint_duration_seconds_count", _STAGE, by="stage"), "{{stage}}"),)),
        Panel("Read ahead", "Memory of records that were fetched and are not committed yet; at its bound, a third of "
              "GOLDENTHREAD_READ_AHEAD_MB for each stage, the rest waits in Kafka.", "bytes",
              (Query(f"sum by (instance, stage) ({metric('read_ahead_bytes', _STAGE)})", "{{instance}} {{stage}}"),)),
        Panel("Age of the newest checkpoint", "Grows while nothing comes in; with records that wait it says that work "
              "stands still.", "s",
              (Query(f"time() - {largest('last_checkpoint_timestamp_seconds', _STAGE, by='stage')}", "{{stage}}"),)),
        Panel("Batches", "Time for one batch of records.", "s",
              tuple(Query(quantile(which, "batch_duration_seconds", _STAGE, by="stage"),
                          f"{{{{stage}}}} p{which * 100:g}") for which in (0.5, 0.99))),
    ),
)  # fmt: skip

_RESTORE: Final = Row(
    "Restore and rebalance",
    (
        Panel("Left to restore", "Changelog records still to be read, by partition.", "short",
              (Query(f"max by (instance, stage, partition) ({metric('restore_remaining_records', _STAGE)})",
                     "{{instance}} {{stage}}/{{partition}}"),)),
        Panel("Restored", "Changelog records read.", "recps",
              (Query(rate("restore_records_total", _STAGE, by="instance, stage"), "{{instance}} {{stage}}"),)),
        Panel("Time to restore a partition", "Mean of the restores since each process started.", "s",
              (Query(f"sum by (stage) ({metric('restore_duration_seconds_sum', _STAGE)}) / "
                     f"sum by (stage) ({metric('restore_duration_seconds_count', _STAGE)})", "{{stage}}"),)),
        Panel("Stores made anew", "From their topics, since each process started; `damaged` asks for a look at "
              "the disk.", "short",
              (Query(f"sum by (store, reason) ({metric('store_rebuilds_total')})",
                     "{{store}} {{reason}}"),)),
        Panel("Accepted gaps", "Since the state began; `goldenthread state gaps` says when, by whom and why.", "short",
              (Query(f"max by (stage, partition) ({metric('accepted_gaps', _STAGE)})",
                     "{{stage}}/{{partition}}"),)),
        Panel("Partitions of each worker", "They ought to be spread evenly, stage by stage.", "short",
              (Query(f"sum by (instance, stage) ({metric('assigned_partitions', _STAGE)})", "{{instance}} {{stage}}"),),
              stacked=True),
        Panel("Rebalances", "Times that a worker got its partitions anew, within five minutes.", "short",
              (Query(increase("rebalances_total", "5m", by="instance"), "{{instance}}"),)),
        _each("Standstill", "How long the oldest position of a worker has stood still though events wait; at "
              "GOLDENTHREAD_STANDSTILL_TIMEOUT_S the watchdog ends it.", "s", "standstill_seconds", "instance"),
    ),
)  # fmt: skip

_STORES: Final = Row(
    "Stores",
    (
        _each("Rows", "As RocksDB estimates them.", "short", "store_keys", "instance", "store"),
        _each("Size on disk", "Bytes of tables.", "bytes", "store_size_bytes", "instance", "store"),
        _each("Not yet in tables", "Bytes in memory that a flush will write.", "bytes", "store_memtable_bytes",
              "instance", "store"),
        Panel("Block cache", "What all stores of a process keep in memory, and how much they may.", "bytes",
              (Query(f"max by (instance) ({metric('store_cache_bytes')})", "{{instance}} used"),
               Query(f"max by (instance) ({metric('store_cache_size_bytes')})", "{{instance}} limit"))),
        _each("Waits for compaction", "Bytes that compaction has to rewrite, as RocksDB estimates them.", "bytes",
              "store_compaction_pending_bytes", "instance", "store"),
        _each("Compactions", "How many run just now.", "short", "store_compactions_running", "instance", "store"),
        _each("Stalls", "1 while RocksDB stops or slows writes of a store.", "short", "store_write_stalled",
              "instance", "store", maximum=1),
        _each("Errors", "Of RocksDB's own work since the store was opened; look at the disk.", "short",
              "store_background_errors", "instance", "store"),
    ),
)  # fmt: skip

_PROCESSES: Final = Row(
    "Processes",
    (
        Panel("CPU", "Cores in use. Each process works in one, but for its threads.", "short",
              (Query(rate("process_cpu_seconds_total", by="instance"), "{{instance}}"),)),
        Panel("Memory", "Resident, and what is reserved.", "bytes",
              (Query(f"max by (instance) ({metric('process_resident_memory_bytes')})", "{{instance}} resident"),
               Query(f"max by (instance) ({metric('process_virtual_memory_bytes')})", "{{instance}} virtual"))),
        Panel("Open files", "Share of the limit, connections included.", "percentunit",
              (Query(f"max by (instance) ({metric('process_open_fds')} / {metric('process_max_fds')})",
                     "{{instance}}"),), maximum=1),
        Panel("Running for", "Time since each process started.", "s",
              (Query(f"time() - max by (instance) ({metric('process_start_time_seconds')})", "{{instance}}"),)),
    ),
)  # fmt: skip

STREAMS_AND_STATE: Final = Dashboard(
    "goldenthread-streams-and-state",
    "Goldenthread: streams and state",
    "How loaded and how far behind each part is: lag, checkpoints, restores, rebalances, RocksDB, processes.",
    (_NOW, _LAG, _THROUGHPUT, _CHECKPOINTS, _RESTORE, _STORES, _PROCESSES),
    (
        INSTANCE,
        Variable("topic", "Topic", "goldenthread_lag_records", "Topics that are shown."),
        Variable("stage", "Stage", "goldenthread_events_processed_total", "Stages that are shown."),
    ),
)

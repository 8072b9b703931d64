"""The job on plain Faust, run as `python -m bench.peers.faust_table` with the arguments that every peer takes."""

import zlib
from typing import Any, Final

import faust
import mode.loop

from bench.peers.arguments import PeerArguments, parse_arguments
from bench.peers.customer import Customer, decode_customer, decode_event, encode_customer

# Its own default.
_COMMIT_INTERVAL_MS: Final = 2_800
# As the job's topics have: a table's changelog has to have as many as what is read into it.
_PARTITIONS: Final = 4
_LINGER_SECONDS: Final = 0.02
_BATCH_SIZE_BYTES_MAX: Final = 256 * 1024
_BLOCK_CACHE_SIZE_BYTES: Final = 64 * 1024 * 1024
_BLOOM_FILTER_BITS: Final = 10


def partition(key: bytes, all_partitions: list[int], _available: list[int]) -> int:
    """Where the events of a key are, too."""
    return all_partitions[zlib.crc32(key) % len(all_partitions)]


def application(arguments: PeerArguments) -> faust.App:
    """The engine as its documentation tunes it; the README tells what each setting is for."""
    return faust.App(
        arguments.application,
        broker=f"kafka://{arguments.bootstrap_servers}",
        store="rocksdb://",
        datadir=arguments.state_dir,
        processing_guarantee="exactly_once" if arguments.exactly_once else "at_least_once",
        broker_commit_interval=arguments.commit_interval_ms / 1000,
        cython_optimizations=True,
        producer_compression_type="lz4",
        producer_linger=_LINGER_SECONDS,
        producer_max_batch_size=_BATCH_SIZE_BYTES_MAX,
        producer_partitioner=partition,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_partitions=_PARTITIONS,
        web_enabled=False,
    )


def define(app: faust.App, prefix: str) -> None:
    """The topics, the table and the agent."""

    def topic(name: str) -> Any:
        return app.topic(
            f"{prefix}{name}", key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )

    events, interactions, context = topic("events"), topic("interactions"), topic("context")
    customers = app.Table(
        "customers",
        key_type=bytes,
        value_type=bytes,
        options={
            "driver": "rocksdict",
            "block_cache_size": _BLOCK_CACHE_SIZE_BYTES,
            "bloom_filter_size": _BLOOM_FILTER_BITS,
        },
    )

    @app.agent(events)  # type: ignore[untyped-decorator, unused-ignore]
    async def fold(stream: Any) -> None:
        async for key, value in stream.items():
            event, name = decode_event(value), key.decode()
            held = customers.get(key)
            customer = Customer() if held is None else decode_customer(held)
            interaction = customer.fold(event, name)
            if interaction is not None:
                customers[key] = encode_customer(customer)
                await interactions.send(key=key, value=interaction)
                await context.send(key=key, value=customer.document(name))

    @app.on_rebalance_complete.connect  # type: ignore[untyped-decorator, unused-ignore]
    async def say_ready(*_: Any, **__: Any) -> None:
        # In a line of its own: the worker has written a terminal's codes before.
        print("\nready", flush=True)


def run(arguments: PeerArguments) -> None:
    """Run until SIGTERM."""
    mode.loop.use("uvloop")
    app = application(arguments)
    define(app, arguments.prefix)
    faust.Worker(app, loglevel="WARNING", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    run(parse_arguments("bench.peers.faust_table", commit_interval_ms=_COMMIT_INTERVAL_MS))

"""Starts the processes behind `goldenthread up`, restarts them, and stops them all.

Owns: child processes, the order of their start and stop, their restarts and their log files. It knows nothing about
what they do: each is a command, a way to ask whether it is ready, and the names of the children it needs.
Must not import: anything else of `goldenthread`, agents, connectors.
Read: child_spec, supervisor, child, then child_process and child_log; ready asks HTTP services; broker_child and
fetch_reporter tie the local broker to it.

How to use it, in the main thread's event loop:

    broker = LocalBroker(options, on_progress=fetch_reporter)   # with fetch_reporter: ... around prepare
    broker.prepare()                                            # fetches, locks, checks ports; raises readable errors
    supervisor = Supervisor(
        [
            broker_child(broker),
            ChildSpec(name="init", command=[..., "init"], needs=("broker",), one_shot=True),
            ChildSpec(name="worker", command=[..., "worker"], needs=("init",), ready=worker_is_ready),
        ],
        log_dir=data_dir / "logs",
        on_event=show,
    )
    running = asyncio.create_task(supervisor.run())             # handles SIGINT, SIGTERM, SIGHUP
    if await supervisor.wait_ready():                           # False: it is stopping already
        ...                                                     # print URLs, play the demo, show supervisor.status()
    exit_code = await running                                   # supervisor.failure says why it was not 0
    broker.close()
"""

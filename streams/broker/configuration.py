"""The broker's two configuration files: server.properties and log4j2.xml.

Every path in them is relative to the broker's directory, in which it runs: so no path needs escaping, and the directory
can be moved.
"""

from typing import Final

from schemas.topics import min_insync_replicas
from streams.broker.options import LOOPBACK, BrokerOptions

SERVER_PROPERTIES: Final = "server.properties"
LOG_CONFIGURATION: Final = "log4j2.xml"
BROKER_LOG: Final = "broker.log"
TOPICS_DIRECTORY: Final = "data"
# Offsets and transactions of one machine: four partitions each start faster than the usual fifty and are enough.
INTERNAL_PARTITIONS: Final = 4
# Sixteen times as many broker logs as this are never needed; three old ones tell of the last days.
BROKER_LOG_SIZE_MB: Final = 10
BROKER_LOGS_KEPT: Final = 3
# The log cleaner takes this from the heap at once; the usual 128 MB would be a quarter of it.
CLEANER_BUFFER_SIZE_BYTES: Final = 32 * 1024 * 1024

# KafkaConfig writes all of its 400 values at every start, which hides what happened.
_LOG_CONFIGURATION: Final = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="warn" shutdownHook="disable">
  <Appenders>
    <RollingFile name="broker" fileName="{BROKER_LOG}" filePattern="{BROKER_LOG}.%i">
      <PatternLayout pattern="%d{{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}}{{UTC}} %-5p %c{{1}} %m%n"/>
      <SizeBasedTriggeringPolicy size="{BROKER_LOG_SIZE_MB} MB"/>
      <DefaultRolloverStrategy max="{BROKER_LOGS_KEPT}" fileIndex="min"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="org.apache.kafka.common.config.AbstractConfig" level="WARN"/>
    <Root level="INFO"><AppenderRef ref="broker"/></Root>
  </Loggers>
</Configuration>
"""


def server_properties(options: BrokerOptions) -> dict[str, str | int]:
    """The settings of one combined broker and controller on loopback."""
    client, controller = f"{LOOPBACK}:{options.port}", f"{LOOPBACK}:{options.controller_port}"
    voters = sorted([(options.node_id, options.controller_port), *options.peers])
    replicas, insync = options.replication, min_insync_replicas(options.replication)
    return {
        "process.roles": "broker,controller",
        "node.id": options.node_id,
        # A static quorum is read at each start, so that the controller's port may change between two starts.
        "controller.quorum.voters": ",".join(f"{node_id}@{LOOPBACK}:{port}" for node_id, port in voters),
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{client}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": TOPICS_DIRECTORY,
        # Topics are made from the catalogue; a misspelled name must not become one.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": insync,
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        # Its replicas in sync are those of `min.insync.replicas`, as it has no setting of its own.
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": insync,
        "share.coordinator.state.topic.num.partitions": INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": insync,
        # All members of a group start within a second here; the usual 3 s wait for others only delays them.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        # An open transaction of a killed worker hides what follows it until it is aborted.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
        # After a crash the broker may not come back before the controller has given its predecessor up. Both live in
        # one process, so they only miss each other when all of it stands still.
        "broker.session.timeout.ms": 3_000,
        "broker.heartbeat.interval.ms": 500,
        "log.cleaner.dedupe.buffer.size": CLEANER_BUFFER_SIZE_BYTES,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }


def write_configuration(options: BrokerOptions) -> None:
    """Write both files into the broker's directory, replacing those of the last start."""
    lines = [f"{name}={value}\n" for name, value in server_properties(options).items()]
    (options.data_dir / SERVER_PROPERTIES).write_text("".join(lines), encoding="ascii")
    (options.data_dir / LOG_CONFIGURATION).write_text(_LOG_CONFIGURATION, encoding="ascii")

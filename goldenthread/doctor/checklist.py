"""All checks, in the order in which their findings are shown: what is set, this machine, the processes, the brokers."""

from functools import partial
from typing import Final

from goldenthread.doctor.access import check_access
from goldenthread.doctor.broker import check_broker, check_broker_features, check_replication, check_topics
from goldenthread.doctor.configuration import check_file_modes, check_files, check_secret, check_settings
from goldenthread.doctor.machine import check_data_dir, check_open_files
from goldenthread.doctor.records import (
    check_broker_clock,
    check_dead,
    check_group,
    check_lag,
    check_topics_secret,
)
from goldenthread.doctor.registry import check_registry
from goldenthread.doctor.running import BROKER, Check
from goldenthread.doctor.services import check_clock, check_policy, check_service
from goldenthread.doctor.versions import check_versions

CHECKS: Final = (
    Check("settings", check_settings),
    Check("files", check_files),
    Check("file modes", check_file_modes),
    Check("secret", check_secret),
    Check("access", check_access),
    Check("versions", check_versions),
    Check("data directory", check_data_dir),
    Check("open files", check_open_files),
    Check("worker", partial(check_service, "worker")),
    Check("collect", partial(check_service, "collect")),
    Check("lookup", partial(check_service, "lookup")),
    Check("admin", partial(check_service, "admin")),
    Check("identity policy", check_policy),
    Check("clock", check_clock),
    Check("schema registry", check_registry),
    Check(BROKER, check_broker),
    Check("broker features", check_broker_features, needs_broker=True),
    Check("topics", check_topics, needs_broker=True),
    Check("replication", check_replication, needs_broker=True),
    Check("secret of topics", check_topics_secret, needs_broker=True),
    Check("offsets", check_group, needs_broker=True),
    Check("lag", check_lag, needs_broker=True),
    Check("broker clock", check_broker_clock, needs_broker=True),
    Check("dead letters", check_dead, needs_broker=True),
)

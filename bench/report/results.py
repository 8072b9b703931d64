"""All that a report is made of; what was not measured is None."""

import msgspec

from bench.freshness import Freshness
from bench.lookup_load import LookupLoad
from bench.report.machine import Machine
from bench.restore import RestoreSpeed
from bench.throughput.parts import Throughput


class Results(msgspec.Struct, frozen=True):
    """What was measured in one run."""

    machine: Machine
    throughput: Throughput | None = None
    freshness: Freshness | None = None
    lookup: LookupLoad | None = None
    #: The same with a million customers on disk.
    lookup_large: LookupLoad | None = None
    restore: RestoreSpeed | None = None

"""How many requests each key may send: a token bucket per key, in a bounded table."""

from collections import OrderedDict
from typing import Final, NamedTuple

from schemas.clock import Clock

#: Buckets that are kept; past it the one used longest ago goes, which has been full again for long.
BUCKETS_MAX: Final = 10_000


class _Bucket(NamedTuple):
    tokens: float
    at_s: float


class RateLimits:
    """Buckets by name. A bucket holds one second's worth of requests, at least one.

    Args:
        clock: Tells the time that fills buckets.
        buckets_max: The most buckets that are kept.
    """

    def __init__(self, clock: Clock, buckets_max: int = BUCKETS_MAX) -> None:
        self._clock = clock
        self._buckets_max = buckets_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, requests_per_second: float) -> float:
        """Take one request out of the bucket; gives 0, or the seconds to wait when it is empty."""
        now_s = self._clock.monotonic_s()
        capacity = max(1.0, requests_per_second)
        bucket = self._buckets.pop(name, _Bucket(capacity, now_s))
        tokens = min(capacity, bucket.tokens + (now_s - bucket.at_s) * requests_per_second)
        wait_s = 0.0 if tokens >= 1.0 else (1.0 - tokens) / requests_per_second
        self._buckets[name] = _Bucket(tokens if wait_s else tokens - 1.0, now_s)
        while len(self._buckets) > self._buckets_max:
            self._buckets.popitem(last=False)
        return wait_s

    def __len__(self) -> int:
        return len(self._buckets)

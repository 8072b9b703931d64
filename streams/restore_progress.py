"""How a restore comes along, in the log: every few seconds what is done, what is left, and for how long still."""

import time
from typing import Final

from streams.logs import logger

log = logger(__name__)

PROGRESS_SECONDS: Final = 5.0


class RestoreProgress:
    """Tells of one restore; says nothing of one that is done before the first interval is over."""

    def __init__(self, store: str, interval_s: float = PROGRESS_SECONDS) -> None:
        self._store = store
        self._interval_s = interval_s
        self._began_s = self._told_s = time.monotonic()
        self._first_left: int | None = None

    def tell(self, left: int, records: int) -> None:
        """Take in how many offsets are left and how many records were read; write a line when it is time for one.

        Compaction leaves holes between offsets: so what is left, and the rate that the estimate is made of, are of
        offsets.
        """
        now_s = time.monotonic()
        if self._first_left is None:
            self._first_left = left
        if now_s - self._told_s < self._interval_s or not left:
            return
        self._told_s = now_s
        per_second = (self._first_left - left) / (now_s - self._began_s)
        log.info(
            "restoring",
            store=self._store,
            records=records,
            remaining=left,
            offsets_per_second=round(per_second),
            seconds_left=round(left / per_second) if per_second > 0 else None,
        )

"""The live status line of `up`: events in, contexts, lag and dead letters, from the metrics of the processes."""

import asyncio
import math
from typing import Final, NamedTuple

import aiohttp
from aiohttp import hdrs
from prometheus_client.parser import text_string_to_metric_families
from rich.live import Live
from rich.text import Text

from goldenthread.commands.output import OUT
from goldenthread.settings import Settings, revealed

REFRESH_SECONDS: Final = 1.0
# Without a terminal a line now and then is enough for a log.
LINE_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 2.0


class Figures(NamedTuple):
    """What the line shows; None where the process that knows did not answer."""

    events: int | None
    contexts: int | None
    lag_seconds: float | None
    dead: int | None


class StatusLine:
    """Shows the figures until it is cancelled."""

    def __init__(self, settings: Settings) -> None:
        self._worker = f"http://{settings.local_host}:{settings.worker_port + settings.worker_index}/metrics"
        self._lookup = f"http://{settings.local_host}:{settings.lookup_port}/metrics"
        token = revealed(settings.supervisor_token)
        self._headers = {} if token is None else {hdrs.AUTHORIZATION: f"Bearer {token}"}
        self._before: tuple[float, int] | None = None

    async def show(self) -> None:
        """Refresh the line, or print one now and then where there is no terminal."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            if OUT.is_terminal:
                with Live(console=OUT, auto_refresh=False, transient=True) as live:
                    while True:
                        live.update(Text(self._line(await self._figures(session))), refresh=True)
                        await asyncio.sleep(REFRESH_SECONDS)
            else:
                while True:
                    OUT.print(self._line(await self._figures(session)))
                    await asyncio.sleep(LINE_SECONDS)

    async def _figures(self, session: aiohttp.ClientSession) -> Figures:
        worker, lookup = await asyncio.gather(self._scrape(session, self._worker), self._scrape(session, self._lookup))
        return Figures(
            events=_whole(worker, "goldenthread_events_received_total"),
            contexts=_whole(lookup, "goldenthread_contexts"),
            lag_seconds=_known(lookup, "goldenthread_lag_seconds"),
            dead=_whole(worker, "goldenthread_dead_letters_total"),
        )

    def _line(self, figures: Figures) -> str:
        now = asyncio.get_running_loop().time()
        rate = ""
        if figures.events is not None:
            if self._before is not None and now > self._before[0]:
                per_second = max(0, figures.events - self._before[1]) / (now - self._before[0])
                rate = f" ({per_second:,.0f}/s)"
            self._before = (now, figures.events)
        lag = "?" if figures.lag_seconds is None else f"{figures.lag_seconds:.1f} s"
        return (
            f"events in {_shown(figures.events)}{rate}   contexts {_shown(figures.contexts)}   lag {lag}   "
            f"dead {_shown(figures.dead)}"
        )

    @staticmethod
    async def _scrape(session: aiohttp.ClientSession, url: str) -> dict[str, float] | None:
        """Sums over all labels by the name of the sample; None where nobody answers."""
        try:
            async with session.get(url) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return None
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        return sums


def _whole(figures: dict[str, float] | None, name: str) -> int | None:
    return None if figures is None else int(figures.get(name, 0.0))


def _known(figures: dict[str, float] | None, name: str) -> float | None:
    """The figure; one that is not measured yet is no number."""
    figure = None if figures is None else figures.get(name)
    return None if figure is None or math.isnan(figure) else figure


def _shown(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"

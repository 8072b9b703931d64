"""PromQL in the few shapes that the dashboards need. `$instance` is the dashboards' variable."""

from typing import Final

_PREFIX: Final = "goldenthread_"
#: Grafana's variable: at least four scrapes, so that no rate is empty.
RATE_WINDOW: Final = "$__rate_interval"


def metric(name: str, labels: str = "") -> str:
    """A metric of the chosen instances, with these label matchers."""
    matchers = ",".join(part for part in ('instance=~"$instance"', labels) if part)
    return f"{_PREFIX}{name}{{{matchers}}}"


def rate(name: str, labels: str = "", *, by: str = "") -> str:
    """The sum of a counter's rates a second, by these labels."""
    return f"{_sum(by)} (rate({metric(name, labels)}[{RATE_WINDOW}]))"


def increase(name: str, window: str, labels: str = "", *, by: str = "") -> str:
    """By how much a counter grew within a window."""
    return f"{_sum(by)} (increase({metric(name, labels)}[{window}]))"


def quantile(which: float, name: str, labels: str = "", *, by: str = "") -> str:
    """A quantile of a histogram of durations."""
    buckets = rate(f"{name}_bucket", labels, by=f"{by}, le" if by else "le")
    return f"histogram_quantile({which:g}, {buckets})"


def largest(name: str, labels: str = "", *, by: str = "") -> str:
    """The largest of what several processes say of the same thing, as several lookups do."""
    return f"max by ({by}) ({metric(name, labels)})" if by else f"max({metric(name, labels)})"


def ratio(part: str, whole: str) -> str:
    """Part of whole, both rates a second; where there is nothing, one in five minutes is taken, to give a number."""
    return f"{part} / clamp_min({whole}, 1 / 300)"


def top(number: int, expression: str) -> str:
    """The greatest so many of its series, where all of them would hide what matters."""
    return f"topk({number}, {expression})"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"

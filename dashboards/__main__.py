"""`python -m dashboards`: write the dashboards' JSON anew."""

import json
from pathlib import Path
from typing import Final

from dashboards.customers import CUSTOMERS
from dashboards.dashboard import Dashboard
from dashboards.overview import OVERVIEW
from dashboards.streams_and_state import STREAMS_AND_STATE

FOLDER: Final = Path(__file__).parent / "grafana" / "dashboards"
DASHBOARDS: Final = (OVERVIEW, STREAMS_AND_STATE, CUSTOMERS)


def encode(dashboard: Dashboard) -> str:
    """The text of a dashboard's file."""
    return json.dumps(dashboard.encoded(), indent=1, ensure_ascii=False) + "\n"


def path_of(dashboard: Dashboard) -> Path:
    """Where a dashboard's file lies."""
    return FOLDER / f"{dashboard.uid.removeprefix('goldenthread-')}.json"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for each in DASHBOARDS:
        path_of(each).write_text(encode(each))

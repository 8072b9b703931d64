"""By what a worker folds events: the compiled library (`state.native`) where it is built and wanted, or Python."""

from goldenthread.setting_values import Native
from goldenthread.settings import variable_name
from state.native.loading import Library, load
from state.native.sources import library_path
from streams.logs import logger

log = logger(__name__)


def wanted_library(native: Native) -> Library | None:
    """The library, where it is built and wanted."""
    return None if native is Native.OFF else load()


def folding_library(native: Native) -> Library | None:
    """The library for the engines of this process; None where all is done in Python. It says which in the log."""
    if native is Native.OFF:
        log.info("events are folded in Python", reason=f"{variable_name('native')} is off")
        return None
    library = wanted_library(native)
    if library is None:
        log.info(
            "events are folded in Python", reason="there is no compiled library: `python -m state.native` builds it"
        )
    else:
        log.info("events are folded by the compiled library", library=library_path().name)
    return library

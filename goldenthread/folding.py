"""By what a worker takes in and folds events: the compiled library (`state.native`), or Python."""

from goldenthread.setting_values import Native
from goldenthread.settings import variable_name
from state.native.loading import Library, load
from state.native.sources import library_path
from streams.logs import logger

log = logger(__name__)


def wanted_library(native: Native) -> Library | None:
    """The library, where it is built and wanted."""
    return None if native is Native.OFF else load()


def compiled_library(native: Native, stage: str) -> Library | None:
    """The library for a stage of this process; None where all is done in Python. It says which in the log."""
    if native is Native.OFF:
        log.info("events are handled in Python", stage=stage, reason=f"{variable_name('native')} is off")
        return None
    library = wanted_library(native)
    if library is None:
        reason = "there is no compiled library: `python -m state.native` builds it"
        log.info("events are handled in Python", stage=stage, reason=reason)
    else:
        log.info("events are handled by the compiled library", stage=stage, library=library_path().name)
    return library

"""Checks of who is let in: keys where other machines reach the services, and tokens before they expire."""

from typing import Final

from connectors.web.access import AccessKey, Role
from goldenthread.access import make_access
from goldenthread.doctor.examination import Examination, Report
from goldenthread.settings import Settings, file_of, variable_name
from schemas.clock import SystemClock
from schemas.errors import SettingError
from schemas.sources import load_sources
from schemas.times import MICROSECONDS_PER_DAY, format_time

#: Tokens are told of this long before they expire: long enough to hand out new ones.
EXPIRY_DAYS_MIN: Final = 14
_SERVED_ROLES: Final = (Role.COLLECT, Role.LOOKUP, Role.ADMIN)


def check_access(examination: Examination, report: Report) -> None:
    """Files of keys are right, no service is open to other machines, and no key is about to expire."""
    settings = examination.settings
    keys: dict[tuple[str, str | None], AccessKey] = {}
    opened = []
    for role in _SERVED_ROLES:
        if role is Role.COLLECT and not _sources_readable(settings):
            report.skip("write keys are not looked at: the sources file is wrong, see files")
            continue
        try:
            access = make_access(settings, role)
        except SettingError as error:
            report.problem(str(error), "correct this: docs/access.md has what keys look like and how they are made")
            return
        keys |= {(key.name, key.source): key for key in access.keys if not key.internal}
        if not access.enabled:
            opened.append(str(role))
    if opened:
        report.ok(f"{', '.join(opened)} let in everybody on {settings.host}: no key is configured")
    for key in keys.values():
        _check_expiry(key, report)
    if keys:
        report.ok(f"{len(keys)} keys")


def _sources_readable(settings: Settings) -> bool:
    """Whether the sources can be read; what is wrong with them is told by the check of files."""
    try:
        path = file_of(settings, "sources_file")
        if path is not None:
            load_sources(path)
    except SettingError:
        return False
    return True


def _check_expiry(key: AccessKey, report: Report) -> None:
    if key.expires_us is None:
        return
    left_us = key.expires_us - SystemClock().now_us()
    name = f"write key of source {key.source}" if key.source is not None else f"token {key.name}"
    action = (
        f"add a second one to {variable_name('sources_file' if key.source is not None else 'access_file')}, let its "
        "users change over, then remove this one"
    )
    if left_us <= 0:
        report.warn(f"the {name} has expired ({format_time(key.expires_us)})", action)
    elif left_us < EXPIRY_DAYS_MIN * MICROSECONDS_PER_DAY:
        report.warn(
            f"the {name} expires in {left_us // MICROSECONDS_PER_DAY} days ({format_time(key.expires_us)})", action
        )

"""`doctor`: looks at everything that an installation hangs on, and says what to do. It changes nothing."""

import os
import sys
from typing import Final

from rich.text import Text

from goldenthread.commands.output import OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown
from goldenthread.doctor.finding import Finding, Status, worst
from goldenthread.settings import load_settings
from schemas.errors import EXIT_DONE, EXIT_PROBLEMS_FOUND, EXIT_USAGE, SettingError
from streams.logs import configure_logs

_STYLES: Final = {Status.OK: "green", Status.SKIPPED: "dim", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


def doctor(json: JsonFlag = False) -> None:
    """Check settings, machine, processes and brokers; exit 1 if there are problems, 2 if settings can't be read."""
    try:
        settings = load_settings()
    except SettingError as error:
        broken = Finding("settings", Status.PROBLEM, str(error), "correct this first: nothing else can be checked")
        _tell([broken], json)
        sys.exit(EXIT_USAGE)
    # What libraries complain of comes back as findings.
    configure_logs("ERROR")
    from goldenthread.doctor.checklist import CHECKS
    from goldenthread.doctor.examination import Examination
    from goldenthread.doctor.running import run_checks

    findings = run_checks(CHECKS, Examination.of(settings))
    _tell(findings, json)
    sys.stdout.flush()
    sys.stderr.flush()
    # A check that hangs in a library would hold up an orderly end.
    os._exit(EXIT_PROBLEMS_FOUND if worst(findings) is Status.PROBLEM else EXIT_DONE)


def _tell(findings: list[Finding], json: bool) -> None:
    if json:
        print_json({"status": worst(findings), "findings": findings})
        return
    # A table would fill its lines up with blanks, where nobody sees columns but on a terminal.
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        head = Text.assemble((f"{finding.status:7}", _STYLES[finding.status]), f"  {finding.check:{width}}  ")
        OUT.print(head.append_text(shown(finding.found)))
        if finding.action:
            OUT.print(Text.assemble(" " * (width + 11), ("→ ", "cyan"), shown(finding.action)))
    counts = {status: sum(finding.status is status for finding in findings) for status in Status}
    OUT.print(f"{counts[Status.PROBLEM]} problems, {counts[Status.WARNING]} warnings, {counts[Status.OK]} in order")

"""`doctor`: looks at everything that an installation hangs on, and says what to do. It changes nothing."""

import os
import sys

from rich.table import Table
from rich.text import Text

from goldenthread.commands.output import OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown
from goldenthread.doctor.finding import Finding, Status, worst
from goldenthread.settings import load_settings
from schemas.errors import EXIT_DONE, EXIT_PROBLEMS_FOUND, EXIT_USAGE, SettingError
from streams.logs import configure_logs

_STYLES = {Status.OK: "green", Status.SKIPPED: "dim", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


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
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(finding.status, _STYLES[finding.status]), shown(finding.check), shown(finding.found))
        if finding.action:
            table.add_row("", "", Text.assemble(("→ ", "cyan"), shown(finding.action)))
    OUT.print(table)
    counts = {status: sum(finding.status is status for finding in findings) for status in Status}
    OUT.print(f"{counts[Status.PROBLEM]} problems, {counts[Status.WARNING]} warnings, {counts[Status.OK]} in order")

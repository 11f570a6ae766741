from __future__ import annotations

import json as jsonlib
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from bridge.doctor import examine
from bridge.doctor.finding import Finding


class Command(BaseCommand):
    help = (
        "Check database, queue, worker, Kommo token and its expiry, bindings, webhook subscription, backlog and stuck "
        "cards. Exits 1 when anything is wrong, with the remedy of each finding."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")
        parser.add_argument("--offline", action="store_true", help="read our own rows alone; call nobody")

    def handle(self, *, json: bool, offline: bool, **_: Any) -> None:
        findings = examine(timezone.now(), ask_kommo=not offline)
        wrong = [finding for finding in findings if not finding.is_well]
        if json:
            self._print_json(findings, not wrong)
        else:
            for finding in findings:
                mark = "WRONG" if not finding.is_well else "note " if finding.advice else "ok   "
                self.stdout.write(f"{mark}  {finding.check:<10}  {finding.message}")
                if say := finding.remedy or finding.advice:
                    self.stdout.write(f"{'':<19}→ {say}")
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(findings)} checks found something wrong.")

    def _print_json(self, findings: list[Finding], healthy: bool) -> None:
        rows = [
            {
                "check": finding.check,
                "ok": finding.is_well,
                "message": finding.message,
                "remedy": finding.remedy or finding.advice or None,
                "advice": finding.advice or None,
            }
            for finding in findings
        ]
        self.stdout.write(jsonlib.dumps({"healthy": healthy, "findings": rows}, ensure_ascii=False, indent=2))

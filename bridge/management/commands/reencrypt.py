from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from bridge import lost_secrets
from bridge.management.pageless import PagelessCommand


class Command(PagelessCommand):
    help = (
        "Encrypt every stored secret with the first of FIELD_ENCRYPTION_KEYS. To rotate: put a new key in front, "
        "restart, run this, then drop the old key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        lost = parser.add_mutually_exclusive_group()
        lost.add_argument("--check", action="store_true", help="only name the secrets that no key opens")
        lost.add_argument("--give-up", action="store_true", help="empty those secrets, to be typed anew")

    def handle(self, *, check: bool, give_up: bool, **_: Any) -> None:
        if check or give_up:
            self._lost(give_up)
            return
        count = 0
        for model in apps.get_models():
            names = lost_secrets.columns_of(model)
            if not names:
                continue
            for pk in model._default_manager.values_list("pk", flat=True).iterator():
                with transaction.atomic():
                    # Reading decrypts with whichever key fits, saving encrypts with the first.
                    row = model._default_manager.select_for_update().get(pk=pk)
                    row.save(update_fields=names)
                count += 1
        self.stdout.write(f"{count} row(s) encrypted with the newest key.")

    def _lost(self, give_up: bool) -> None:
        found = list(lost_secrets.find())
        for lost in found:
            if give_up:
                lost_secrets.give_up(lost)
            self.stdout.write(f"{lost.what} ({', '.join(lost.columns)}): {lost.remedy}")
        if found and not give_up:
            raise CommandError(
                f"{len(found)} row(s) hold a secret that no key of FIELD_ENCRYPTION_KEYS opens. Put the lost key back; "
                "where it is gone for good: manage.py reencrypt --give-up, then what stands behind each."
            )
        self.stdout.write(f"{len(found)} row(s) given up." if found else "Every stored secret can be read.")

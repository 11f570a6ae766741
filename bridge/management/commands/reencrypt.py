from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import transaction

from bridge.management.pageless import PagelessCommand
from leads.encryption import EncryptedTextField


class Command(PagelessCommand):
    help = (
        "Encrypt every stored secret with the first of FIELD_ENCRYPTION_KEYS. To rotate: put a new key in front, "
        "restart, run this, then drop the old key."
    )

    def handle(self, **_: Any) -> None:
        count = 0
        for model in apps.get_models():
            names = [field.name for field in model._meta.fields if isinstance(field, EncryptedTextField)]
            if not names:
                continue
            for pk in model._default_manager.values_list("pk", flat=True).iterator():
                with transaction.atomic():
                    # Reading decrypts with whichever key fits, saving encrypts with the first.
                    row = model._default_manager.select_for_update().get(pk=pk)
                    row.save(update_fields=names)
                count += 1
        self.stdout.write(f"{count} row(s) encrypted with the newest key.")

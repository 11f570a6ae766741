"""Stored secrets that no key of FIELD_ENCRYPTION_KEYS opens: which they are, and giving them up to be typed anew.

A row with one of them cannot be read at all, so neither can the pages and jobs that need it. With the key that was lost
it opens again; without, this is the only way on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Model, TextField
from django.db.models.functions import Cast

from bridge.models import Channel, Forgetting, Intake, SecondFactor
from leads import pseudonyms
from leads.encryption import EncryptedTextField, decrypt
from leads.models import OptOut, PseudonymKey


@dataclass(frozen=True)
class Lost:
    """A row with secrets that no key opens, by the names of their columns."""

    row: Model
    columns: tuple[str, ...]

    @property
    def what(self) -> str:
        return f"{self.row._meta.verbose_name} {self.row}"

    @property
    def remedy(self) -> str:
        return REMEDIES.get(type(self.row), TYPE_ANEW)


def columns_of(model: type[Model]) -> list[str]:
    return [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedTextField)]


def find() -> Iterator[Lost]:
    """Yield every row that cannot be read, without the columns that are in the way."""
    for model in apps.get_models():
        if names := columns_of(model):
            # As the database has them: as their field they would be decrypted.
            stored = {f"{name}_as_stored": Cast(name, TextField()) for name in names}
            for row in model._default_manager.defer(*names).annotate(**stored).order_by("pk").iterator():
                lost = tuple(name for name in names if not _opens(getattr(row, f"{name}_as_stored")))
                if lost:
                    yield Lost(row, lost)


def _opens(stored: str | None) -> bool:
    try:
        return not stored or bool(decrypt(stored))
    except ImproperlyConfigured:
        return False


@transaction.atomic
def give_up(lost: Lost) -> None:
    """Empty what cannot be opened, so that the row can be read; nothing becomes less guarded by that."""
    row, empty = lost.row, dict.fromkeys(lost.columns, "")
    if give := GIVING_UP.get(type(row)):
        give(row, empty)
    else:
        _update(row, empty)


def _update(row: Model, values: dict[str, Any]) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**values)


def _switch_off(row: Model, empty: dict[str, Any]) -> None:
    # Without its settings a way in would ask for no signature.
    _update(row, empty | ({"is_active": False} if "settings" in empty else {}))


def _new_pseudonyms(row: Model, empty: dict[str, Any]) -> None:
    """Make a new key, and with it the pseudonyms of those who are still known."""
    _update(row, {"secret": token_urlsafe(32)})
    pseudonyms.forget_key()
    for wish in OptOut.objects.exclude(phone_key=""):
        OptOut.objects.filter(pk=wish.pk).update(address=pseudonyms.of_address(wish.phone_key))


TYPE_ANEW = "type it anew on its page in the admin"
# What is done with a row instead of emptying its columns, and what a person does afterwards.
GIVING_UP: dict[type[Model], Callable[[Any, dict[str, Any]], Any]] = {
    Channel: _switch_off,
    Intake: _switch_off,
    # Nobody could give a code for it.
    SecondFactor: lambda row, empty: SecondFactor.objects.filter(pk=row.pk).delete(),
    PseudonymKey: _new_pseudonyms,
}
REMEDIES: dict[type[Model], str] = {
    Channel: "it is switched off: type its keys anew on its page, or with manage.py channel",
    Intake: "where it asked for a signature it is switched off: run manage.py intake again, and give the other side "
    "the address it prints",
    SecondFactor: "the password alone lets them in: have them set it up anew at once",
    PseudonymKey: "whoever was erased is known no more: their opt-outs and their old reports count no longer; the "
    "opt-outs of all others stay",
    Forgetting: "if it is under way, look for the person in Kommo and erase them there by hand",
}

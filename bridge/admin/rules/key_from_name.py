"""A key for machines, made of the name a person gave."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.text import slugify


def free_key(name: str, taken: Iterable[str]) -> str:
    """Return a key for machines made of a name, different from all taken ones."""
    base = slugify(name).replace("-", "_")[:50] or "stage"
    # The API's word for a stage of Kommo's that is none of ours.
    taken = {*taken, "other"}
    return next(key for key in (base, *(f"{base}_{number}" for number in range(2, 999))) if key not in taken)

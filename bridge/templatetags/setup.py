"""Small helps for the pages of the first run."""

from __future__ import annotations

from typing import Any

from django import forms, template

register = template.Library()


@register.filter
def box(form: forms.Form, name: str) -> forms.BoundField:
    """Return a form's box by a name that is only known while the page is drawn."""
    return form[name]


@register.filter
def at(found: dict[str, Any], key: Any) -> Any:
    return found.get(str(key))

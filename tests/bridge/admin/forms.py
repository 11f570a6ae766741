"""Posting an admin form as a browser does: everything the page holds, with a few boxes changed."""

from __future__ import annotations

from typing import Any

from django.forms import BaseForm
from django.test import Client


def submit(client: Client, path: str, **changes: Any) -> Any:
    """Open the page, change the named fields and press save; return the answer."""
    context = client.get(path).context
    body = _values(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        body |= _values(inline.formset.management_form)
        for form in inline.formset.forms:
            body |= _values(form)
    return client.post(path, {**body, **changes})


def _values(form: BaseForm) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value is True:
            values[field.html_name] = "on"
        elif value is not None and value is not False:
            prepared = field.field.prepare_value(value) if hasattr(field.field, "prepare_value") else value
            values[field.html_name] = prepared
    return values

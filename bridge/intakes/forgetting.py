"""Of people who were erased no call to a way in keeps anything."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Exists, OuterRef

from bridge.models import IntakeCall, IntakeItem

AT_ONCE = 200


def forget(lead_ids: Collection[Any], words: Collection[str] = ()) -> int:
    """Empty the calls that told of these leads, and those about nobody known that name them; return how many.

    words: what names them, such as their number's digits. Looks at every call that is about no lead.
    """
    about = IntakeItem.objects.filter(call=OuterRef("pk"), lead__in=lead_ids)
    theirs = list(IntakeCall.objects.filter(Exists(about)).exclude(body=b"").values_list("pk", flat=True))
    marks = [word.casefold() for word in words if word]
    if marks:
        # What is unread is let go of when it is read, by the same rule as everything that is told of them later.
        known = IntakeItem.objects.filter(call=OuterRef("pk"), lead__isnull=False)
        others = IntakeCall.objects.exclude(state=IntakeCall.State.RECEIVED).exclude(Exists(known)).exclude(body=b"")
        for pk, body in others.values_list("pk", "body").iterator(AT_ONCE):
            said = bytes(body).decode(errors="replace").casefold()
            if any(mark in said for mark in marks):
                theirs.append(pk)
    return IntakeCall.objects.filter(pk__in=theirs).update(body=b"", error="")

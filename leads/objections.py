"""Which objections has a lead raised? They accumulate, until all are taken back."""

from __future__ import annotations

from datetime import datetime

from common.name_spellings import name_key
from common.reasons import Reason
from common.statements import insert_missing
from leads.models import Lead, Objection
from leads.which_fact_stands import Change


def merge_objections(lead: Lead, names: list[str] | None, changes: Change, *, at: datetime) -> None:
    """Add what was raised; None takes back what was raised until then.

    They accumulate, so one that is reported late is added all the same, unless all were taken back after it.
    """
    cleared_at = lead.provenance.get("objections", {}).get("cleared_at")
    if cleared_at and datetime.fromisoformat(cleared_at) > at:
        changes.stale.add("objections")
        changes.ignored["objections"] = Reason("older_than_taken_back", at=cleared_at)
        return
    if names is None:
        removed, _ = lead.objections.filter(raised_at__lte=at).delete()
        changes.note(lead, "objections", None, at, changed=bool(removed))
        lead.provenance["objections"]["cleared_at"] = at.isoformat()
        return
    # Read before the lock was waited for: meanwhile others may have been stored, and all taken back. What is stored
    # already is not new; what was known is looked at again where any were ever taken back.
    known = () if cleared_at else getattr(lead, "objection_keys", None) or ()
    by_key = {name_key(name): name.strip() for name in names}
    unknown = [
        Objection(lead_id=lead.pk, name=name, key=key, raised_at=at) for key, name in by_key.items() if key not in known
    ]
    stored = insert_missing(unknown, returning="key")
    added = [objection.name for objection in unknown if objection.key in stored]
    changes.note(lead, "objections", added, at, changed=bool(added))
    if cleared_at:
        lead.provenance["objections"]["cleared_at"] = cleared_at

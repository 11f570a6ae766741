"""What Kommo makes of what we write is no person's edit. Decides on values alone.

Between a confirmed write and the first reading after it, `Card.unread` holds what was sent: {"updated_at": Kommo's
time of the write, 0 for a create, whose answer tells none; "name", "fields", "tags"}. That reading, last edited by our
own user and not newer than the write, shows the form in which Kommo keeps it: where it differs, the pair is remembered
in `Card.kept_forms`: {"name" | "fields": {id}: {"sent", "held"}, "tags": [kept by nobody]}, and every later reading of
that form is read as what we sent. A tag that Kommo dropped is sent again, once.

Of a write whose answer was lost Kommo's time is not known: there the doubt itself is what was sent, and the proof a
reading by our own user, changed since we last knew the lead and no later than when that write was over: `unread` has
that as "lost_at", in Unix seconds.

Known forms (a day, a text without its emoji, an unticked box: bridge/kommo/custom_field_values.py) need no such proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bridge.cards.observed import persons_name
from bridge.cards.write_ahead import LINGERS_FOR, LONGEST_WRITE
from bridge.kommo import custom_field_values
from bridge.kommo.replies import LeadReply
from bridge.models import Card

# A create's answer tells no time: its lead is that old at most, in seconds, when only Kommo was at it.
CREATION_TAKES = 2
# For so long after a write a reading may still show the lead without it.
LISTS_LAG = timedelta(minutes=1)


@dataclass
class Reading:
    """A lead as Kommo has it, said in the form we sent it in, and what was learnt of its own.

    known: what the card holds, without the tags that Kommo dropped. dropped: those, to be sent again.
    """

    values: dict[str, Any]
    known: dict[str, Any]
    forms: dict[str, Any]
    dropped: list[str] = field(default_factory=list)


def sent(unread: Mapping[str, Any], effect: Mapping[str, Any], updated_at: int = 0) -> dict[str, Any]:
    """Return `Card.unread` once Kommo has confirmed a write with this effect."""
    after: dict[str, Any] = {**unread, "updated_at": updated_at}
    after.pop("lost_at", None)
    if "name" in effect:
        after["name"] = effect["name"]
    after["fields"] = {**unread.get("fields", {}), **effect.get("fields", {})}
    after["tags"] = sorted({*unread.get("tags", ()), *effect.get("tags", ()), *effect.get("tags_to_add", ())})
    return after


def lost(unread: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return `Card.unread` once the answer to a write was lost: by now it was applied, or never will be."""
    return {**unread, "lost_at": now.timestamp()}


def of_several(unread: Mapping[str, Any]) -> dict[str, Any]:
    """Return `Card.unread` once somebody else wrote as well: what is read may be theirs, and is no proof.

    Our last write may have come after theirs, and is all that a reading names.
    """
    return {"updated_at": unread.get("updated_at", 0)} if unread else {}


def is_own_work(unread: Mapping[str, Any], reply: LeadReply, *, user_id: int | None, robots: bool) -> bool:
    """Say whether a reading shows our last write and nothing later.

    Who made it is our user, or nobody who is named; with `robots` also a robot, as which some accounts name whatever
    comes by the API.
    """
    if not unread:
        return False
    known_at = unread.get("updated_at")
    if reply.updated_by is None:
        # Nobody says whose work it is: only the very second of our write speaks for us.
        return bool(known_at) and reply.updated_at == known_at
    if reply.updated_by != user_id and not (reply.updated_by == 0 and robots):
        return False
    return reply.updated_at <= (known_at or reply.created_at + CREATION_TAKES)


def is_lost_work(card: Card, reply: LeadReply, *, user_id: int | None) -> bool:
    """Say whether a reading shows a write of ours whose answer was lost, and nothing later."""
    settles_at = card.write_settles_at.timestamp() if card.write_settles_at else None
    over_at = settles_at or card.unread.get("lost_at")
    if not card.in_doubt or over_at is None or user_id is None or reply.updated_by != user_id:
        return False
    began_at = over_at - (LONGEST_WRITE + LINGERS_FOR).total_seconds()
    is_in_time = began_at - CREATION_TAKES <= reply.updated_at <= over_at + CREATION_TAKES
    return is_in_time and reply.updated_at > (card.observed.get("updated_at") or 0)


def is_stale(card: Card, reply: LeadReply, read_at: datetime) -> bool:
    """Say whether a reading shows a lead as it was before our last write: lists lag for moments, and replicas.

    Only just after the write: a time that another program set back must not blind us for good.
    """
    known_at = card.unread.get("updated_at") or 0
    is_just_after = card.observed_at is not None and read_at - card.observed_at < LISTS_LAG
    return is_just_after and reply.updated_at < known_at


def read(
    observed: Mapping[str, Any],
    reply: LeadReply,
    *,
    known: Mapping[str, Any],
    doubts: Mapping[str, Any],
    forms: Mapping[str, Any],
    unread: Mapping[str, Any],
    is_own: bool,
    is_lost: bool = False,
) -> Reading:
    """Return the reading in the form of what we sent.

    is_own: it shows our last write and nothing later; is_lost: the same of one whose answer was lost.
    """
    reading = Reading(deepcopy(dict(observed)), deepcopy(dict(known)), deepcopy(dict(forms)))
    if not known:
        return reading
    proven = {**(unread if is_own else {}), **(doubts if is_lost else {})}
    proven["fields"] = {
        **(unread.get("fields", {}) if is_own else {}),
        **(doubts.get("fields", {}) if is_lost else {}),
    }
    types = {str(custom_field.field_id): custom_field.field_type for custom_field in reply.custom_fields}
    theirs = reading.values["fields"]
    ours, doubted = known.get("fields", {}), doubts.get("fields", {})
    for field_id in {*ours, *theirs, *doubted}:
        expected = [side[field_id] for side in (doubted, ours) if field_id in side]
        our_value = _said(
            types.get(field_id, ""),
            theirs.get(field_id),
            expected,
            reading.forms.setdefault("fields", {}),
            field_id,
            proven["fields"],
        )
        if our_value is None and field_id not in ours:
            theirs.pop(field_id, None)
        else:
            theirs[field_id] = our_value
    names = [side["name"] for side in (doubts, known) if "name" in side]
    said_name = _said("text", reading.values["name"], names, reading.forms, "name", proven)
    if said_name is not None:
        reading.values["name"] = said_name
    if not known.get("name", "") and not persons_name(reading.values["name"], reply.id):
        # Nobody has named it: Kommo calls it by its number.
        reading.values["name"] = ""
    _read_tags(reading, doubts, unread if is_own else {})
    return reading


def _said(
    type_: str, kommo_value: Any, expected: list[Any], forms: dict[str, Any], subject: str, unread: Mapping[str, Any]
) -> Any:
    """Return which of the expected values Kommo's is a form of; Kommo's own when it is none of them."""
    if kommo_value in expected:
        return kommo_value
    for value in expected:
        if custom_field_values.is_form_of(type_, kommo_value, value):
            return value
    form = forms.get(subject)
    for value in expected:
        if form and form["held"] == kommo_value and form["sent"] == value:
            return value
    if subject in unread and unread[subject] in expected:
        forms[subject] = {"sent": unread[subject], "held": kommo_value}
        return unread[subject]
    return kommo_value


def _read_tags(reading: Reading, doubts: Mapping[str, Any], unread: Mapping[str, Any]) -> None:
    their_tags, known = set(reading.values["tags"]), set(reading.known.get("tags", ()))
    expected = known | set(doubts.get("tags_to_add", ()))
    spelt = {name.casefold(): name for name in sorted(their_tags - expected)}
    for tag in sorted(expected - their_tags):
        # The same tag in the spelling it was first made in.
        if other := spelt.pop(tag.casefold(), None):
            their_tags = their_tags - {other} | {tag}
    kept_by_nobody = set(reading.forms.get("tags", ()))
    their_tags |= (known - their_tags) & kept_by_nobody
    dropped = (known - their_tags) & set(unread.get("tags", ()))
    again = dropped & set(reading.forms.get("tags_sent_again", ()))
    # Sent twice, kept never: that is how it is.
    their_tags |= again
    if again:
        reading.forms["tags"] = sorted(kept_by_nobody | again)
    if new := sorted(dropped - again):
        reading.dropped = new
        reading.known["tags"] = sorted(known - set(new))
        reading.forms["tags_sent_again"] = sorted({*reading.forms.get("tags_sent_again", ()), *new})
    reading.values["tags"] = sorted(their_tags)

"""What stays in Kommo of a person who was erased there, for a person to look at: named, and its values never told.

Nothing of it is emptied by us: a field, a note or a chat may tell of others, and much of it Kommo never takes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from django.db.models import Q

from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply, LeadReply, is_filled
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card
from leads.models import JoinedLead

# Of each kind so many are named, and so much of each name.
MOST_NAMED, LONGEST_NAME = 10, 30
# A line of the timeline, and what the page of erasures shows.
LONGEST_LINE = 500
HEAD, MORE = "left in Kommo: ", "; and more, which the timeline names"


class Aside(Protocol):
    def __call__(self, ask: Any) -> Any: ...


def look(
    card: Card,
    lead: LeadReply | None,
    contacts: Sequence[ContactReply],
    account: Account,
    client: KommoClient,
    *,
    aside: Aside,
    searched: bool,
) -> list[str]:
    """Return what stays, in words for staff. `contacts` are the person's; `aside` asks, and answers None if it fails.

    Two calls for the lead and two for each contact. searched: their other contacts could be looked for.
    """
    answers = [searched or None]
    left: list[str] = []
    if lead is not None:
        notes, tasks = aside(lambda: client.notes_on("leads", lead.id)), aside(lambda: client.tasks_on(lead.id))
        answers += [notes, tasks]
        left += _on_lead(card, lead, account, notes or [], tasks or [])
    left += _further_leads(card, contacts, account)
    for contact in contacts:
        notes = aside(lambda contact=contact: client.notes_on("contacts", contact.id))
        talks = aside(lambda contact=contact: client.talks(contact.id, closed_too=True, lane=Lane.BULK))
        answers += [notes, talks]
        left += _on_contact(contact, notes or [], any(talk.contact_id == contact.id for talk in talks or ()))
    if any(answer is None for answer in answers):
        left.append("not everything could be looked through in Kommo: look there for what else tells of them")
    return left


def lines(left: Iterable[str]) -> list[str]:
    """Return what stays as few lines of the timeline, none longer than it takes."""
    found: list[str] = []
    for entry in left:
        if found and len(found[-1]) + 2 + len(entry) <= LONGEST_LINE:
            found[-1] += f"; {entry}"
        else:
            found.append(f"{HEAD}{entry}")
    return found


def shortly(told_left: Sequence[str]) -> str:
    """Return those lines as the page of erasures shows them: as many entries as fit, and whether there are more."""
    if not told_left[1:]:
        return "".join(told_left)
    entries = told_left[0].split("; ")
    while len("; ".join(entries) + MORE) > LONGEST_LINE:
        entries.pop()
    return "; ".join(entries) + MORE


def _on_lead(
    card: Card, lead: LeadReply, account: Account, notes: Sequence[int], tasks: Sequence[int]
) -> Iterator[str]:
    fields = [
        found.name or str(found.field_id)
        for found in lead.custom_fields
        if found.field_id != account.bridge_id_field_id and is_filled(found.values)
    ]
    if fields:
        yield f"lead {lead.id} has filled fields: {_names(fields)}"
    if lead.price:
        yield f"lead {lead.id} has a price"
    if lead.tags:
        yield f"lead {lead.id} has tags ({len(lead.tags)}): look whether they tell of the person"
    briefings = list(card.briefings.values_list("note_id", "task_id"))
    if any(note_id for note_id, _ in briefings):
        # Kommo documents no way to take a note back.
        yield f"a note of a handoff on lead {lead.id} names the person: delete it there"
    others = len(set(notes) - {note_id for note_id, _ in briefings})
    if others:
        yield f"lead {lead.id} has notes ({others}): look whether they tell of the person"
    others = len(set(tasks) - {task_id for _, task_id in briefings})
    if others:
        yield f"lead {lead.id} has tasks ({others}): look whether they tell of the person"


def _on_contact(contact: ContactReply, notes: Sequence[int], has_chats: bool) -> Iterator[str]:
    if contact.other_fields:
        yield f"contact {contact.id} has filled fields: {_names(contact.other_fields)}"
    if contact.tag_count:
        yield f"contact {contact.id} has tags ({contact.tag_count}): look whether they tell of the person"
    if notes:
        yield f"contact {contact.id} has notes ({len(notes)}): look whether they tell of the person"
    if has_chats:
        yield f"contact {contact.id} has chats: what was said there stays"


def _further_leads(card: Card, contacts: Iterable[ContactReply], account: Account) -> Iterator[str]:
    """Tell of the person's other leads, but for those that are erased like this one, or are somebody else's card."""
    left_behind = JoinedLead.objects.filter(lead=card.lead_id).values_list("kommo_lead_id", flat=True)
    joined = {kommo_id for kommo_id in left_behind if kommo_id}
    for kommo_id in sorted(joined):
        yield f"lead {kommo_id} was theirs before the leads were joined: erase it there"
    ids = {lead_id for contact in contacts for lead_id in contact.lead_ids} - {card.kommo_lead_id} - joined
    known = Card.objects.filter(account=account, kommo_lead_id__in=ids)
    known = known.filter(Q(lead__erased_at=None) | Q(forgetting__empties=True))
    others = sorted(ids - set(known.values_list("kommo_lead_id", flat=True)))
    for kommo_id in others[:MOST_NAMED]:
        yield f"lead {kommo_id} is another of their contact's: look whether it tells of the person"
    if others[MOST_NAMED:]:
        yield f"and {len(others) - MOST_NAMED} more leads of their contact's"


def _names(names: Sequence[str]) -> str:
    """Return the names of fields in quotes; no sign in them ends a piece of the sentence."""
    plain = [name.replace(";", ",").replace("”", '"').replace("“", '"').strip() for name in names]
    shown = ", ".join(f"“{name[:LONGEST_NAME]}”" for name in plain[:MOST_NAMED])
    return shown + (f" … ({len(names)})" if names[MOST_NAMED:] else "")

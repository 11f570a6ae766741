"""Removing what the bridge holds of a person who asked to be forgotten (the lead itself: leads/erasure.py).

Everything that names them goes in the transaction of the erasure. What was on its way at that moment, in another
process, is taken out by whoever stores it, where that is under the lead's or the card's lock; `sweep_again` finds the
rest soon afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.messages.storage.session import SessionStorage
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Q
from django_q.models import Task

from bridge import words_of_a_person
from bridge.cards import ledger, nudge, outbox
from bridge.delivery import erasing_in_kommo
from bridge.intakes import erased_from_calls as intakes
from bridge.models import (
    Account,
    AgentEvent,
    Alert,
    Briefing,
    Card,
    Channel,
    Delivery,
    Drift,
    IdempotencyRecord,
    Outgoing,
    SavedView,
    Trouble,
    UnreadLead,
)
from bridge.webhooks import erased_from_webhooks
from bridge.webhooks.erased_from_webhooks import Traces
from common.reasons import Reason
from followups.models import Attempt, Enrollment
from leads import erasure
from leads.models import Event, JoinedLead, Lead

# What stands where a trouble quoted somebody.
UNNAMED = "refused; the words named a person who was erased"
MESSAGES = SessionStorage.session_key
# A button that takes something back carries, packed and signed, how whoever's lead stood, with the reason in words.
UNDO = "kb-undo"
REASON = Reason("person_asked_to_be_forgotten")
# Nothing that was under way when somebody was erased is still under way then.
SWEPT_FOR = timedelta(hours=6)
LONGEST_WAIT_MILLISECONDS = 500
# Within a sentence of the program's, the words that somebody typed.
QUOTED = re.compile(r"“[^“”]*”")
# What a list is searched by: words of somebody's choice, and not a stage, a date or a sort.
SEARCHES = re.compile(r"q|(?:name|phone|email|search)(?:__\w+)?")
# One that is shorter is half of any text.
SHORTEST_NAME = 3


def forget(lead: Lead, *, elsewhere: bool, now: datetime) -> None:
    """Remove everything but ids and counts, and let the card go; with `elsewhere` Kommo's copy is emptied too."""
    cards = list(Card.objects.select_for_update().filter(lead=lead))
    names = _names(lead, cards)
    _forget_answers(_ids_of([lead.pk]), now)
    ways_out = _ways_out_to(lead)
    _empty_rows([lead.pk])
    # Of a person who asked to be forgotten there is no more news to tell.
    AgentEvent.objects.filter(lead=lead, state=AgentEvent.State.DUE).delete()
    traces = Traces.of(lead, cards, names) | Traces.of_joined([lead.pk])
    every_account = set(Account.objects.values_list("pk", flat=True))
    # The card that a joined lead has left behind is of whichever account.
    accounts = {card.account_id for card in cards} or every_account
    erased_from_webhooks.sweep(accounts, traces)
    # To other accounts the person is known by number and name: what is theirs by an id here is somebody else's there.
    erased_from_webhooks.sweep(every_account - accounts, replace(traces, leads=frozenset(), contacts=frozenset()))
    region = lead.pipeline.phone_region
    intakes.forget([lead.pk], traces.are_named_in, keys=_keys(lead), region=region)
    _forget_jobs(lead, names)
    _forget_record(lead, cards, names)
    _forget_what_staff_were_told(lead, names)
    _forget_failures(ways_out)
    for card in cards:
        if elsewhere or (card.kommo_lead_id is None and card.create_intent_at):
            erasing_in_kommo.ask_for(card, phone=lead.phone or "", email=lead.email, empties=elsewhere, now=now)
        nudge.send_on_commit(card.account_id)
    outbox.close(Card.objects.filter(lead=lead), reason=REASON)
    # What was erased is done with; where somebody reads at that moment, the next pruning does it.
    transaction.on_commit(leave_no_pages, robust=True)


def sweep_again(*, now: datetime) -> int:
    """Take out what was being stored of people while they were erased; return how many were erased lately."""
    ids = list(Lead.objects.filter(erased_at__gt=now - SWEPT_FOR).values_list("pk", flat=True))
    if not ids:
        return 0
    cards = list(Card.objects.filter(lead__in=ids))
    erasure.sweep(ids)
    _forget_answers(_ids_of(ids), now)
    _empty_rows(ids)
    erased_from_webhooks.sweep({card.account_id for card in cards}, Traces.of_cards(cards) | Traces.of_joined(ids))
    intakes.forget(ids)
    return len(ids)


def leave_no_pages() -> None:
    """Let SQLite write its log back and cut it: pages from before an erasure stand in it until it is written over."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            # It waits for whoever reads an older state, and whoever asked for the erasure waits with it.
            [usual] = cursor.execute("PRAGMA busy_timeout").fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {LONGEST_WAIT_MILLISECONDS}")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {int(usual)}")


def _ids_of(lead_ids: Collection[UUID]) -> set[UUID]:
    """Return the ids by which these leads were ever known: theirs, and those of leads that turned out to be them."""
    return {*lead_ids, *JoinedLead.objects.filter(lead__in=lead_ids).values_list("former_id", flat=True)}


def _keys(lead: Lead) -> set[str]:
    """Return the keys of the addresses a way in may have named them by."""
    own = {key for key in lead.address_keys if not key.startswith(("kommo_contact:", "kommo_chat:"))}
    return own | ({erasure.OF_EMAIL + lead.email.casefold()} if lead.email else set())


def _names(lead: Lead, cards: Iterable[Card]) -> set[str]:
    """Return how the person was called so far, here and in Kommo."""
    names = {lead.name}
    told_names = lead.events.filter(kind=Event.Kind.INTERACTION).values_list("data__changed__name", flat=True)
    names |= {name for name in told_names.distinct() if isinstance(name, str)}
    edits = lead.events.filter(kind=Event.Kind.STAFF_EDIT).values_list("data__name", flat=True)
    names |= {name for edit in edits if isinstance(edit, dict) for name in edit.values() if isinstance(name, str)}
    for card in cards:
        snapshots = (card.observed, card.agreed, card.in_doubt, card.observed_contact)
        names |= {snapshot["name"] for snapshot in snapshots if isinstance(snapshot.get("name"), str)}
        names |= {name for name in card.observed_contact.get("sent", ()) if isinstance(name, str)}
    return names - {""}


def _forget_answers(lead_ids: Collection[UUID], now: datetime) -> None:
    """Keep of an answer that may be asked for again nothing but by what the request is known."""
    ids = [str(pk) for pk in lead_ids]
    answers = IdempotencyRecord.objects.filter(Q(answer__lead__id__in=ids) | Q(answer__lead__in=ids))
    erasure.remember_reports(answers.values_list("key", flat=True), now=now)
    answers.delete()


def _empty_rows(lead_ids: Collection[UUID]) -> None:
    deliveries = Delivery.objects.filter(card__lead__in=lead_ids)
    deliveries.exclude(sent={}, reason="", error="", correlation_id="").update(
        sent={}, reason="", error="", correlation_id=""
    )
    events = AgentEvent.objects.filter(lead__in=lead_ids).exclude(state=AgentEvent.State.DUE)
    events.update(data={}, error="", tries=None)
    Briefing.objects.filter(card__lead__in=lead_ids).update(error="", call="", due_at=None)
    # What is on its way finds nothing to say any more.
    Outgoing.objects.filter(lead__in=lead_ids).update(reason="", tried=[], changes=[])
    Drift.objects.filter(card__lead__in=lead_ids).delete()
    attempts = Attempt.objects.filter(enrollment__lead__in=lead_ids).exclude(text="", reason="", instruction="")
    attempts.update(text="", reason="", instruction="")
    Enrollment.objects.filter(lead__in=lead_ids).exclude(state=Enrollment.State.WAITING).update(
        reason="", next_reason=""
    )
    # The sweep of afterwards is no transaction of its own, and without one PostgreSQL locks nothing.
    with transaction.atomic():
        for card in Card.objects.select_for_update().filter(lead__in=lead_ids).order_by("pk"):
            ledger.forget(card)
            card.save(update_fields=ledger.FORGOTTEN_COLUMNS)


def _ways_out_to(lead: Lead) -> set[str]:
    """Return the slugs of the ways by which anything was said to them, or was to be."""
    slugs: set[str] = set()
    for slug, tried in Outgoing.objects.filter(lead=lead).values_list("channel__slug", "tried"):
        slugs |= {slug or "", *(attempt.get("channel", "") for attempt in tried)}
    return slugs


def _forget_failures(ways_out: Collection[str]) -> None:
    """Forget why such a way failed last: it may quote whom it was about, or what was said. That it failed stays."""
    Channel.objects.filter(slug__in=ways_out).exclude(failure="").update(failure=UNNAMED)


def _forget_record(lead: Lead, cards: Iterable[Card], names: Collection[str]) -> None:
    """Let the record of what staff did name the person by ids alone: lines of before it did so by itself.

    What was done, by whom and when stays: people choose their names, and could take any line away by theirs.
    """
    enrollments = Enrollment.objects.filter(lead=lead)
    ids = [*map(str, _ids_of([lead.pk])), *(str(card.pk) for card in cards)]
    ids += map(str, enrollments.values_list("pk", flat=True))
    ids += map(str, Attempt.objects.filter(enrollment__in=enrollments).values_list("pk", flat=True))
    about = LogEntry.objects.filter(object_id__in=ids, content_type__app_label__in=("leads", "followups", "bridge"))
    called = _any_of(name.strip() for name in names if name.strip())
    for line in about.iterator():
        line.object_repr, line.change_message = line.object_id or "–", _without(called, line.change_message)
        line.save(update_fields=["object_repr", "change_message"])
    _forget_lines_of_before(lead, names)


def _forget_lines_of_before(lead: Lead, names: Collection[str]) -> None:
    """Take the person out of lines that are about no row of theirs: what was searched for, and what quotes them."""
    parts = {part for name in names for part in name.split() if len(part) >= SHORTEST_NAME}
    named, looked_for = Q(), Q()
    for word in _words(lead, names):
        for spelled in {word, quote_plus(word)}:
            named |= Q(object_repr__icontains=spelled) | Q(change_message__icontains=spelled)
            looked_for |= Q(object_repr__icontains=spelled)
    for part in parts:
        looked_for |= Q(object_repr__icontains=quote_plus(part))
    says_who, part_of_name = _says_who(lead, names), _any_of(parts)
    address = _any_of(words_of_a_person.reached_at(lead))
    about = named | (Q(object_repr__contains="q=") & looked_for)
    for line in LogEntry.objects.filter(about).iterator() if named or looked_for else ():
        shown, message = unquote_plus(line.object_repr), _without(address, line.change_message)
        before = line.object_repr, line.change_message
        if not line.object_id and says_who.fullmatch(shown.strip()):
            message = _without(says_who, message)
        line.change_message = QUOTED.sub(lambda quoted: _without(says_who, quoted[0]), message)
        if "q=" in shown and (part_of_name.search(shown) or address.search(shown)):
            line.object_repr = shown.partition(" ")[0]
        elif says_who.search(shown):
            line.object_repr = line.object_id or "–"
        if before != (line.object_repr, line.change_message):
            line.save(update_fields=["object_repr", "change_message"])


def _without(words: re.Pattern[str], text: str) -> str:
    """Return a sentence of the record without these words; as it is where it has none."""
    return words.sub("…", unquote_plus(text)) if words.search(unquote_plus(text)) else text


def _forget_jobs(lead: Lead, names: Collection[str]) -> None:
    """Forget failed jobs, and errors of reading leads, that name the person."""
    says_who = _says_who(lead, names, shortly=True)
    failed: Iterable[Any] = Task.objects.filter(success=False).only("pk", "result")
    named = [task.pk for task in failed if says_who.search(str(task.result))]
    Task.objects.filter(Q(pk__in=named)).delete()
    unread = [row.pk for row in UnreadLead.objects.exclude(error="") if says_who.search(row.error)]
    UnreadLead.objects.filter(pk__in=unread).update(error="")


def _words(lead: Lead, names: Collection[str]) -> set[str]:
    """Return what tells of the person in a text: names that are no common words, and addresses."""
    return words_of_a_person.telling(lead, names) | words_of_a_person.reached_at(lead)


def _says_who(lead: Lead, names: Collection[str], *, shortly: bool = False) -> re.Pattern[str]:
    """Return what finds the person in a text: an address, or a name as whole words; `shortly` also by a short name.

    That may be somebody else's: it is for what is told of a trouble, of which it costs nobody anything to tell less.
    """
    short = {name.strip() for name in names if len(name.strip()) >= SHORTEST_NAME} if shortly else set()
    return _any_of(_words(lead, names) | short)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(words_of_a_person.whole_word, words))) or "(?!)", re.IGNORECASE)


def _forget_what_staff_were_told(lead: Lead, names: Collection[str]) -> None:
    """Forget alarms and troubles that quote the person, lists that search for them, and what waits for staff to see.

    Of all of these there are few: they are looked through one by one.
    """
    words, says_who, is_told = _words(lead, names), _says_who(lead, names), _says_who(lead, names, shortly=True)
    for rows, columns, telling in (
        # It is raised anew, in other words, as long as the trouble lasts.
        (Alert.objects.all(), ("subject", "message", "telling_failed"), is_told),
        (Trouble.objects.all(), ("reason",), is_told),
        (Account.objects.all(), ("webhook_problem", "state_reason"), says_who),
    ):
        for column in columns:
            quoting = [pk for pk, text in rows.values_list("pk", column) if telling.search(unquote_plus(text))]
            if rows.model is Alert:
                rows.filter(pk__in=quoting).delete()
            else:
                rows.filter(pk__in=quoting).update(**{column: UNNAMED})
    for view in SavedView.objects.all():
        searched = (value for key, value in parse_qsl(view.query) if SEARCHES.fullmatch(key))
        if any(map(says_who.search, searched)):
            view.delete()
        elif says_who.search(view.name):
            # Whoever made it knows it by what it shows.
            view.name = f"№ {view.pk}"
            if SavedView.objects.filter(owner=view.owner_id, name=view.name).exists():
                view.delete()
            else:
                view.save(update_fields=["name"])
    for session in Session.objects.iterator():
        session_data = session.get_decoded()
        if any(word in str(session_data.get(MESSAGES, "")) for word in {*names, *words, UNDO}):
            del session_data[MESSAGES]
            session.session_data = Session.objects.encode(session_data)
            session.save(update_fields=["session_data"])

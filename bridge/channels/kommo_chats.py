"""Through Kommo's chats add-on: straight into the lead's open chat, whichever messenger is behind it.

Metered: above the quota Kommo answers 402, and nothing more leaves this way for a while. A closed chat takes nothing.
Source: https://developers.kommo.com/docs/chats-api-add-on
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bridge.accounts import refusals
from bridge.accounts.connection import client_for
from bridge.channels.part_values import Outcome, Part, Person, Sent, words
from bridge.errors import KommoError, KommoReplyError, KommoServerError, KommoUnreachableError
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import TalkReply
from bridge.kommo.what_an_error_stops import Action, Purpose, decide
from bridge.models import Account
from common.reasons import Reason

SETTINGS: tuple[str, ...] = ()
LIMIT = 4000
PROVED_WITHIN = timedelta(seconds=60)
QUOTA_RESTS, RIGHT_RESTS = timedelta(hours=1), timedelta(minutes=15)
CLOSED = Reason("chat_closed_lead_writes_first")


def why_not(person: Person) -> str:
    return "" if person.kommo_lead_id and person.kommo_contact_id else Reason("no_card_with_contact_yet")


def send(account: Account, person: Person, part: Part, *, now: datetime) -> Sent:
    """Say it in the chat. Never raises a KommoError."""
    client = client_for(account)
    assert person.kommo_contact_id is not None
    try:
        talk = open_talk(client.talks(person.kommo_contact_id), person)
        if talk is None:
            return Sent(Outcome.FAILED, CLOSED)
    except KommoError as error:
        return _refused(account, client, error, now)
    try:
        client.send_message(talk.id, part.text)
    except KommoUnreachableError as error:
        if not error.sent:
            return _refused(account, client, error, now)
        return Sent(Outcome.UNCONFIRMED, words(f"Kommo's answer was lost: {error}"))
    except (KommoServerError, KommoReplyError) as error:
        return Sent(Outcome.UNCONFIRMED, words(f"Kommo may have sent it: {error}"))
    except KommoError as error:
        return _refused(account, client, error, now)
    return Sent(Outcome.SENT)


def open_talk(talks: list[TalkReply], person: Person) -> TalkReply | None:
    """Return the chat to write into: of this card before others of the contact, the one alive last."""
    mine = [talk for talk in talks if talk.is_open and talk.contact_id in (0, person.kommo_contact_id)]
    of_card = [talk for talk in mine if talk.lead_id == person.kommo_lead_id]
    return max(of_card or mine, key=lambda talk: (talk.updated_at, talk.id), default=None)


def _refused(account: Account, client: KommoClient, error: KommoError, now: datetime) -> Sent:
    explanation = words(str(error))
    if error.status_code == 402:
        return Sent(Outcome.FAILED, Reason("chats_quota_used_up"), rests=QUOTA_RESTS)
    if error.status_code == 422:
        return Sent(Outcome.FAILED, CLOSED)
    action = decide(error, Purpose.CHATS)
    if action is Action.PAUSE_ACCOUNT:
        refusals.heed(account, error, now=now, purpose=Purpose.CHATS, client=client)
    if action is Action.REST_FEATURE:
        return Sent(Outcome.FAILED, f"Kommo's chats are refused to us: {explanation}", rests=RIGHT_RESTS)
    if action in (Action.RETRY, Action.RETRY_LATER):
        asked = error.retry_after.total_seconds() if error.retry_after else None
        return Sent(Outcome.RETRY, explanation, retry_after_seconds=asked)
    return Sent(Outcome.FAILED, explanation)

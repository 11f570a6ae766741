"""Through a Salesbot: the text goes into a field of the card, and the bot reads it out.

Kommo answers before the bot has run, so its answer proves nothing: the message is delivered once Kommo tells of an
outgoing one with its words. The field may be written again and again, but every run says the message once more: where
the answer to the run is lost, the proof alone tells whether it was said.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bridge.accounts import catalogue, refusals, troubles
from bridge.accounts.connection import client_for
from bridge.cards.plan import apply, combine_doubts
from bridge.channels.part_values import Outcome, Part, Person, Sent, words
from bridge.errors import KommoError, KommoReplyError, KommoServerError, KommoUnreachableError
from bridge.kommo import custom_field_values
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Action, Purpose
from bridge.models import Account, Card, Trouble
from common.name_spellings import name_key
from common.reasons import Reason

SETTINGS = ("bot_id", "field")
OPTIONAL = ("field",)
FIELD = "Follow-up"
LONG_TEXT, SHORT_TEXT = "textarea", "text"
# What Kommo takes into a short text, and what reads well as one message.
HOLDS = {SHORT_TEXT: 256, LONG_TEXT: 1000}
PROVED_WITHIN = timedelta(seconds=15)
RUN_REFUSED_FOR = timedelta(minutes=5)
LOOKED_JUST_NOW = timedelta(seconds=30)
NO_EMOJI = "emoji are left out: Kommo cuts the text of a field at them"
LINKS = "Kommo may show links in its short form (kommo.cc)"


def why_not(person: Person) -> str:
    return "" if person.kommo_lead_id else Reason("no_card_yet")


def limit(account: Account | None, settings: dict[str, str]) -> int:
    """Return how much the field takes at once."""
    field, _ = field_of(account, settings) if account else (None, "")
    return HOLDS[field["type"]] if field else HOLDS[SHORT_TEXT]


def changed(text: str) -> tuple[str, list[str]]:
    """Return the text as it can leave, and what of it cannot leave as it was meant."""
    plain = "\n".join(custom_field_values.without_emoji(line) for line in text.splitlines())
    notes = [NO_EMOJI] if plain != "\n".join(text.splitlines()) else []
    if "http://" in text or "https://" in text:
        notes.append(LINKS)
    return plain, notes


def field_of(account: Account, settings: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
    """Return the field the bot reads, or why there is none: by its id or name, a long text before a short one.

    Where none is named it is called Follow-up, or is the only long text there is.
    """
    found = catalogue.stored(account)
    if found is None:
        return None, Reason("fields_never_read")
    named = settings.get("field", "").strip()
    fit = [lead_field for lead_field in found.lead_fields if lead_field["type"] in HOLDS]
    fit.sort(key=lambda field: field["type"] != LONG_TEXT)
    wanted = name_key(named or FIELD)
    match = [field for field in fit if str(field["id"]) == named or name_key(field["name"]) == wanted]
    if not match and not named:
        match = [field for field in fit if field["type"] == LONG_TEXT]
        match = match if len(match) == 1 else []
    if match:
        return match[0], ""
    return None, Reason("no_text_field", a=f"“{named or FIELD}”")


def look_again(account: Account, client: KommoClient, now: datetime) -> bool:
    """Read the account's fields anew, unless that was just done: somebody may have made the field since."""
    known = catalogue.stored(account)
    if known is not None and now - known.fetched_at < LOOKED_JUST_NOW:
        return False
    try:
        catalogue.refresh(account, client, now=now)
    except KommoError:
        return False
    return True


def send(account: Account, settings: dict[str, str], person: Person, part: Part, *, now: datetime) -> Sent:
    """Write the field and run the bot. Never raises a KommoError."""
    if until := troubles.rests_until(account.pk, Trouble.Subject.SALESBOT, now=now):
        return Sent(Outcome.FAILED, Reason("salesbots_refused"), rests=until - now)
    client = client_for(account)
    field, obstacle = field_of(account, settings)
    if field is None and look_again(account, client, now):
        field, obstacle = field_of(account, settings)
    if field is None:
        return Sent(Outcome.FAILED, obstacle, rests=RUN_REFUSED_FOR)
    bot = settings["bot_id"]
    if not bot.isdecimal():
        return Sent(Outcome.FAILED, f"“{bot[:40]}” is no id of a bot", rests=RUN_REFUSED_FOR)
    assert person.kommo_lead_id is not None
    values = [{"field_id": field["id"], "values": [{"value": part.text}]}]
    effect = {"fields": {str(field["id"]): custom_field_values.from_kommo(field["type"], values[0]["values"])}}
    _note_ours(person, effect, is_there=False)
    try:
        client.update_leads([{"id": person.kommo_lead_id, "custom_fields_values": values}])
    except KommoError as error:
        return _again(account, client, error, now, Reason("text_not_written", why=words(str(error))))
    _note_ours(person, effect, is_there=True)
    return _run(account, client, int(bot), person.kommo_lead_id, now)


@transaction.atomic
def _note_ours(person: Person, effect: dict[str, Any], *, is_there: bool) -> None:
    """Remember what the field holds, or may hold by now, as ours: found there, it is no person's edit."""
    row = Card.objects.select_for_update(no_key=True).filter(lead_id=person.lead_id).first()
    if row is None:
        return
    if is_there and row.observed:
        row.observed = apply(row.observed, effect)
    row.in_doubt = combine_doubts(row.in_doubt, effect)
    row.save(update_fields=["observed", "in_doubt"])


def _run(account: Account, client: KommoClient, bot_id: int, kommo_lead_id: int, now: datetime) -> Sent:
    try:
        client.run_salesbot(bot_id, kommo_lead_id)
    except KommoUnreachableError as error:
        if not error.sent:
            return _again(account, client, error, now, Reason("bot_not_started", why=words(str(error))))
        return Sent(Outcome.UNCONFIRMED, words(Reason("bot_may_have_run", why=words(str(error)))))
    except (KommoServerError, KommoReplyError) as error:
        # It may have queued the bot before it stumbled, and has where we cannot read what it says.
        return Sent(Outcome.UNCONFIRMED, words(Reason("bot_may_have_run", why=words(str(error)))))
    except KommoError as error:
        return _again(account, client, error, now, Reason("bot_not_started", why=words(str(error))))
    troubles.over(account.pk, Trouble.Subject.SALESBOT)
    return Sent(Outcome.SENT)


def _again(account: Account, client: KommoClient, error: KommoError, now: datetime, reason: Reason) -> Sent:
    action = refusals.heed(account, error, now=now, purpose=Purpose.SALESBOT, client=client)
    asked = error.retry_after.total_seconds() if error.retry_after else None
    if action in (Action.RETRY, Action.RETRY_LATER):
        return Sent(Outcome.RETRY, words(reason), retry_after_seconds=asked)
    rests = RUN_REFUSED_FOR if action in (Action.REST_FEATURE, Action.PAUSE_ACCOUNT) else None
    return Sent(Outcome.FAILED, words(reason), rests=rests)

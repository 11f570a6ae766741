"""Saying a follow-up through a Salesbot: the text goes into a field of the card, and the bot reads it out.

A follow-up channel (FOLLOWUP_CHANNEL=bridge.channels.salesbot.Salesbot). Kommo answers before the bot has run, so
“sent” means “queued at Kommo”. The field may be written again and again, but every run says the message once more:
where the answer to the run is lost, it is not asked for again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from bridge.accounts import catalogue, refusals, troubles
from bridge.accounts.connection import client_for
from bridge.cards.plan import apply, combine_doubts
from bridge.errors import KommoError, KommoReplyError, KommoServerError, KommoUnreachableError
from bridge.kommo import custom_field_values
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, Card, Trouble
from common.reasons import Reason
from followups.channels import Outcome, Outgoing, Result

FIELD = "Follow-up"
LONG_TEXT, SHORT_TEXT = "textarea", "text"
# What Kommo takes into a short text.
SHORT_TEXT_HOLDS = 256


class Salesbot:
    """Runs the bot SALESBOT_ID on the lead's card, with the text in the long text field “Follow-up”."""

    acts_once = False
    needs = ("SALESBOT_ID",)

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        card = Card.objects.select_related("account").filter(lead_id=message.lead["id"]).first()
        if card is None or card.kommo_lead_id is None:
            return Result(Outcome.RETRY, Reason("no_card_yet"))
        if card.account.state != Account.State.ACTIVE:
            # In shadow nothing of ours may reach Kommo; while paused nothing would.
            return Result(Outcome.RETRY, f"the account in Kommo is {card.account.get_state_display()}")
        if until := troubles.rests_until(card.account_id, Trouble.Subject.SALESBOT, now=now):
            return Result(Outcome.RETRY, Reason("salesbots_refused"), (until - now).total_seconds())
        field, obstacle = _field(card.account, message.text)
        if field is None:
            return Result(Outcome.RETRY, obstacle)
        values = [{"field_id": field["id"], "values": [{"value": message.text}]}]
        client = client_for(card.account)
        effect = {"fields": {str(field["id"]): custom_field_values.from_kommo(field["type"], values[0]["values"])}}
        _note_ours(card, effect, is_there=False)
        try:
            client.update_leads([{"id": card.kommo_lead_id, "custom_fields_values": values}])
        except KommoError as error:
            return _again(card.account, client, error, now)
        _note_ours(card, effect, is_there=True)
        return _run(card.account, client, card.kommo_lead_id, now)


@transaction.atomic
def _note_ours(card: Card, effect: dict[str, Any], *, is_there: bool) -> None:
    """Remember what the field holds, or may hold by now, as ours: found there, it is no person's edit."""
    row = Card.objects.select_for_update(no_key=True).get(pk=card.pk)
    if is_there and row.observed:
        row.observed = apply(row.observed, effect)
    row.in_doubt = combine_doubts(row.in_doubt, effect)
    row.save(update_fields=["observed", "in_doubt"])


def _field(account: Account, text: str) -> tuple[dict[str, Any] | None, str]:
    """Return the field the bot reads, or why the text cannot be put there; nothing has left yet."""
    found = catalogue.stored(account)
    if found is None:
        return None, Reason("fields_never_read")
    named = [field for field in found.lead_fields if field["name"] == FIELD]
    # A long text before a short one of the same name.
    named.sort(key=lambda field: field["type"] != LONG_TEXT)
    field = next((field for field in named if field["type"] in (LONG_TEXT, SHORT_TEXT)), None)
    if field is None:
        return None, f"the account has no text field “{FIELD}”: create it in Kommo"
    if field["type"] == SHORT_TEXT and len(text) > SHORT_TEXT_HOLDS:
        return None, Reason("field_too_short", a=f"“{FIELD}”", number=SHORT_TEXT_HOLDS)
    return field, ""


def _run(account: Account, client: KommoClient, kommo_lead_id: int, now: datetime) -> Result:
    try:
        client.run_salesbot(settings.SALESBOT_ID, kommo_lead_id)
    except KommoUnreachableError as error:
        return _unconfirmed(error) if error.sent else _again(account, client, error, now)
    except (KommoServerError, KommoReplyError) as error:
        # It may have queued the bot before it stumbled, and has where we cannot read what it says.
        return _unconfirmed(error)
    except KommoError as error:
        return _again(account, client, error, now)
    troubles.over(account.pk, Trouble.Subject.SALESBOT)
    return Result(Outcome.SENT, "queued at Kommo")


def _unconfirmed(error: KommoError) -> Result:
    return Result(Outcome.UNCONFIRMED, Reason("bot_may_have_run", why=error))


def _again(account: Account, client: KommoClient, error: KommoError, now: datetime) -> Result:
    refusals.heed(account, error, now=now, purpose=Purpose.SALESBOT, client=client)
    return Result(Outcome.RETRY, str(error), error.retry_after.total_seconds() if error.retry_after else None)

"""What webhooks of the reference account tell, and how the bridge hears it."""

from __future__ import annotations

from django.test import Client

from bridge.configuration.connecting import destination_for
from bridge.models import Account
from bridge.webhooks.reading_webhooks import process_inbox
from tests.conftest import drain, lead_of, record

HANDOFF, QUALIFIED, NEW = 90421387, 89709467, 89709459
GOOD = {"qualification_score": 90, "context": {"conversation_stage": "qualificação"}}


def hear(account: Account, *bodies: str) -> None:
    """Receive bodies as Kommo posts them, then read the inbox."""
    path = destination_for(account, "http://x").removeprefix("http://x")
    for body in bodies:
        answer = Client().post(path, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 200
    process_inbox(account.pk)


def hook(lead_id: int, action: str = "status", **more: object) -> str:
    return "&".join(
        [f"leads[{action}][0][id]={lead_id}", *(f"leads[{action}][0][{key}]={value}" for key, value in more.items())]
    )


def carded(account, pipeline, **reported) -> int:
    record(pipeline, **reported)
    drain(account)
    card = lead_of().card
    # What Kommo filled in by itself (price, responsible) is learnt by the first reading.
    hear(account, hook(card.kommo_lead_id, "update"))
    return card.kommo_lead_id

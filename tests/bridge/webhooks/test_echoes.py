"""The whole body of an account's webhook is known for an echo without asking Kommo."""

from __future__ import annotations

import time

from benchmarks import bodies
from bridge.models import WebhookItem
from bridge.webhooks.echoes import says_nothing_new
from bridge.webhooks.parsing import parse
from tests.bridge.webhooks.test_processing import carded, hear
from tests.conftest import lead_of


def test_n21_a_whole_body_that_says_what_the_card_holds_costs_no_call(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="João & Maria", bill_value=500, chosen_flow="Aluguel de Lote")
    held = lead_of().card.observed
    body = bodies.lead_updated(account.kommo_account_id, kommo_id, held, at=int(time.time()), price=0)
    [item] = parse(body).items
    assert says_nothing_new(held, item.data)
    calls = len(kommo.journal())
    hear(account, body.decode())
    assert len(kommo.journal()) == calls
    assert WebhookItem.objects.latest("id").result == WebhookItem.Result.ECHO

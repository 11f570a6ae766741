"""Merges and robots that the events feed tells of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import doctor
from bridge.accounts import catalogue, connection
from bridge.inbound import events_feed, missing_leads
from bridge.models import Card, Trouble
from tests.conftest import drain, lead_of, record


def look(account, **later):
    account.refresh_from_db()
    events_feed.look(account, connection.client_for(account), now=timezone.now() + timedelta(**later))


@pytest.mark.parametrize("names_the_lost", [False, True])
def test_a_merge_is_followed_by_what_the_feed_tells_of_it(account, pipeline, kommo, names_the_lost):
    kommo.post("options", {"merge_events_name_the_lost": names_the_lost})
    record(pipeline, name="Maria")
    drain(account)
    old = lead_of().card.kommo_lead_id
    kept = kommo.post("leads", {"name": "Outra"})["id"]
    kommo.post(f"leads/{old}/merge", {"into": kept})

    look(account)
    assert lead_of().card.missing_since is not None
    later = timezone.now() + timedelta(minutes=10)
    client = connection.client_for(account)
    missing_leads.look_again(account, client, now=later)

    card = lead_of().card
    assert (card.kommo_lead_id, card.state != Card.State.GONE) == (kept, True)


def test_a_merge_of_others_touches_nobody(account, pipeline, kommo):
    record(pipeline, name="Maria")
    drain(account)
    first, second = (kommo.post("leads", {"name": name})["id"] for name in ("A", "B"))
    kommo.post(f"leads/{first}/merge", {"into": second})
    look(account)
    assert lead_of().card.missing_since is None


def test_another_robot_that_answers_our_leads_is_told_once_and_ends(account, pipeline, kommo):
    record(pipeline, name="Maria")
    drain(account)
    kommo.post(f"leads/{lead_of().card.kommo_lead_id}/robot", {"kind": "robot_replied", "text": "Posso ajudar?"})
    look(account)
    look(account)
    [trouble] = Trouble.objects.all()
    assert trouble.reason == "Kommo's own AI agent or another bot answers people in “Funil de Vendas”"
    assert any(
        "robot" in finding.message for finding in doctor.examine(timezone.now(), ask_kommo=False) if finding.remedy
    )
    look(account, days=3)
    assert not Trouble.objects.exists()


def test_a_robot_at_leads_that_are_none_of_ours_is_none_of_ours(account, pipeline, kommo):
    other = kommo.post("leads", {"name": "Outra"})["id"]
    kommo.post(f"leads/{other}/robot", {"kind": "ai_result"})
    look(account)
    assert not Trouble.objects.exists()
    assert catalogue.stored(account)

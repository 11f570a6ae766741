"""What people do in Kommo is heard, adopted, and never written over. The sandbox's own webhooks are the input."""

from __future__ import annotations

import pytest
import requests
from django.db import connection
from django.test import Client
from django.utils import timezone

from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.configuration.connecting import destination_for
from bridge.inbound.reconciliation import Comparison
from bridge.models import Card, WebhookEvent, WebhookItem
from bridge.webhooks import erased_from_webhooks, parsing
from bridge.webhooks.reading_webhooks import process_inbox
from kommo_sandbox.control.staff import STAFF_ID
from leads import erasure
from leads.models import Event, Lead
from tests.conftest import drain, lead_of, look_again, record
from tests.heard import GOOD, HANDOFF, NEW, QUALIFIED, carded, hear, hook


def test_a_move_by_staff_is_adopted_and_never_written_over(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, qualification_score=10, context={"conversation_stage": "qualificação"})
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    hear(account, hook(kommo_id, status_id=QUALIFIED, pipeline_id=11672895))
    lead = lead_of()
    assert (lead.stage.key, lead.stage_set_by) == ("qualified", "staff")

    before = len(kommo.writes())
    record(pipeline, qualification_score=15, context={"conversation_stage": "qualificação"})
    drain(account)

    assert len(kommo.writes()) == before
    assert kommo.lead(kommo_id)["status_id"] == QUALIFIED
    assert lead_of().events.filter(kind=Event.Kind.MOVE_SUPPRESSED).exists()


def test_a_name_and_a_field_changed_by_staff_stand(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria", bill_value=500)
    kommo.post(
        f"leads/{kommo_id}/edit",
        {
            "name": "Maria Souza Lima",
            "price": 9000,
            "custom_fields_values": [{"field_id": 392804, "values": [{"value": "777"}]}],
        },
    )
    hear(account, hook(kommo_id, "update"))

    record(pipeline, name="Maria", bill_value=500)
    drain(account)

    in_kommo = kommo.lead(kommo_id)
    assert (in_kommo["name"], in_kommo["price"]) == ("Maria Souza Lima", 9000)
    assert lead_of().bill_value == 777
    # An abbreviation tells less than what is known, and replaces nothing; another name does.
    record(pipeline, name="Maria S. L.", bill_value=900)
    drain(account)
    assert kommo.lead(kommo_id)["name"] == "Maria Souza Lima"
    record(pipeline, name="Maria Lima Prado")
    drain(account)
    in_kommo = kommo.lead(kommo_id)
    assert (in_kommo["name"], in_kommo["price"]) == ("Maria Lima Prado", 9000)


@pytest.mark.parametrize(
    ("subject", "theirs"),
    [
        ("name", {"name": "Maria Souza Lima"}),
        ("bill_value", {"custom_fields_values": [{"field_id": 392804, "values": [{"value": "777"}]}]}),
    ],
)
def test_what_staff_change_between_two_writes_of_ours_is_no_form_of_the_first(
    account, pipeline, kommo, subject, theirs
):
    """Nothing was read between, and the second write is what Kommo names us for."""
    record(pipeline, name="Maria", bill_value=500)
    drain(account)
    kommo_id = lead_of().card.kommo_lead_id
    kommo.post(f"leads/{kommo_id}/edit", theirs)
    record(pipeline, email="maria@example.com", chosen_flow="Aluguel de Lote")
    drain(account)
    assert kommo.lead(kommo_id)["updated_by"] == account.kommo_user_id

    hear(account, hook(kommo_id, "update", modified_user_id=STAFF_ID))
    assert {"name": lead_of().name, "bill_value": lead_of().bill_value}[subject] in ("Maria Souza Lima", 777)
    assert lead_of().events.filter(kind=Event.Kind.STAFF_EDIT).count() == 1
    drain(account)
    assert lead_of().card.state == Card.State.IN_SYNC


def test_the_card_in_human_care_silences_the_agent_and_moving_on_gives_it_back(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})
    hear(account, hook(kommo_id, status_id=HANDOFF, pipeline_id=11672895))
    lead = lead_of()
    assert (lead.in_handoff, lead.handoff_source, lead.stage.key) == (True, "stage", "human_handoff")

    record(pipeline, name="Maria", **GOOD)
    assert lead_of().stage.key == "human_handoff"

    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    hear(account, hook(kommo_id, status_id=QUALIFIED, pipeline_id=11672895))
    assert not lead_of().in_handoff


def test_a_move_seen_only_through_update_counts(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    hear(account, hook(kommo_id, "update", status_id=QUALIFIED, pipeline_id=11672895))
    assert lead_of().stage.key == "qualified"


def test_our_own_echo_changes_nothing_and_costs_no_call(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, **GOOD)
    calls, events = len(kommo.journal()), lead_of().events.count()

    hear(account, hook(kommo_id, status_id=QUALIFIED, pipeline_id=11672895, old_status_id=NEW))

    assert (len(kommo.journal()), lead_of().events.count()) == (calls, events)
    assert WebhookItem.objects.latest("id").result == WebhookItem.Result.ECHO


def test_duplicates_reordering_and_late_retries_change_nothing(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    now = hook(kommo_id, status_id=QUALIFIED, pipeline_id=11672895, old_status_id=NEW)
    old = hook(kommo_id, status_id=NEW, pipeline_id=11672895)
    hear(account, now, now, old)
    hear(account, old)
    assert lead_of().stage.key == "qualified"
    assert lead_of().events.filter(kind=Event.Kind.STAFF_MOVE).count() == 1


def test_a_stage_unknown_to_us_is_other_with_kommos_name(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    requests.post(
        f"{kommo.url}/api/v4/leads/pipelines/11672895/statuses",
        json=[{"name": "Proposta", "sort": 60, "color": "#fffeb2"}],
        headers={"Authorization": "Bearer sandbox-token"},
        timeout=5,
    ).raise_for_status()
    catalogue.refresh(account, client_for(account), now=timezone.now())
    kommo.post(f"leads/{kommo_id}/move", {"stage": "Proposta"})
    hear(account, hook(kommo_id, "update"))
    lead = lead_of()
    assert (lead.stage, lead.other_stage_name) == (None, "Proposta")
    record(pipeline, **GOOD)
    drain(account)
    assert lead_of().stage is None


def test_a_deleted_lead_is_gone_and_a_restored_one_is_back(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete", status_id=NEW, pipeline_id=11672895))
    assert lead_of().card.state == Card.State.GONE

    kommo.post(f"leads/{kommo_id}/restore")
    record(pipeline, name="Maria")
    hear(account, hook(kommo_id, "restore"))
    drain(account)
    assert lead_of().card.state == Card.State.IN_SYNC
    # What was learnt while the card was away has arrived.
    assert kommo.lead(kommo_id)["name"] == "Maria"


def test_a_lead_born_in_kommo_is_linked_to_the_person_we_know(account, pipeline, kommo):
    made = kommo.post("leads", {"name": "Maria de Kommo", "phone": "+5581999990000", "status_id": QUALIFIED})
    lead = Lead.objects.create(
        pipeline=pipeline, phone="+5581999990000", phone_key="+5581999990000", stage_set_at=timezone.now(),
        created_at=timezone.now(), updated_at=timezone.now(), stage=pipeline.stages.get(key="new"), name="Maria",
    )  # fmt: skip
    hear(account, hook(_id(made), "add", pipeline_id=11672895))
    drain(account)
    assert Card.objects.get(lead=lead).kommo_lead_id == _id(made)
    assert len(kommo.leads()) == 1


def test_a_lead_born_in_kommo_of_nobody_we_know_is_taken_in_without_a_conversation(account, pipeline, kommo):
    made = kommo.post("leads", {"name": "Ana", "phone": "+5581977770000", "status_id": QUALIFIED})
    hear(account, hook(_id(made), "add", pipeline_id=11672895))
    lead = lead_of("+5581977770000")
    assert (lead.name, lead.stage.key, lead.card.state) == ("Ana", "qualified", "in_sync")
    recorded = record(pipeline, "+5581977770000", name="Ana Lima")
    drain(account)
    assert not recorded.created
    assert kommo.lead(_id(made))["name"] == "Ana Lima"


def test_received_is_not_processed_and_a_failed_body_keeps_its_error(account, pipeline):
    hear(account, "nonsense", "account[id]=1&leads[update][0][id]=5")
    events = list(WebhookEvent.objects.order_by("id"))
    assert [event.state for event in events] == ["failed", "failed"]
    assert "no entity" in events[0].error
    assert "account 1" in events[1].error


def test_what_kommo_did_not_answer_stays_in_the_inbox(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    kommo.fault("500", count=1)
    hear(account, hook(kommo_id, status_id=QUALIFIED, pipeline_id=11672895))
    assert WebhookEvent.objects.latest("id").state == WebhookEvent.State.RECEIVED
    assert process_inbox(account.pk) is False
    assert lead_of().stage.key == "qualified"


def test_the_view_tells_right_from_wrong_secrets_and_bounds_bodies(account, settings):
    path = destination_for(account, "http://x").removeprefix("http://x")
    client = Client()
    assert (
        client.post("/webhooks/kommo/wrong/", "a=1", content_type="application/x-www-form-urlencoded").status_code
        == 404
    )
    assert client.get(path).status_code == client.head(path).status_code == 200
    big = "x" * (settings.WEBHOOK_MAX_BODY_BYTES + 1)
    assert client.post(path, big, content_type="application/x-www-form-urlencoded").status_code == 413
    assert client.put(path).status_code == 405
    assert not WebhookEvent.objects.exists()


def test_with_all_webhooks_dropped_one_poll_finds_every_move_and_the_second_nothing(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})

    looked = Comparison(account, client_for(account), catalogue.stored(account), "poll", dry_run=True).changed_since()
    assert (bool(looked.drifted), lead_of().stage.key) == (True, "new")

    first = Comparison(account, client_for(account), catalogue.stored(account), "poll").changed_since()
    account.refresh_from_db()
    second = Comparison(account, client_for(account), catalogue.stored(account), "poll").changed_since()

    assert lead_of().in_handoff
    assert list(first.drifted[str(kommo_id)]) == ["stage"]
    assert second.is_clean
    drift = lead_of().card.drifts.get()
    assert (drift.subject, drift.theirs, drift.resolution) == ("stage", [11672895, HANDOFF], "adopted")


def test_a_full_comparison_finds_what_is_gone(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/delete")
    full = Comparison(account, client_for(account), catalogue.stored(account), "full")
    assert full.everything()
    assert full.report.missing == [str(lead_of().pk)]
    assert lead_of().card.state == Card.State.IN_SYNC
    look_again(account)
    assert lead_of().card.state == Card.State.GONE


def test_staff_tags_inside_a_family_stand_until_the_conversation_says_otherwise(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, chosen_flow="Aluguel de Lote")
    kommo.post(f"leads/{kommo_id}/edit", {"tags_to_delete": [{"name": "fluxo_aluguel_de_lote"}]})
    hear(account, hook(kommo_id, "update"))
    record(pipeline, name="Maria")
    drain(account)
    assert kommo.lead(kommo_id)["_embedded"]["tags"] == []
    record(pipeline, chosen_flow="Compra com Desconto")
    drain(account)
    assert [tag["name"] for tag in kommo.lead(kommo_id)["_embedded"]["tags"]] == ["fluxo_compra_com_desconto"]


def _id(made):
    return made.get("id") or made["lead"]["id"]


def test_what_comes_is_searched_for_erased_people_only_where_somebody_was_erased(account, pipeline, kommo, monkeypatch):
    searched = []
    monkeypatch.setattr(parsing, "phones", lambda data: searched.append(data) or [])
    items = [parsing.Item("contact", "update", 1, {"id": "1", "phone": "+5581999990000"})]

    assert not erased_from_webhooks.among(account, items)
    assert searched == []

    carded(account, pipeline)
    erasure.erase(lead_of(), by=Lead.Actor.STAFF, now=timezone.now())
    erased_from_webhooks.among(account, items)
    assert searched


def test_bodies_are_read_before_anything_is_locked(account, pipeline, kommo, monkeypatch):
    kommo_id = carded(account, pipeline)
    depths, parse = [], parsing.parse
    monkeypatch.setattr(parsing, "parse", lambda body: depths.append(len(connection.savepoint_ids)) or parse(body))
    outside = len(connection.savepoint_ids)

    hear(account, hook(kommo_id, "update"))

    assert depths
    assert set(depths) == {outside}

"""Whose value stands: a person's until the conversation brings something newer about that very thing."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from bridge import tasks
from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.cards import ownership
from bridge.errors import DriftError
from bridge.inbound import drifts, missing_leads, reconciliation
from bridge.inbound.drifts import Choice
from bridge.inbound.reconciliation import Comparison, compare_card
from bridge.models import Account, Card, Drift
from leads import stage_moves
from leads.models import Event, FieldMapping, Lead, Stage
from leads.rulebook import rulebook
from tests.conftest import MARIA, amount, drain, due_calls, lead_of, record, rested
from tests.heard import GOOD, HANDOFF, NEW, QUALIFIED, carded, hear, hook
from tests.saying import saying

QUALIFYING, PLACE = 89709463, 11672895
BILL, LINK = 392804, 395520


def edit(kommo, kommo_id, **changes):
    kommo.post(f"leads/{kommo_id}/edit", changes)


def field(field_id, value):
    return {"custom_fields_values": [{"field_id": field_id, "values": [{"value": value}]}]}


def value_of(lead, field_id):
    return {each_field["field_id"]: each_field["values"][0]["value"] for each_field in lead["custom_fields_values"]}[
        field_id
    ]


def comparison(account, **options):
    account.refresh_from_db()
    return Comparison(account, client_for(account), catalogue.stored(account), "poll", **options)


def poll(account, **options):
    return comparison(account, **options).changed_since()


def decide(drift, choice):
    drifts.decide(drift, choice, who="ana", catalogue=catalogue.stored(drift.card.account), now=timezone.now())


def test_a_field_the_lead_cannot_hold_stands_until_ours_changes(account, pipeline, kommo):
    FieldMapping.objects.create(
        pipeline=pipeline, attribute="meeting_link", kommo_field="Link", type="url", kommo_field_id=LINK
    )
    pipeline.rules_changed()
    kommo_id = carded(account, pipeline, name="Maria")
    edit(kommo, kommo_id, **field(LINK, "https://meet.example/of-ana"))
    hear(account, hook(kommo_id, "update"))

    record(pipeline, name="Maria Souza")
    drain(account)

    assert value_of(kommo.lead(kommo_id), LINK) == "https://meet.example/of-ana"
    [owner] = [
        each_owner
        for each_owner in ownership.owners(lead_of().card, rulebook(pipeline))
        if each_owner.subject == f"field:{LINK}"
    ]
    # Nobody calls for anything else there: the conversation has told of no meeting.
    assert (owner.label, owner.by, owner.holds) == ("Link", "staff", False)


def test_a_value_finer_than_ours_is_not_rounded_away(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, bill_value=500)
    edit(kommo, kommo_id, **field(BILL, "777.555"))
    hear(account, hook(kommo_id, "update"))
    record(pipeline, name="Maria")
    drain(account)
    assert amount(value_of(kommo.lead(kommo_id), BILL)) == "777.555"


def test_kommos_own_name_for_a_nameless_lead_is_nobodys_name_and_is_left_there(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    edit(kommo, kommo_id, name=f"Lead #{kommo_id}")
    hear(account, hook(kommo_id, "update"))
    assert lead_of().name == ""
    record(pipeline, name="Maria")
    drain(account)
    assert kommo.lead(kommo_id)["name"] == f"Lead #{kommo_id}"


@pytest.mark.parametrize("doing", ["creating", "updating", "updating one that was linked"])
def test_a_tag_whose_answer_was_lost_is_no_persons(account, pipeline, kommo, doing):
    if doing == "updating":
        carded(account, pipeline)
    elif doing != "creating":
        kommo.post("leads", {"name": "Maria", "phone": MARIA, "status_id": NEW})
        carded(account, pipeline)
    method, path = ("POST", "/api/v4/leads/complex") if doing == "creating" else ("PATCH", "/api/v4/leads")
    kommo.fault("drop_after", count=1, path=path, method=method)
    record(pipeline, chosen_flow="Aluguel de Lote")
    drain(account)
    # Meanwhile the conversation goes on, and the card is read.
    record(pipeline, chosen_flow="Compra com Desconto")
    poll(account)

    drain(rested(account))
    drain(rested(account))

    [lead] = kommo.leads()
    assert lead["tags"] == ["fluxo_compra_com_desconto"]


def test_a_family_of_tags_is_ours_again_once_a_newer_fact_was_written(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, chosen_flow="Aluguel de Lote")
    edit(kommo, kommo_id, tags_to_delete=[{"name": "fluxo_aluguel_de_lote"}])
    hear(account, hook(kommo_id, "update"))
    for flow in ("Compra com Desconto", "Aluguel de Lote"):
        record(pipeline, chosen_flow=flow)
        drain(account)
    assert [tag["name"] for tag in kommo.lead(kommo_id)["_embedded"]["tags"]] == ["fluxo_aluguel_de_lote"]


def test_each_thing_knows_who_set_it_last_and_when(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria", bill_value=500, chosen_flow="Aluguel de Lote")
    edit(kommo, kommo_id, price=9000)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    hear(account, hook(kommo_id, "update"))
    owners = {owner.subject: owner.by for owner in ownership.owners(lead_of().card, rulebook(pipeline))}
    assert (owners["name"], owners[f"field:{BILL}"], owners["tags:fluxo_{value}"]) == ("agent", "agent", "agent")
    assert (owners["price"], owners["stage"]) == ("staff", "staff")


def test_a_person_who_puts_the_card_where_the_rules_had_just_put_it_owns_the_place(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    record(pipeline, **GOOD)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFIED})
    hear(account, hook(kommo_id, status_id=QUALIFIED, pipeline_id=PLACE))
    assert (lead_of().stage.key, lead_of().stage_set_by) == ("qualified", "staff")


def test_a_rule_into_human_care_silences_the_agent(account, pipeline):
    pipeline.stage_mappings.filter(conversation_stage="negociação").delete()
    pipeline.stage_mappings.create(
        conversation_stage="negociação", action="move", move_to=Stage.objects.get(key="human_handoff"), position=99
    )
    pipeline.rules_changed()
    record(pipeline, context={"conversation_stage": "negociação"})
    assert (lead_of().stage.key, lead_of().handoff_source) == ("human_handoff", "stage")


def test_what_is_said_during_a_handoff_is_recorded(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})
    hear(account, hook(kommo_id, status_id=HANDOFF, pipeline_id=PLACE))
    record(pipeline, bill_value=900)
    assert lead_of().bill_value == 900
    assert lead_of().events.filter(kind=Event.Kind.INTERACTION).count() == 2


def test_a_lead_merged_into_another_is_followed_from_a_webhook_too(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    made = kommo.post("leads", {"name": "Maria de novo", "status_id": NEW})
    other = made.get("id") or made["lead"]["id"]
    edit(kommo, other, **field(account.bridge_id_field_id, str(lead_of().pk)))
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete", pipeline_id=PLACE, status_id=NEW))
    assert (lead_of().card.kommo_lead_id, lead_of().card.state) == (other, Card.State.DUE)
    assert saying(lead_of().events, "merged into", str.__contains__)


def test_staff_have_a_gone_card_made_anew_or_close_it(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete"))
    record(pipeline, name="Maria Souza")
    drain(account)
    assert lead_of().card.state == Card.State.GONE

    assert missing_leads.recreate([lead_of().card], who="ana", now=timezone.now()) == 1
    drain(account)
    assert lead_of().card.kommo_lead_id not in (None, kommo_id)

    assert missing_leads.close([lead_of().card], who="ana", now=timezone.now()) == 1
    assert missing_leads.close([lead_of().card], who="ana", now=timezone.now()) == 0
    assert len(saying(lead_of().events, "closed by ana")) == 1


def test_a_lead_made_in_the_place_of_a_deleted_one_becomes_the_persons_card(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    kommo.post(f"leads/{kommo_id}/delete")
    hear(account, hook(kommo_id, "delete"))
    made = kommo.post("leads", {"name": "Maria", "phone": "+5581999990000", "status_id": QUALIFIED})
    other = made.get("id") or made["lead"]["id"]
    hear(account, hook(other, "add", pipeline_id=PLACE))
    assert lead_of().card.kommo_lead_id == other


def test_who_was_in_kommo_before_the_bridge_is_taken_in_as_soon_as_it_is_connected(connect, kommo):
    there = kommo.post("leads", {"name": "Ana", "phone": "+5581977770000", "status_id": QUALIFIED})
    account, now = connect(), timezone.now()
    Account.objects.update(polled_at=now)

    assert ("bridge.tasks.poll", (account.pk, True)) in due_calls()
    tasks.poll(account.pk, True)

    lead = lead_of("+5581977770000")
    assert (lead.card.kommo_lead_id, lead.stage.key) == (there.get("id") or there["lead"]["id"], "qualified")
    assert ("bridge.tasks.poll", (account.pk, True)) not in due_calls()


def test_a_phone_given_to_the_contact_later_is_learnt(account, pipeline, kommo):
    made = kommo.post("leads", {"name": "Ana", "status_id": QUALIFIED})
    kommo_id = made.get("id") or made["lead"]["id"]
    hear(account, hook(kommo_id, "add", pipeline_id=PLACE))
    lead = Lead.objects.get(name="Ana")
    assert lead.phone is None
    contact = _contact_with_phone(kommo, kommo_id, "+5581944440000")

    hear(account, f"contacts[update][0][id]={contact}", hook(kommo_id, "update"))

    lead.refresh_from_db()
    assert lead.phone == "+5581944440000"
    assert not record(pipeline, "+5581944440000", name="Ana Lima").created


def _contact_with_phone(kommo, kommo_id, phone):
    headers = {"Authorization": "Bearer sandbox-token"}
    body = [{"name": "Ana", "custom_fields_values": [{"field_code": "PHONE", "values": [{"value": phone}]}]}]
    made = requests.post(f"{kommo.url}/api/v4/contacts", json=body, headers=headers, timeout=5).json()
    contact_id = made["_embedded"]["contacts"][0]["id"]
    link = [{"to_entity_id": contact_id, "to_entity_type": "contacts", "metadata": {"is_main": True}}]
    requests.post(f"{kommo.url}/api/v4/leads/{kommo_id}/link", json=link, headers=headers, timeout=5)
    return contact_id


def test_a_dry_run_changes_nothing_and_a_second_run_finds_nothing(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    record(pipeline, "+5581988880000")
    drain(account)
    edit(kommo, kommo_id, name="Outra")
    kommo.post(f"leads/{Card.objects.get(lead__phone='+5581988880000').kommo_lead_id}/delete")
    kommo.post("leads", {"name": "Ana", "phone": "+5581977770000", "status_id": QUALIFIED})
    before = _everything()

    looked = poll(account, dry_run=True)
    full = comparison(account, dry_run=True)
    full.everything(newborn=True)

    assert _everything() == before
    # What Kommo lists as deleted is gone; what a list of others lacks is to be looked for once more.
    assert (len(looked.drifted), len(looked.gone), looked.taken_in) == (1, 1, 1)
    assert (len(full.report.drifted), len(full.report.missing), full.report.taken_in) == (1, 1, 1)
    assert len(poll(account).drifted) == 1
    drain(account)
    assert poll(account).is_clean
    again = comparison(account)
    assert again.everything(newborn=True)
    assert again.report.is_clean


def _everything():
    models = (Lead, Card, Event, Drift, Account)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_what_our_side_owes_is_found_and_sent(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    # As a restored backup leaves it: nothing waits, and the lead says something else.
    Lead.objects.update(name="Maria Souza")
    edit(kommo, kommo_id, price=5)
    poll(account)
    report = poll(account)
    assert report.owed == [str(kommo_id)] or lead_of().card.state == Card.State.DUE
    drain(account)
    assert kommo.lead(kommo_id)["name"] == "Maria Souza"
    assert lead_of().card.drifts.filter(resolution="repaired", subject="name", ours="Maria Souza").exists()


def test_a_full_comparison_goes_on_where_it_stopped(account, pipeline, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    for number in range(5):
        record(pipeline, f"+5581977{number:06d}")
    drain(account)
    runs = 0
    while not comparison(account).everything(until=timezone.now() if runs < 2 else None):
        runs += 1
        account.refresh_from_db()
        assert account.comparing_since is not None
    account.refresh_from_db()
    assert (runs, account.comparing_at, account.comparing_since) == (2, {}, None)
    assert account.compared_at is not None


def test_one_card_is_compared_when_somebody_asks(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    edit(kommo, kommo_id, name="Maria de Ana")
    report = compare_card(lead_of().card)
    assert list(report.drifted[str(kommo_id)]) == ["name"]
    drift = Drift.objects.get()
    assert (drift.ours, drift.theirs, drift.agreed, drift.found_by) == ("Maria", "Maria de Ana", "Maria", "by hand")
    assert lead_of().name == "Maria de Ana"


@pytest.mark.parametrize(
    ("subject", "change", "read"),
    [
        ("name", {"name": "Outra"}, lambda lead: lead["name"]),
        (f"field:{BILL}", field(BILL, "777"), lambda lead: value_of(lead, BILL)),
        ("stage", {"status_id": QUALIFIED}, lambda lead: lead["status_id"]),
        (
            "tags",
            {"tags_to_delete": [{"name": "fluxo_aluguel_de_lote"}]},
            lambda lead: [tag["name"] for tag in lead["_embedded"]["tags"]],
        ),
    ],
)
def test_a_drift_can_be_decided_for_ours_by_hand(account, pipeline, kommo, subject, change, read):
    kommo_id = carded(account, pipeline, name="Maria", bill_value=500, chosen_flow="Aluguel de Lote")
    before = read(kommo.lead(kommo_id))
    if subject == "stage":
        kommo.post(f"leads/{kommo_id}/move", change)
    else:
        edit(kommo, kommo_id, **change)
    poll(account)
    assert read(kommo.lead(kommo_id)) != before

    decide(Drift.objects.get(subject=subject), Choice.OURS)
    drain(account)

    assert read(kommo.lead(kommo_id)) == before
    drift = Drift.objects.get(subject=subject)
    assert (drift.resolution, drift.resolved_by) == ("repaired", "ana")
    assert poll(account).is_clean


def test_what_the_bridge_only_reads_is_not_decided_here(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    edit(kommo, kommo_id, price=9000)
    poll(account)
    with pytest.raises(DriftError):
        decide(Drift.objects.get(), Choice.OURS)
    decide(Drift.objects.get(), Choice.THEIRS)
    assert Drift.objects.get().resolution == "adopted"


def test_a_move_by_an_automation_against_a_rule_is_adopted_and_shown_until_somebody_decides(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, **GOOD)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFYING, "user_id": 0})
    hear(account, hook(kommo_id, status_id=QUALIFYING, pipeline_id=PLACE))

    assert lead_of().stage.key == "qualifying"
    drift = Drift.objects.get()
    assert (drift.resolution, drift.found_by, drift.ours) == ("open", "automation", [PLACE, QUALIFIED])
    assert saying(lead_of().events.filter(kind=Event.Kind.STAFF_TOLD), "an automation in Kommo", str.__contains__)

    decide(drift, Choice.OURS)
    drain(account)
    assert (lead_of().stage.key, kommo.lead(kommo_id)["status_id"]) == ("qualified", QUALIFIED)


def test_a_move_by_an_automation_that_no_rule_speaks_of_is_simply_adopted(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": QUALIFYING, "user_id": 0})
    hear(account, hook(kommo_id, status_id=QUALIFYING, pipeline_id=PLACE))
    assert not Drift.objects.exists()
    assert lead_of().card.ownership["stage"]["by"] == "kommo"


def test_without_webhooks_a_person_who_moved_the_card_unheard_comes_before_a_rule(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    Card.objects.update(observed_at=timezone.now() - timedelta(minutes=4))
    kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})

    record(pipeline, **GOOD)
    before = len(kommo.writes())
    drain(account)

    assert [write for write in kommo.writes()[before:] if "status_id" in str(write.get("body", ""))] == []
    assert kommo.lead(kommo_id)["status_id"] == HANDOFF
    assert (lead_of().stage.key, lead_of().in_handoff) == ("human_handoff", True)


def test_a_move_costs_one_reading_more_only_while_webhooks_may_be_lost(account, pipeline, kommo):
    carded(account, pipeline)

    def calls_of_a_move(**facts):
        Card.objects.update(observed_at=timezone.now() - timedelta(minutes=4))
        before = len(kommo.answered())
        record(pipeline, **facts)
        drain(account)
        return [call["method"] for call in kommo.answered()[before:]]

    assert calls_of_a_move(context={"conversation_stage": "estágio_1_apresentar_soluções"}) == ["GET", "PATCH"]
    Account.objects.update(webhook_destination="https://bridge.example/x", webhook_heard_at=timezone.now())
    assert calls_of_a_move(**GOOD) == ["PATCH"]


def test_what_staff_changed_before_we_knew_that_the_card_existed_stands(account, pipeline, kommo):
    kommo.fault("drop_after", count=1, path="/api/v4/leads/complex")
    record(pipeline)
    drain(account)
    [made] = kommo.leads()
    edit(kommo, made["id"], name="Maria de Ana")
    kommo.post(f"leads/{made['id']}/move", {"status_id": QUALIFIED})

    Card.objects.update(write_settles_at=timezone.now())
    drain(rested(account))

    lead = lead_of()
    assert (lead.card.kommo_lead_id, lead.name, lead.stage.key) == (made["id"], "Maria de Ana", "qualified")
    drain(rested(account))
    held_now = kommo.lead(made["id"])
    assert (held_now["name"], held_now["status_id"]) == ("Maria de Ana", QUALIFIED)


def test_who_moved_or_edited_a_card_is_known_by_their_id_in_kommo(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    seller = next(user["id"] for user in account.catalogue.users if user["id"] != account.kommo_user_id)

    edit(kommo, kommo_id, name="Maria Souza", user_id=seller)
    hear(account, hook(kommo_id, "update"))
    edit(kommo, kommo_id, status_id=QUALIFYING, user_id=seller)
    hear(account, hook(kommo_id, "status"))

    kinds = (Event.Kind.STAFF_EDIT, Event.Kind.STAFF_MOVE)
    user_ids = Event.objects.filter(kind__in=kinds).values_list("data__kommo_user_id", flat=True)
    assert list(user_ids) == [seller, seller]


def test_a_list_of_leads_knows_whose_they_are_as_kommo_tells(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    users = [user["id"] for user in account.catalogue.users]
    assert len(users) > 1
    for user_id in (*users, users[0]):
        edit(kommo, kommo_id, responsible_user_id=user_id)
        hear(account, hook(kommo_id, "update"))
        assert lead_of().kommo_responsible_id == user_id
    # Nothing is sent for it.
    assert not Card.objects.exclude(state=Card.State.IN_SYNC).exists()


TOO_DEAR, COMPETITOR = 8001, 8003


@pytest.fixture
def lost(account, pipeline, kommo):
    """The Kommo id of a lead that the agent's rules have lost, with a reason of theirs."""
    kommo_id = carded(account, pipeline, name="Maria")
    pipeline.stages.filter(kommo_status_id=143).update(loss_reason="Preço alto")
    pipeline.rules_changed()
    lose(account, pipeline)
    assert kommo.lead(kommo_id)["loss_reason_id"] == TOO_DEAR
    return kommo_id


def lose(account, pipeline):
    stage = pipeline.stages.get(kommo_status_id=143)
    stage_moves.move(lead_of(), stage, by=Lead.Actor.AGENT, reason="no interest", now=timezone.now())
    for _ in range(2):
        drain(rested(account))


def hook_of_all(kommo, kommo_id):
    """A body as an account's webhook has it, of a lead without fields and tags; why it was lost is not in there."""
    lead = kommo.lead(kommo_id)
    keys = ("name", "price", "status_id", "pipeline_id", "responsible_user_id")
    return hook(kommo_id, "update", last_modified=lead["updated_at"], **{key: lead[key] for key in keys})


@pytest.mark.parametrize("theirs", [COMPETITOR, None], ids=["another", "none"])
@pytest.mark.parametrize("together", [True, False], ids=["with the move", "after the move"])
@pytest.mark.parametrize("by", ["webhook", "poll"])
def test_why_a_lead_was_lost_is_what_a_person_said_last(account, pipeline, kommo, by, together, theirs, lost):
    kommo.post("options", {"loss_reason_before_move": not together})
    edit(kommo, lost, loss_reason_id=theirs, updated_at=int(timezone.now().timestamp()) + 1)
    if by == "webhook":
        hear(account, hook_of_all(kommo, lost))
    else:
        poll(account)
    record(pipeline, name="Maria Lima")
    for _ in range(2):
        drain(rested(account))
        poll(account)
    assert (kommo.lead(lost)["name"], kommo.lead(lost)["loss_reason_id"]) == ("Maria Lima", theirs)
    [event] = lead_of().events.filter(kind=Event.Kind.STAFF_EDIT)
    assert event.data["loss_reason"] == {"from": "Preço alto", "to": "Fechou com concorrente" if theirs else None}

    # Lost anew, by the agent, it is the agent's to say.
    kommo.post(f"leads/{lost}/move", {"status_id": NEW})
    poll(account)
    lose(account, pipeline)
    assert kommo.lead(lost)["loss_reason_id"] == TOO_DEAR
    assert lead_of().events.filter(kind=Event.Kind.STAFF_EDIT).count() == 1


def test_our_own_reason_is_no_persons_whatever_became_of_its_answer(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="Maria")
    pipeline.stages.filter(kommo_status_id=143).update(loss_reason="Preço alto")
    pipeline.rules_changed()
    kommo.fault("drop_after", count=1, path="/api/v4/leads", method="PATCH")
    lose(account, pipeline)
    poll(account)
    drain(rested(account))
    poll(account)
    assert (kommo.lead(kommo_id)["loss_reason_id"], lead_of().card.state) == (TOO_DEAR, "in_sync")
    assert not lead_of().events.filter(kind=Event.Kind.STAFF_EDIT).exists()


def test_our_reason_can_be_chosen_again_by_hand(account, kommo, lost):
    edit(kommo, lost, loss_reason_id=COMPETITOR)
    poll(account)
    drain(rested(account))
    decide(Drift.objects.get(subject="loss_reason_id"), Choice.OURS)
    drain(rested(account))
    assert kommo.lead(lost)["loss_reason_id"] == TOO_DEAR

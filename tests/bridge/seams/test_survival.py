"""Whatever happens to the network or to Kommo: every card ends as its lead says, and nothing is created twice."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import account_state, leaving_shadow
from bridge.api import representation
from bridge.cards import account_lease, outbox
from bridge.cards.backoff import REST_CAP
from bridge.cards.why_cards_wait import wait_of
from bridge.delivery import draining
from bridge.models import Account, Card, Delivery
from leads.models import Lead, Stage
from tests.conftest import MARIA, drain, lead_of, look_again, record, rested

HOW_MANY = 10


def phones():
    return [f"+5581988{number:06d}" for number in range(HOW_MANY)]


def settle(account: Account, rounds: int = 60) -> None:
    """Drain until nothing is due, letting waits pass as if time had."""
    for _ in range(rounds):
        account.cards.update(write_settles_at=None)
        drain(rested(account))
        look_again(account)
        if not account.cards.filter(state__in=Card.PENDING).exists():
            return


def test_a_refusal_is_on_the_card_and_never_a_success(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    kommo.fault("400_named", item="Maria", path_named="updated_at")
    record(pipeline, name="Maria")

    settle(account)

    card = lead_of().card
    assert card.state == "dead"
    assert "updated_at" in card.last_error
    assert card.deliveries.latest("id").outcome == Delivery.Outcome.REFUSED


def test_each_culprit_is_set_aside_for_its_own_reason_and_the_rest_goes_at_once(account, pipeline, kommo):
    for phone in phones():
        record(pipeline, phone)
    settle(account)
    for number, phone in enumerate(phones()):
        record(pipeline, phone, name=f"Lead {number}")
    kommo.fault("400_named", item="Lead 4", path_named="updated_at")
    lost = Card.objects.get(lead__name="Lead 7")
    kommo.post(f"leads/{lost.kommo_lead_id}/delete")

    settle(account)

    states = dict(account.cards.values_list("lead__name", "state"))
    assert (states.pop("Lead 4"), states.pop("Lead 7")) == ("dead", "gone")
    assert set(states.values()) == {"in_sync"}
    assert account.cards.get(lead__name="Lead 4").last_error.count("updated_at") == 1


@pytest.mark.parametrize("mode", ["400", "500", "drop_before"])
@pytest.mark.parametrize("doing", ["creating", "updating"])
def test_a_poisoned_card_that_kommo_never_names_ends_up_alone(account, pipeline, kommo, mode, doing):
    if doing == "updating":
        for phone in phones():
            record(pipeline, phone)
        settle(account)
    for number, phone in enumerate(phones()):
        record(pipeline, phone, name=f"Lead {number}")
    kommo.fault(mode, item="Lead 4")

    settle(account, rounds=14)

    states = dict(account.cards.values_list("lead__name", "state"))
    assert states.pop("Lead 4") == ("dead" if mode == "400" else "retrying")
    assert set(states.values()) == {"in_sync"}


def test_a_poisoned_card_keeps_nobody_else_waiting(account, pipeline, kommo):
    record(pipeline, phones()[0], name="Poison")
    kommo.fault("500", item="Poison")
    settle(account, rounds=8)
    account.refresh_from_db()
    # Nothing tells it from an outage yet, and still nobody waits for long.
    assert account.retry_at - timezone.now() < REST_CAP * 1.3

    for phone in phones()[1:4]:
        record(pipeline, phone, name="Maria")
        Account.objects.update(retry_at=None)
        # Nothing of what it tried before can arrive any more.
        account.cards.update(write_settles_at=None)
        drain(account)
        assert lead_of(phone).card.state == "in_sync"

    # Others go through, so the account does not rest; the poisoned card waits by its own count.
    account.refresh_from_db()
    assert (account.retry_at, account.failures) == (None, 0)
    poisoned = lead_of(phones()[0]).card
    assert (poisoned.state, poisoned.due_at > timezone.now() + REST_CAP) == ("retrying", True)
    assert "500" in poisoned.waiting_reason


def test_what_an_outage_kept_waiting_goes_as_soon_as_kommo_answers(account, pipeline, kommo):
    for phone in phones():
        record(pipeline, phone)
    kommo.fault("500", count=3)
    for _ in range(3):
        Account.objects.update(retry_at=None)
        Card.objects.filter(lead__phone=phones()[0]).update(due_at=timezone.now())
        drain(account)
    waiting = account.cards.filter(state="retrying", due_at__gt=timezone.now())
    assert waiting.exists()

    record(pipeline, MARIA, name="Maria")
    Account.objects.update(retry_at=None)
    drain(account)

    assert set(account.cards.values_list("state", flat=True)) == {"in_sync"}


def test_a_card_whose_plan_cannot_be_computed_holds_no_other(account, pipeline, kommo, monkeypatch):
    for phone in phones()[:3]:
        record(pipeline, phone)
    broken = Card.objects.order_by("id")[1]
    Card.objects.filter(pk=broken.pk).update(ownership={"tags:fluxo_{value}": {"by": "staff", "ours": 5}})

    settle(account)

    states = dict(account.cards.values_list("pk", "state"))
    assert states.pop(broken.pk) == "dead"
    assert set(states.values()) == {"in_sync"}
    broken.refresh_from_db()
    assert "could not be computed" in broken.waiting_reason


def test_a_dead_card_lives_again_when_its_lead_calls_for_something_else(account, pipeline, kommo):
    kommo.fault("400_named", item="Maria X")
    record(pipeline, name="Maria X")
    settle(account)
    assert lead_of().card.state == "dead"

    record(pipeline, name="Maria Souza")
    settle(account)

    assert lead_of().card.state == "in_sync"


def test_the_same_refused_write_is_not_sent_twice_unless_a_person_asks(account, pipeline, kommo):
    kommo.fault("400_named", item="Maria X", path_named="updated_at")
    record(pipeline, name="Maria X")
    settle(account)
    calls = len(kommo.writes())

    record(pipeline, email="m@example.com")
    settle(account)
    assert len(kommo.writes()) == calls + 1
    Lead.objects.get().save()
    settle(account)
    assert len(kommo.writes()) == calls + 1
    kommo.delete("faults")
    outbox.requeue(account.cards.all(), now=timezone.now())
    settle(account)

    assert lead_of().card.state == "in_sync"


@pytest.mark.parametrize("mode", ["422", "504"])
def test_a_batch_that_is_too_large_shrinks_and_grows_back(account, pipeline, kommo, mode):
    for phone in phones():
        record(pipeline, phone)
    settle(account)
    for phone in phones():
        record(pipeline, phone, name=f"Lead {phone}")
    kommo.fault(mode, count=2, path="/api/v4/leads")
    before = len(kommo.journal())

    settle(account)

    sizes = [len(call["body"]) for call in kommo.journal()[before:] if call["method"] == "PATCH"]
    assert sizes[:3] == [10, 5, 2]
    assert max(sizes[3:]) > 2
    assert set(account.cards.values_list("state", flat=True)) == {"in_sync"}


def test_a_single_lead_that_is_too_much_for_kommo_is_refused_like_any_other(account, pipeline, kommo):
    record(pipeline)
    settle(account)
    record(pipeline, name="Maria")
    kommo.fault("422", path="/api/v4/leads", method="PATCH")
    settle(account)
    assert lead_of().card.state == "dead"


@pytest.mark.parametrize("mode", ["404", "302", "405"])
def test_a_wrong_way_pauses_the_account_for_a_while_and_no_card_pays_for_it(account, pipeline, kommo, mode):
    for phone in phones():
        record(pipeline, phone)
    kommo.fault(mode, path="/api/v4/leads")

    drain(account)

    account.refresh_from_db()
    assert account.state == Account.State.PAUSED
    assert account.paused_until > timezone.now()
    assert set(account.cards.values_list("state", flat=True)) == {"due"}


def test_leads_that_kommo_leaves_out_of_its_answers_are_looked_for(account, pipeline, kommo):
    for phone in phones():
        record(pipeline, phone)
    settle(account)
    kommo.post("options", {"skip_unknown_ids": True})
    lost = lead_of(phones()[3]).card
    kommo.post(f"leads/{lost.kommo_lead_id}/delete")
    for phone in phones():
        record(pipeline, phone, name=f"Lead {phone}")

    settle(account)

    states = dict(account.cards.values_list("pk", "state"))
    assert states.pop(lost.pk) == "gone"
    assert set(states.values()) == {"in_sync"}


def test_an_answer_lost_after_creating_makes_no_second_lead(account, pipeline, kommo):
    record(pipeline)
    kommo.fault("drop_after", count=1, path="/api/v4/leads/complex")

    settle(account)

    assert len(kommo.leads()) == 1
    assert lead_of().card.kommo_lead_id == kommo.leads()[0]["id"]


def test_without_the_bridge_id_field_the_lead_is_found_by_phone(account, pipeline, kommo):
    Account.objects.update(bridge_id_field_id=None)
    record(pipeline)
    kommo.fault("drop_after", count=1, path="/api/v4/leads/complex")

    settle(account)

    assert len(kommo.leads()) == 1
    assert lead_of().card.kommo_lead_id == kommo.leads()[0]["id"]


def test_an_unbound_stage_blocks_the_card_and_nothing_is_sent_for_it(account, pipeline, kommo):
    stage = Stage.objects.get(key="disqualified")
    stage.kommo_status_id = None
    stage.save()
    before = len(kommo.writes())
    record(pipeline, qualification_score=10, context={"conversation_stage": "qualificação"})

    drain(account)

    card = lead_of().card
    assert (card.state, len(kommo.writes())) == ("blocked", before)
    assert "DESQUALIFICADO" in card.waiting_reason


def test_a_blocked_card_goes_out_as_soon_as_the_stage_is_bound(account, pipeline, kommo):
    stage = Stage.objects.get(key="disqualified")
    bound = stage.kommo_status_id
    stage.kommo_status_id = None
    stage.save()
    record(pipeline, qualification_score=10, context={"conversation_stage": "qualificação"})
    drain(account)

    stage.kommo_status_id = bound
    stage.save()
    settle(account)

    assert kommo.lead(lead_of().card.kommo_lead_id)["status_id"] == bound


def test_our_id_and_kommos_are_two_things(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    lead = lead_of()
    assert str(lead.pk) != str(lead.card.kommo_lead_id)
    in_kommo = kommo.lead(lead.card.kommo_lead_id)["custom_fields_values"]
    assert {field["field_name"]: field["values"][0]["value"] for field in in_kommo}["Bridge ID"] == str(lead.pk)


def test_the_flow_is_written_by_its_option_though_the_names_differ(account, pipeline, kommo):
    record(pipeline, chosen_flow="Instalação Usina Própria")
    drain(account)
    values = kommo.lead(lead_of().card.kommo_lead_id)["custom_fields_values"]
    assert [field["values"][0]["enum_id"] for field in values if field["field_id"] == 392808] == [326358]


def test_tags_of_staff_survive_every_write(account, pipeline, kommo):
    record(pipeline, chosen_flow="Aluguel de Lote")
    drain(account)
    kommo_id = lead_of().card.kommo_lead_id
    kommo.post(f"leads/{kommo_id}/edit", {"tags_to_add": [{"name": "vip"}]})
    record(pipeline, chosen_flow="Compra com Desconto")
    drain(account)
    tags = {tag["name"] for tag in kommo.lead(kommo_id)["_embedded"]["tags"]}
    assert tags == {"vip", "fluxo_compra_com_desconto"}


def test_a_lead_without_an_account_says_so_and_arrives_once_there_is_one(pipeline, kommo, settings):
    from bridge.accounts.connection import client_for
    from bridge.configuration.account_from_environment import ensure_account
    from bridge.configuration.connecting import Connection

    record(pipeline)
    assert not Card.objects.exists()
    settings.KOMMO_BASE_URL, settings.KOMMO_LONG_LIVED_TOKEN = kommo.url, "sandbox-token"
    account = ensure_account()
    Connection(account, client_for(account), create_missing=True, now=timezone.now()).connect(None)
    # Before it, nothing is created.
    tasks.poll(account.pk, True)

    settle(account)

    assert kommo.lead(lead_of().card.kommo_lead_id)


def test_saving_a_lead_by_any_road_reaches_the_card(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    lead = Lead.objects.get()
    lead.name = "By hand"
    lead.save()
    drain(account)
    assert kommo.lead(lead_of().card.kommo_lead_id)["name"] == "By hand"


def test_a_deleted_option_is_learnt_and_told(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    kommo.delete("fields/392808/enums/1078618")
    record(pipeline, name="Maria", chosen_flow="Aluguel de Lote")

    settle(account)

    card = lead_of().card
    assert card.state == "blocked"
    assert "Aluguel de Lote" in card.waiting_reason
    assert kommo.lead(card.kommo_lead_id)["name"] == "Maria"


def test_a_lead_deleted_in_kommo_is_gone_and_written_to_no_more(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    kommo.post(f"leads/{lead_of().card.kommo_lead_id}/delete")
    record(pipeline, name="Maria")
    settle(account)
    assert lead_of().card.state == "gone"
    calls = len(kommo.writes())
    record(pipeline, name="Maria Souza")
    settle(account)
    assert len(kommo.writes()) == calls


def test_stages_marked_always_visit_are_entered_one_by_one(account, pipeline, kommo):
    Stage.objects.filter(key="qualifying").update(always_visit=True)
    pipeline.rules_changed()
    record(pipeline)
    drain(account)
    record(pipeline, context={"conversation_stage": "estágio_1_apresentar_soluções"})
    record(pipeline, qualification_score=90, context={"conversation_stage": "qualificação"})

    settle(account)

    moves = [
        item["status_id"]
        for write in kommo.writes()
        if write["method"] == "PATCH"
        for item in write["body"]
        if "status_id" in item
    ]
    assert moves == [89709463, 89709467]


def test_shadow_shows_what_would_be_sent_once_and_sends_nothing(account, pipeline, kommo):
    account_state.enter_shadow(account, now=timezone.now())
    record(pipeline)
    settle(account)
    settle(account)
    assert kommo.writes() == []
    card = lead_of().card
    assert [delivery.outcome for delivery in card.deliveries.all()] == [Delivery.Outcome.WOULD_SEND]
    assert representation.lead_summary(card.lead, card)["sync"] == "pending"
    assert wait_of(card, now=timezone.now()).reason == "shadow: would have been sent"

    leaving_shadow.leave(account, now=timezone.now())
    settle(account)
    assert len(kommo.leads()) == 1


def test_a_card_that_keeps_killing_its_worker_is_parked(account, pipeline, kommo):
    record(pipeline)
    Card.objects.update(tries_without_outcome=draining.MOST_TRIES_WITHOUT_OUTCOME)
    drain(account)
    card = lead_of().card
    assert (card.state, kommo.writes()) == ("dead", [])
    assert "parked" in card.waiting_reason


def test_one_drain_per_account_at_a_time(account):
    now = timezone.now()
    first = account_lease.lease(account.pk, now=now)
    assert first is not None
    assert account_lease.lease(account.pk, now=now) is None
    assert account_lease.lease(account.pk, now=now + account_lease.LEASE * 1.01) is not None
    assert not first.renew(now)


def test_live_cards_go_before_bulk_ones(account, pipeline, kommo):
    for phone in phones()[:3]:
        record(pipeline, phone)
    Card.objects.filter(lead__phone__in=phones()[:2]).update(lane=Card.Lane.BULK)
    due = outbox.due_cards(account.pk, now=timezone.now(), limit=10)
    assert due[0].lead.phone == phones()[2]

"""In shadow, what the bridge would have put onto a card stands beside what others put there, thing by thing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bridge import shadow_report, tasks
from bridge.accounts import account_state, leaving_shadow
from bridge.shadow_values import Verdict
from tests.bridge.accounts.test_leaving_shadow import hear
from tests.conftest import drain, lead_of, record
from tests.lived_in import BILL, RENT, SOLUTION, UNMAPPED, value

ANA = "+5581977770000"
ENGLISH = {"accept-language": "en"}


@pytest.fixture
def watching(account, pipeline, kommo, time_machine):
    """An account in shadow, with one card that staff made before; return the card's id."""
    kommo_id = kommo.post("leads", {"name": "Ana", "phone": ANA, "tags": ["vip", "objecao_prazo"]})["id"]
    tasks.poll(account.pk)
    time_machine.move_to(timezone.now() + timedelta(minutes=1))
    account_state.enter_shadow(account, now=timezone.now())
    account.refresh_from_db()
    return kommo_id


def compared(account):
    drain(account)
    hear(account)
    account.refresh_from_db()
    report = shadow_report.compare(account)
    return report, {
        each_value.subject: (each_value.verdict, each_value.ours, each_value.theirs) for each_value in report.values
    }


def write(kommo, kommo_id, **body):
    kommo.post(f"leads/{kommo_id}/edit", body)


def test_each_thing_has_its_verdict(account, pipeline, kommo, watching):
    record(pipeline, ANA, name="Ana Lima", bill_value=Decimal(4500), chosen_flow="Aluguel de Lote")
    record(pipeline, ANA, context={"objections": ["preço"]})
    write(kommo, watching, name="Ana Lima", custom_fields_values=[value(BILL, "4000"), value(SOLUTION, RENT)])
    report, lines = compared(account)
    assert lines == {
        "Valor Conta Energia": (Verdict.DIFFER, "4500", "4000"),
        "tags fluxo_{value}": (Verdict.ONLY_WE, "fluxo_aluguel_de_lote", ""),
        "tags objecao_{value}": (Verdict.DIFFER, "objecao_preço", "objecao_prazo"),
    }
    assert report.value_counts[Verdict.AGREE] == 2
    assert (report.values_of, report.has_more) == (1, False)
    assert not kommo.writes()


def test_what_others_write_is_theirs_also_where_nobody_of_ours_spoke(account, pipeline, kommo, watching):
    write(kommo, watching, custom_fields_values=[value(BILL, "777"), value(SOLUTION, UNMAPPED)])
    write(kommo, watching, tags_to_add=[{"name": "fluxo_aluguel_de_lote"}])
    _, lines = compared(account)
    assert lines["Valor Conta Energia"] == (Verdict.ONLY_THEY, "", "777")
    assert lines["Solução Solar"][0] == Verdict.ONLY_THEY
    assert lines["tags fluxo_{value}"] == (Verdict.ONLY_THEY, "", "fluxo_aluguel_de_lote")


def test_what_stood_there_before_is_nobodys_deed(account, pipeline, kommo, watching):
    record(pipeline, ANA, custom={"pets": 2})
    report, lines = compared(account)
    assert lines == {}
    assert sum(report.value_counts.values()) == 0


def test_what_was_said_is_compared_also_after_theirs_was_taken_over(account, pipeline, kommo, watching):
    record(pipeline, ANA, bill_value=Decimal(500))
    write(kommo, watching, custom_fields_values=[value(BILL, "650")])
    _, lines = compared(account)
    assert lead_of(ANA).bill_value == 650
    assert lines["Valor Conta Energia"] == (Verdict.DIFFER, "500", "650")


def test_what_the_conversation_took_back_differs_from_what_stands_there(account, pipeline, kommo, watching):
    write(kommo, watching, custom_fields_values=[value(BILL, "650")])
    compared(account)
    record(pipeline, ANA, bill_value=Decimal(500))
    record(pipeline, ANA, bill_value=None)
    _, lines = compared(account)
    assert lines["Valor Conta Energia"] == (Verdict.DIFFER, "", "650")


def test_of_many_cards_those_that_were_busy_last_are_compared(account, pipeline, kommo, watching):
    record(pipeline, ANA, bill_value=Decimal(500))
    for number in range(3):
        kommo.post("leads", {"name": "Bia", "phone": f"+558196666{number:04}"})
    hear(account)
    report = shadow_report.compare(account, values_of=0)
    assert (report.values, report.has_more) == ([], True)
    assert len(shadow_report.compare(account, values_of=None).values) == 1


def test_the_command_tells_it_in_lines(account, pipeline, kommo, watching, capsys):
    record(pipeline, ANA, bill_value=Decimal(4500))
    compared(account)
    call_command("account", "show")
    output = capsys.readouterr().out
    assert "values on 1 cards: agree: 0, differ: 0, only we: 1, only they: 0" in output
    assert f"only we: lead {watching} (Ana), Valor Conta Energia: we 4500; they nothing" in output


def test_the_page_shows_both_hands_in_both_languages(admin_client, account, pipeline, kommo, watching):
    record(
        pipeline, ANA, bill_value=Decimal(4500), qualification_score=90, context={"conversation_stage": "qualificação"}
    )
    write(kommo, watching, custom_fields_values=[value(BILL, "4000")])
    compared(account)
    writes = len(kommo.journal())
    page = admin_client.get(reverse("shadow"), headers=ENGLISH).text
    assert "Valor Conta Energia" in page
    assert "different: 1" in page
    assert "QUALIFICADO" in page
    assert "os outros" in admin_client.get(reverse("shadow"), headers={"accept-language": "pt-br"}).text.lower()
    assert len(kommo.journal()) == writes
    assert admin_client.get(reverse("overview-live"), headers=ENGLISH).text.count(reverse("shadow")) == 1


def test_the_page_says_when_there_is_nothing_to_compare(admin_client, account, kommo, watching):
    assert "There is nothing to compare yet" in admin_client.get(reverse("shadow"), headers=ENGLISH).text
    leaving_shadow.leave(account, now=timezone.now())
    assert "No account is in shadow." in admin_client.get(reverse("shadow"), headers=ENGLISH).text
    assert reverse("shadow") not in admin_client.get(reverse("overview-live"), headers=ENGLISH).text


def test_whoever_may_not_see_leads_does_not_see_it(account, watching):
    user = User.objects.create_user("bob", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_account"))
    client = Client()
    client.force_login(user)
    assert client.get(reverse("shadow")).status_code == 403

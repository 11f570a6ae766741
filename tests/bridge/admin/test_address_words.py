"""A lead's page and the list say where a person is reached, why the agent is silent, and who is probably the same."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge.admin.leads.address_words import reached
from leads import emergency_stop
from leads.addresses import parse
from leads.interaction_values import Direction, Interaction, Message
from leads.interactions import record
from leads.models import JoinedLead, Lead, ProbablySame
from tests.conftest import drain

ENGLISH = {"accept-language": "en"}


def wrote(pipeline, *addresses, **facts) -> Lead:
    """Let somebody write who is known by these addresses, the first of them used."""
    known = tuple(parse(kind, value, region="BR") for kind, value in addresses)
    interaction = Interaction(
        phone=None,
        addresses=known,
        facts=facts,
        occurred_at=timezone.now(),
        message=Message(Direction.INBOUND, text="Oi"),
        via="insta",
    )
    return record(interaction, pipeline=pipeline, now=timezone.now()).lead


def opened(client, lead):
    page = client.get(reverse("admin:leads_lead_change", args=[lead.pk]), headers=ENGLISH).content.decode()
    return re.sub(r"\s+", " ", page)


def words(client, lead):
    return re.sub(r" +", " ", re.sub(r"<[^>]+>", " ", opened(client, lead)))


def test_a_lead_without_a_phone_says_where_it_is_reached_on_its_page_and_in_the_list(staff, pipeline):
    lead = wrote(pipeline, ("instagram", "maria.souza"), name="Maria")
    assert "Instagram @maria.souza wrote from here last, by insta" in words(staff, lead)
    rows = staff.get(reverse("admin:leads_lead_changelist"), headers=ENGLISH).content.decode()
    assert "Instagram @maria.souza" in rows


def test_the_address_last_written_from_comes_first(pipeline):
    lead = wrote(pipeline, ("phone", "+5581999990000"), ("instagram", "maria.souza"))
    wrote(pipeline, ("instagram", "maria.souza"))
    lead = Lead.objects.get(pk=lead.pk)
    assert [(reached_by.value, reached_by.is_last) for reached_by in reached(lead)] == [
        ("@maria.souza", True),
        ("+5581999990000", False),
    ]


def test_the_list_costs_the_same_however_many_leads_have_further_addresses(staff, pipeline):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            staff.get(reverse("admin:leads_lead_changelist"))
        return len(queries)

    wrote(pipeline, ("phone", "+5581999990000"), ("instagram", "maria"))
    cost()
    few = cost()
    for number in range(15):
        wrote(pipeline, ("phone", f"+55819999900{number + 10}"), ("instagram", f"maria.{number}"))
    assert cost() == few


def test_the_page_says_why_the_agent_may_not_reply_where_no_person_has_the_lead(staff, pipeline):
    lead = wrote(pipeline, ("instagram", "maria"))
    assert "smart_toy</span>answers" in opened(staff, lead)
    emergency_stop.silence(pipeline, by="ada", reason="incêndio", now=timezone.now())
    page = opened(staff, lead)
    assert "voice_over_off</span>silent" in page and "incêndio" in page


def test_a_lead_that_the_agent_does_not_serve_says_so_on_its_page_and_in_the_list(staff, pipeline):
    pipeline.serves_only_with_tag = "robô"
    pipeline.save()
    lead = wrote(pipeline, ("instagram", "maria"))
    page = opened(staff, lead)
    assert "voice_over_off</span>silent" in page and "“robô”" in page
    rows = staff.get(reverse("admin:leads_lead_changelist"), headers=ENGLISH).content.decode()
    assert re.search(r">\s*silent\s*<", rows) and not re.search(r">\s*answers\s*<", rows)


# --- Probably the same


@pytest.fixture
def pair(account, pipeline) -> ProbablySame:
    """Two leads, each with a card, told as of one person."""
    wrote(pipeline, ("phone", "+5581999990000"), name="Maria Souza")
    wrote(pipeline, ("instagram", "maria.souza"), name="Maria S.")
    drain(account)
    wrote(pipeline, ("phone", "+5581999990000"), ("instagram", "maria.souza"))
    return ProbablySame.objects.get()


def do(client, lead, what, pair):
    url = reverse("admin:leads_lead_do", args=[lead.pk, what])
    return client.post(url, {"pair": pair.pk}, headers=ENGLISH, follow=True)


def test_both_pages_show_the_other_with_the_evidence_and_what_joining_does(staff, pair):
    for lead, other in ((pair.older, pair.younger), (pair.younger, pair.older)):
        page = words(staff, lead)
        assert f"Probably the same person to decide {other}" in page
        assert "Instagram maria.souza" in page and "phone +5581999990000" in page
        assert f"Card {pair.older.card.kommo_lead_id}, the older lead" in page
        assert f"Card {pair.younger.card.kommo_lead_id} stays in Kommo just as it is" in page


@pytest.mark.parametrize("side", ["older", "younger"])
def test_they_are_joined_from_either_page_and_one_comes_to_the_one_that_stays(staff, pair, kommo, side):
    writes = len(kommo.writes())
    answer = do(staff, getattr(pair, side), "join", pair)
    assert "They are one lead now" in answer.content.decode()
    assert answer.redirect_chain[-1][0] == reverse("admin:leads_lead_change", args=[pair.older_id])
    assert JoinedLead.objects.get().former_id == pair.younger_id
    assert len(kommo.writes()) == writes
    old_link = staff.get(reverse("admin:leads_lead_change", args=[pair.younger_id]), follow=True)
    assert old_link.context["lead"].pk == pair.older_id


def test_they_are_kept_apart_and_nobody_is_asked_again(staff, pair):
    assert "They are two people" in do(staff, pair.older, "keep-apart", pair).content.decode()
    assert "Probably the same" not in opened(staff, pair.older).partition('class="kb kb-stack"')[2]
    assert Lead.objects.count() == 2


def test_what_was_decided_meanwhile_is_not_decided_again(staff, pair, pipeline):
    stranger = wrote(pipeline, ("instagram", "outra"))
    for lead, number in ((stranger, pair.pk), (pair.older, pair.pk + 1), (pair.older, "x"), (pair.older, "9" * 30)):
        url = reverse("admin:leads_lead_do", args=[lead.pk, "join"])
        assert (
            "That was decided meanwhile"
            in staff.post(url, {"pair": number}, headers=ENGLISH, follow=True).content.decode()
        )
    assert Lead.objects.count() == 3


def test_who_only_looks_decides_nothing(pair):
    from bridge import roles
    from tests.bridge.admin.people import client_of

    viewer = client_of(roles.READER)
    assert "Join them" not in opened(viewer, pair.older)
    assert do(viewer, pair.older, "join", pair).status_code == 403

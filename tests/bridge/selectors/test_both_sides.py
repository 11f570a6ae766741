"""What we hold, what Kommo holds and what was agreed, side by side, and which of them a write would change."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils import translation

from bridge.admin.leads import page
from bridge.selectors.both_sides import Verdict, compare, text
from leads.rulebook import rulebook
from tests.conftest import drain, lead_of, record

KNOWN = {"name": "Maria Souza", "bill_value": Decimal("4500.50"), "chosen_flow": "Instalação Usina Própria"}


def sides_of(lead):
    found = page.find(lead.pk)
    card = found.card
    card.lead = found
    return compare(card, rulebook(found.pipeline), card.account, card.account.catalogue)


def rows_of(lead):
    return {row.subject: row for row in sides_of(lead).rows}


@pytest.fixture
def lead(account, pipeline):
    record(pipeline, **KNOWN, context={"objections": ["preço"]})
    drain(account)
    return lead_of()


def test_sides_that_agree_say_so_though_they_call_things_differently(lead):
    sides = sides_of(lead)
    assert not sides.differs
    assert {row.verdict for row in sides.rows if row.ours} == {Verdict.EQUAL}
    flow = rows_of(lead)["Solução Solar"]
    assert (flow.ours, flow.theirs, flow.agreed) == ("Usina Própria",) * 3


def test_a_value_that_is_newer_here_will_be_sent(lead, pipeline):
    record(pipeline, name="Maria de Souza", bill_value=Decimal(5000), context={"objections": ["timing"]})
    rows = rows_of(lead)
    for subject in ("Name", "Valor Conta Energia", "Tags"):
        assert rows[subject].verdict is Verdict.TO_SEND, subject
    assert (rows["Name"].ours, rows["Name"].theirs) == ("Maria de Souza", "Maria Souza")
    assert rows["Stage"].verdict is Verdict.EQUAL


def test_what_was_sent_and_never_answered_is_in_doubt(lead):
    card = lead.card
    card.in_doubt = {
        "name": "Maria Souza",
        "fields": {str(rulebook(lead.pipeline).field_mappings[0].kommo_field_id): "1"},
    }
    card.save()
    rows = rows_of(lead)
    assert rows["Name"].verdict is Verdict.IN_DOUBT
    assert Verdict.IN_DOUBT in {row.verdict for row in rows.values() if row.subject not in ("Name", "Tags", "Stage")}


def test_tags_of_staff_stand_beside_ours(lead):
    card = lead.card
    card.observed["tags"] = [*card.observed["tags"], "vip"]
    card.save()
    row = rows_of(lead)["Tags"]
    assert (row.verdict, "vip" in row.theirs, "vip" in row.ours) == (Verdict.THEIRS, True, False)


def test_who_set_a_value_last_is_named(lead):
    rows = rows_of(lead)
    assert rows["Name"].by == "agent"
    assert rows["Stage"].by == "bridge"


def test_values_are_written_as_people_read_them():
    with translation.override("pt-br"):
        assert text(Decimal("4500.50")) == "4.500,50"
        assert text(True) == "sim"
    assert text(Decimal("4500.00")) == "4,500"
    assert (text(None), text([]), text(["a", "b"])) == ("", "", "a, b")
    assert text(datetime(2026, 3, 1, 15, 0, tzinfo=UTC)) == "01/03/2026 12:00"

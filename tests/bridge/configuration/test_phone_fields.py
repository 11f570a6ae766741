"""Which field of a lead holds the phone is proposed by what cards hold, and by names; nobody but staff decides."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from bridge.accounts.connection import client_for
from bridge.configuration import phone_fields
from bridge.configuration.connecting import Connection
from bridge.errors import KommoAccessError
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import FieldValuesReply, LeadReply
from leads.models import Pipeline
from tests.lived_in import BILL, WHATSAPP, value

NUMBER = "+5581988770001"


def field(field_id: int, name: str, type_: str = "text") -> dict:
    return {"id": field_id, "name": name, "type": type_}


def lead(texts_by_field: dict[int, str], *, contact: bool = False) -> LeadReply:
    values = tuple(FieldValuesReply(key, "text", [{"value": text}]) for key, text in texts_by_field.items())
    contacts = (7,) if contact else ()
    return LeadReply(1, "", 0, 1, 1, None, None, 0, 0, False, (), values, contact_ids=contacts)


@pytest.mark.parametrize(
    ("fields", "leads", "found"),
    [
        ([], [], None),
        ([field(1, "Observação")], [], None),
        ([field(1, "Observação"), field(2, "WhatsApp")], [], 2),
        ([field(1, "Nº do celular")], [lead({})], 1),
        ([field(1, "Tel. residencial"), field(2, "Fone")], [], 2),
        ([field(1, "Hotel"), field(2, "Atelier")], [], None),
        # What is called so and holds other things is none; what is called otherwise and holds phones is one.
        ([field(1, "Telefone"), field(2, "Dados")], [lead({1: "não tem", 2: NUMBER})], 2),
        ([field(1, "Telefone")], [lead({1: "ligar depois"})], None),
        ([field(1, "Obs")], [lead({1: NUMBER}), lead({1: "a"}), lead({1: "b"})], None),
        ([field(1, "Zap", "numeric")], [lead({1: "5581988770001"})], 1),
        ([field(1, "Conta", "numeric")], [lead({1: "777"}), lead({1: "4500"})], None),
        ([field(1, "Link", "url")], [lead({1: "https://wa.me/5581988770001"})], 1),
        # Where a card has no contact it is wanted most.
        ([field(1, "A"), field(2, "B")], [lead({1: NUMBER}, contact=True)] * 2 + [lead({2: NUMBER})], 2),
    ],
)
def test_the_field_that_holds_the_phones(fields, leads, found):
    guess = phone_fields.guess(fields, leads, region="BR")
    assert (guess.field_id if guess else None) == found


@given(
    st.lists(st.dictionaries(st.integers(1, 4), st.sampled_from([NUMBER, "777", "x", "81 98877-0002"])), max_size=6),
    st.lists(st.sampled_from(["Telefone", "Obs", "Cidade", "zap"]), min_size=1, max_size=4),
)
def test_what_is_proposed_holds_phones_more_often_than_not_or_nothing(leads_shown, names):
    fields = [field(number, name) for number, name in enumerate(names, 1)]
    guess = phone_fields.guess(fields, [lead(texts) for texts in leads_shown], region="BR")
    if guess:
        values = [texts[guess.field_id] for texts in leads_shown if guess.field_id in texts]
        phones = [text for text in values if "8877" in text]
        assert len(phones) == guess.phones
        assert guess.phones * 2 >= len(values)
        assert guess.phones or phone_fields.is_called_so(guess.name)


@pytest.fixture
def with_phones(account, kommo):
    """An account whose cards have no contact, and the phone in a field."""
    for number in range(3):
        values = [value(WHATSAPP, f"+55819887700{number:02}"), value(BILL, "500")]
        kommo.post("leads", {"name": f"Lead {number}", "custom_fields_values": values})
    return account


def connect(account):
    return Connection(account, client_for(account), create_missing=False, now=timezone.now()).connect(None)


def test_connecting_names_it_and_sets_nothing(with_phones, settings, kommo):
    out = StringIO()
    call_command("kommo_connect", stdout=out)
    assert "field “WhatsApp” of leads holds a phone on 3 of the newest 3 leads, 3 of them without a contact" in (
        out.getvalue()
    )
    assert Pipeline.objects.get().phone_field == ""


def test_connecting_says_what_became_of_the_one_that_is_set(with_phones):
    Pipeline.objects.update(phone_field="whatsapp")
    report = connect(with_phones)
    assert f"field with the phone -> WhatsApp ({WHATSAPP})" in report.done
    assert report.advice == []
    Pipeline.objects.update(phone_field="Fax")
    assert "“Fax”: no such field of leads" in connect(with_phones).missing[0]


def test_an_account_that_shows_no_leads_is_connected_all_the_same_and_names_are_looked_at(with_phones, monkeypatch):
    def refused(*_, **__):
        raise KommoAccessError("read leads: Kommo answered 403", operation="read leads", status_code=403)

    monkeypatch.setattr(KommoClient, "list_leads", refused)
    assert "“WhatsApp” of leads is called like a phone" in connect(with_phones).advice[0]


def test_the_wizard_proposes_it_and_keeps_what_staff_choose(admin_client, with_phones, kommo):
    address = reverse("setup-bind")
    page = admin_client.get(address, headers={"accept-language": "en"})
    assert "“WhatsApp” holds a phone on 3 of the newest 3 leads, 3 of them without a contact" in page.text
    form = page.context["form"]
    [choice] = form.phones
    posted = {name: form[name].value() or "" for name in form.fields}
    assert posted[choice.key] == "WhatsApp"
    assert Pipeline.objects.get().phone_field == ""

    version = Pipeline.objects.get().rules_version
    admin_client.post(address, posted)
    pipeline = Pipeline.objects.get()
    assert (pipeline.phone_field, pipeline.rules_version != version) == ("WhatsApp", True)
    shown = admin_client.get(address, headers={"accept-language": "en"})
    assert shown.context["form"][choice.key].value() == "WhatsApp"

    admin_client.post(address, {**posted, choice.key: ""})
    assert Pipeline.objects.get().phone_field == ""

"""What Kommo makes of what we send is its own form of it: no person's edit, and nothing to send again."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.accounts.connection import client_for
from bridge.models import Account, Card, Drift
from leads.models import Event, TagRule
from tests.bridge.mapped import map_every_type, options_of, read_back, shown, type_in
from tests.conftest import amount, drain, lead_of, record, rested

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
SAID = {
    "text": "família grande 👍 quer três placas",
    "textarea": "uma linha\r\n\r\noutra  linha 🌞 fim",
    "url": "www.example.com/evento 1",
    "numeric": 540,
    "monetary": 1234.5,
    "checkbox": False,
    "date": "2026-12-10",
    "date_time": "2026-12-10T21:30:00-03:00",
    "select": "Piscina",
    "multiselect": ["Bateria", "Carro elétrico"],
}


@pytest.fixture
def fields(account, pipeline, kommo):
    return map_every_type(pipeline, kommo, account)


def carded(account, pipeline, **facts):
    record(pipeline, **facts)
    drain(account)
    return lead_of().card.kommo_lead_id


def edits():
    return list(lead_of().events.filter(kind=Event.Kind.STAFF_EDIT).values_list("reason", flat=True))


def assert_at_rest(account, kommo, facts):
    """Nobody edited anything, the facts are what the agent said, and nothing is sent again, however often we look."""
    for _ in range(2):
        read_back(account)
        drain(account)
    before = len(kommo.writes())
    for _ in range(2):
        read_back(account)
        drain(account)
    assert len(kommo.writes()) == before
    lead = lead_of()
    assert edits() == []
    assert not Drift.objects.exists()
    assert {name: lead.custom.get(name) for name in facts} == facts
    assert lead.card.state == Card.State.IN_SYNC, lead.card.waiting_reason


@pytest.mark.parametrize("profile", ["default", "hostile"])
@pytest.mark.parametrize("by", ["user", "robot"])
def test_every_type_comes_to_rest_as_the_agent_said_it(account, pipeline, kommo, fields, profile, by):
    kommo.post("options", {"profile": profile, "odd_rows": False, "writes_are_by": by})
    carded(account, pipeline, custom=SAID)
    assert_at_rest(account, kommo, SAID)


@pytest.mark.parametrize("by", ["user", "robot"])
def test_a_form_nobody_knows_is_learnt_from_the_first_reading(account, pipeline, kommo, fields, by):
    kommo.post("options", {"writes_are_by": by})
    kommo_id = carded(account, pipeline, custom={"text": "Olá"})
    # As if this account kept its texts in capitals: Kommo's own work, at the time of our write.
    at = kommo.lead(kommo_id)["updated_at"]
    author = 11087123 if by == "user" else 0
    body = {"custom_fields_values": [{"field_id": fields["text"], "values": [{"value": "OLÁ"}]}]}
    kommo.post(f"leads/{kommo_id}/edit", {**body, "user_id": author, "updated_at": at})
    assert_at_rest(account, kommo, {"text": "Olá"})

    record(pipeline, custom={"text": "Tchau"})
    drain(account)
    assert shown(kommo, kommo_id, fields["text"]) == [{"value": "Tchau"}]


@pytest.mark.parametrize("author", [11087201, 11087123])
def test_a_later_edit_is_a_persons_whoever_they_are(account, pipeline, kommo, fields, author):
    kommo_id = carded(account, pipeline, custom={"text": "Olá"})
    at = kommo.lead(kommo_id)["updated_at"]
    body = {"custom_fields_values": [{"field_id": fields["text"], "values": [{"value": "Outra coisa"}]}]}
    # The administrator may be a person too, with the user our token belongs to.
    kommo.post(f"leads/{kommo_id}/edit", {**body, "user_id": author, "updated_at": at + 5})
    read_back(account)
    assert lead_of().custom["text"] == "Outra coisa"
    assert len(edits()) == 1


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Europe/Moscow", "UTC", "Pacific/Auckland", "America/Adak"])
def test_a_date_shows_the_day_that_was_said_wherever_the_account_is(account, pipeline, kommo, fields, zone):
    kommo.post("options", {"account_time_zone": zone})
    client = client_for(account)
    from bridge import account_traits

    account_traits.learn(account, client.account())
    kommo_id = carded(account, pipeline, custom={"date": "2026-12-10"})

    [value] = shown(kommo, kommo_id, fields["date"])
    assert datetime.fromtimestamp(value["value"], ZoneInfo(zone)).date() == date(2026, 12, 10)
    assert_at_rest(account, kommo, {"date": "2026-12-10"})
    record(pipeline, custom={"date": "2026-12-20"})
    drain(account)
    [value] = shown(kommo, kommo_id, fields["date"])
    assert datetime.fromtimestamp(value["value"], ZoneInfo(zone)).date() == date(2026, 12, 20)


def test_an_account_that_keeps_dates_as_sent_is_no_other(account, pipeline, kommo, fields):
    kommo.post("options", {"dates_at_midnight": False})
    carded(account, pipeline, custom={"date": "2026-12-10"})
    assert_at_rest(account, kommo, {"date": "2026-12-10"})


def test_a_moment_that_is_shown_as_a_date_is_the_day_it_is_there(account, pipeline, kommo, fields):
    moment = "2026-12-11T01:30:00+00:00"
    kommo_id = carded(account, pipeline, custom={"date": moment})
    [value] = shown(kommo, kommo_id, fields["date"])
    assert datetime.fromtimestamp(value["value"], SAO_PAULO).date() == date(2026, 12, 10)
    assert_at_rest(account, kommo, {"date": moment})


def test_a_long_fact_is_cut_on_the_card_and_kept_whole(account, pipeline, kommo, fields):
    texts = {"text": "palavra " * 60, "textarea": "palavra " * 60}
    kommo_id = carded(account, pipeline, custom=texts)
    [cut] = shown(kommo, kommo_id, fields["text"])
    assert texts["text"].startswith(cut["value"]) and 240 < len(cut["value"]) <= 256
    assert shown(kommo, kommo_id, fields["textarea"]) == [{"value": texts["textarea"].strip()}]
    assert_at_rest(account, kommo, texts)


def test_a_long_text_that_staff_typed_is_theirs_and_is_not_cut(account, pipeline, kommo, fields):
    kommo_id = carded(account, pipeline, custom={"text": "Olá"})
    typed = " ".join(["Combinado com a síndica."] * 20)
    type_in(kommo, kommo_id, fields["text"], {"value": typed})
    read_back(account)
    before = len(kommo.writes())
    record(pipeline, custom={"numeric": 5})
    drain(account)
    assert shown(kommo, kommo_id, fields["text"]) == [{"value": typed}]
    assert lead_of().custom["text"] == typed
    assert len(kommo.writes()) == before + 1


def test_tags_that_a_create_did_not_keep_are_sent_again_and_are_nobodys_edit(account, pipeline, kommo):
    kommo.post("options", {"first_tag_only_on_complex": True})
    kommo_id = carded(account, pipeline, context={"objections": ["preço", "garantia", "prazo"]})
    assert len(kommo.lead(kommo_id)["tags"]) == 1
    read_back(account)
    drain(account)
    assert sorted(kommo.lead(kommo_id)["tags"]) == ["objecao_garantia", "objecao_prazo", "objecao_preço"]
    assert_at_rest(account, kommo, {})


def test_tags_that_are_kept_in_another_case_are_the_same(account, pipeline, kommo):
    kommo.post("options", {"tags_ignore_case": True})
    kommo.post("leads", {"name": "Outro", "tags": ["Objecao_Garantia"]})
    kommo_id = carded(account, pipeline, context={"objections": ["garantia"]})
    assert kommo.lead(kommo_id)["tags"] == ["Objecao_Garantia"]
    assert_at_rest(account, kommo, {})
    record(pipeline, context={"objections": None})
    drain(account)
    assert kommo.lead(kommo_id)["tags"] == []


def test_a_tag_that_kommo_never_keeps_is_sent_twice_and_then_left(account, pipeline, kommo):
    TagRule.objects.get_or_create(pipeline=pipeline, attribute="objections", template="objecao_{value}")
    kommo_id = carded(account, pipeline, context={"objections": ["garantia"]})
    sent = 0
    for _ in range(3):
        at = kommo.lead(kommo_id)["updated_at"]
        if kommo.lead(kommo_id)["tags"]:
            sent += 1
            body = {"tags_to_delete": [{"name": "objecao_garantia"}], "user_id": 11087123, "updated_at": at}
            kommo.post(f"leads/{kommo_id}/edit", body)
        read_back(account)
        rested(Account.objects.get(pk=account.pk))
        drain(account)
    assert sent == 2
    assert_at_rest(account, kommo, {})


def test_a_name_without_its_emoji_is_the_same_name(account, pipeline, kommo):
    kommo.post("options", {"cut_text_at_emoji": True})
    kommo_id = carded(account, pipeline, name="Ana 🌸 Souza")
    assert kommo.lead(kommo_id)["name"] == "Ana Souza"
    assert_at_rest(account, kommo, {})
    assert lead_of().name == "Ana 🌸 Souza"
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Ana Souza Lima"})
    read_back(account)
    assert lead_of().name == "Ana Souza Lima"


class TestWhatStaffType:
    @pytest.mark.parametrize("profile", ["default", "hostile"])
    @pytest.mark.parametrize(
        ("type_", "typed", "fact"),
        [
            ("date", {"value": "2026-12-25T00:00:00-03:00"}, "2026-12-25"),
            ("date_time", {"value": "2026-12-25T17:00:00+00:00"}, "2026-12-25T14:00:00-03:00"),
            ("numeric", {"value": "600"}, 600),
            ("numeric", {"value": "600.25"}, 600.25),
            ("monetary", {"value": "99.9"}, 99.9),
            ("checkbox", {"value": True}, True),
            ("text", {"value": "à mão"}, "à mão"),
            ("textarea", {"value": "duas\nlinhas"}, "duas\nlinhas"),
            ("url", {"value": "www.example.org"}, "www.example.org"),
        ],
    )
    def test_becomes_a_fact_in_our_words_and_stays(self, account, pipeline, kommo, fields, profile, type_, typed, fact):
        kommo.post("options", {"profile": profile, "odd_rows": False})
        kommo_id = carded(account, pipeline, custom=SAID)
        read_back(account)
        drain(account)
        type_in(kommo, kommo_id, fields[type_], typed)
        values = shown(kommo, kommo_id, fields[type_])
        read_back(account)
        assert lead_of().custom[type_] == fact
        # The agent says again what it said before, and something else that is new.
        record(pipeline, name="Maria Souza", custom=SAID)
        drain(account)
        read_back(account)
        assert shown(kommo, kommo_id, fields[type_]) == values
        assert lead_of().custom[type_] == fact

    def test_options_come_back_as_our_values_or_their_names(self, account, pipeline, kommo, fields):
        kommo_id = carded(account, pipeline, custom={"multiselect": ["Bateria"], "select": "Bateria"})
        several, single = options_of(account, fields["multiselect"]), options_of(account, fields["select"])
        type_in(
            kommo, kommo_id, fields["multiselect"], {"enum_id": several["Bateria"]}, {"enum_id": several["Tem piscina"]}
        )
        type_in(kommo, kommo_id, fields["select"], {"enum_id": single["Carro"]})
        read_back(account)
        lead = lead_of()
        assert sorted(lead.custom["multiselect"]) == ["Bateria", "Piscina"]
        assert lead.custom["select"] == "Carro elétrico"

        record(pipeline, name="Maria", custom={"multiselect": ["Bateria"]})
        drain(account)
        assert lead_of().card.state == Card.State.IN_SYNC
        assert len(shown(kommo, kommo_id, fields["multiselect"])) == 2
        record(pipeline, custom={"multiselect": ["Carro elétrico"]})
        drain(account)
        assert [value["value"] for value in shown(kommo, kommo_id, fields["multiselect"])] == ["Carro"]

    def test_an_option_that_is_no_value_of_ours_comes_back_by_its_name(self, account, pipeline, kommo, fields):
        kommo_id = carded(account, pipeline, custom={"select": "Bateria"})
        made = kommo.post(f"fields/{fields['select']}/enums", {"value": "Telhado verde"})
        from bridge.accounts import catalogue

        catalogue.refresh(account, client_for(account), now=lead_of().updated_at)
        type_in(kommo, kommo_id, fields["select"], {"enum_id": made["id"]})
        read_back(account)
        assert lead_of().custom["select"] == "Telhado verde"
        record(pipeline, name="Maria")
        drain(account)
        assert lead_of().card.state == Card.State.IN_SYNC

    def test_what_cannot_be_said_in_our_words_stays_theirs(self, account, pipeline, kommo, fields):
        kommo_id = carded(account, pipeline, custom={"numeric": 5, "select": "Bateria"})
        # An option our copy of the account has not heard of.
        made = kommo.post(f"fields/{fields['select']}/enums", {"value": "Novo"})
        type_in(kommo, kommo_id, fields["select"], {"enum_id": made["id"]})
        type_in(kommo, kommo_id, fields["numeric"], {"value": "1" + "0" * 40})
        read_back(account)
        record(pipeline, name="Maria")
        drain(account)
        lead = lead_of()
        assert (lead.custom["numeric"], lead.custom["select"]) == (5, "Bateria")
        assert amount(shown(kommo, kommo_id, fields["numeric"])[0]["value"]) == "1" + "0" * 40
        assert shown(kommo, kommo_id, fields["select"])[0]["value"] == "Novo"

    @pytest.mark.parametrize("type_", ["text", "numeric", "date", "multiselect"])
    def test_an_emptied_field_forgets_the_fact(self, account, pipeline, kommo, fields, type_):
        kommo_id = carded(account, pipeline, custom=SAID)
        read_back(account)
        type_in(kommo, kommo_id, fields[type_], None)
        read_back(account)
        assert type_ not in lead_of().custom

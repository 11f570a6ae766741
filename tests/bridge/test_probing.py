"""`kommo_probe` finds how an account behaves, whatever it is, and the bridge heeds it."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge import doctor
from bridge.models import Account
from bridge.sync.probes import NAME
from leads.models import Lead
from tests.bridge.sync.mapped import map_every_type, read_back
from tests.conftest import drain, record


def probe(*options):
    out = StringIO()
    call_command("kommo_probe", "--yes", *options, stdout=out)
    lines = out.getvalue().splitlines()
    return {
        line[2:].split("  ")[0].strip(): line[0] for line in lines if line[:2] in ("✓ ", "≠ ", "  ")
    }, out.getvalue()


def traits():
    return Account.objects.get().traits


def test_an_account_as_it_is_expected(account, pipeline, kommo):
    marks, said = probe("--create-fields")
    assert {asked for asked, mark in marks.items() if mark == "≠"} == set()
    assert traits()["text_limit"] == 256 and traits()["textarea_limit"] == 0
    assert (traits()["emoji"], traits()["dates"], traits()["writes_by"]) == ("kept", "midnight", "user")
    [lead] = kommo.leads()
    assert (lead["name"], lead["status_id"]) == (NAME, 143)
    assert "not asked: by hand" in said


def test_a_hostile_one_is_found_out(account, pipeline, kommo):
    kommo.post("options", {"profile": "hostile", "language": "ru"})
    marks, _said = probe("--create-fields")
    assert {asked for asked, mark in marks.items() if mark == "≠"} == {
        "two tags with a complex create",
        "a tag in another case",
        "an emoji in a text",
        "spaces in a text",
        "a box set to no",
        "a link without https://",
        "a filter on a custom field",
        "a filter on `updated_at`",
        "a next page after the last",
        "rows that nobody asked for",
        "a batch with one bad item",
        "an unknown id in a batch",
        "the phone kind MOB",
    }
    assert traits()["value_filter"] == traits()["time_filter"] == "ignored"
    assert (traits()["batches"], traits()["unknown_ids"]) == ("parts", "left_out")
    assert (traits()["emoji"], traits()["empty_box"], traits()["tag_case"]) == ("cut", "empty", "ignored")


@pytest.mark.parametrize(
    ("switch", "asked"),
    [
        ({"dates_at_midnight": False}, "a `date` at noon"),
        ({"text_limit": 0}, "300 characters into `text`"),
        ({"textarea_limit": 1000}, "3000 characters into `textarea`"),
        ({"writes_are_by": "robot"}, "`updated_by` of our own write"),
        ({"quiet_when_unchanged": True}, "a write that changes nothing"),
        ({"ignored_with": "only_deleted"}, "`with=only_deleted`"),
        ({"request_line_limit": 2000}, "250 ids in one request"),
        ({"minor_units": False}, "minor units of prices"),
        ({"plan_has_webhooks": False}, "reading webhooks"),
        ({"token_user_id": 11087201}, "reading webhooks"),
        ({"token_scopes": "crm"}, "reading users"),
        ({"partial_batches": True}, "a batch with one bad item"),
        ({"language": "pt"}, "the language of errors"),
    ],
)
def test_each_way_of_an_account_is_found_out(account, pipeline, kommo, switch, asked):
    map_every_type(pipeline, kommo, account)
    kommo.post("leads", {"name": "Alguém"})
    kommo.post("options", switch)
    marks, _ = probe()
    assert marks[asked] == "≠", marks


def test_what_is_known_is_heeded(account, pipeline, kommo):
    fields = map_every_type(pipeline, kommo, account)
    probe()
    record(pipeline, custom={"text": "sim 👍"})
    drain(account)
    held = next(one for one in kommo.leads() if one["name"] != NAME)
    assert [one["values"] for one in held["custom_fields_values"] if one["field_id"] == fields["text"]] == [
        [{"value": "sim 👍"}]
    ]


def test_its_lead_is_nobodys(account, pipeline, kommo):
    probe()
    read_back(account)
    assert not Lead.objects.exists()


def test_nothing_is_asked_without_a_yes(account, kommo, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda asked: "n")
    before = len(kommo.journal())
    with pytest.raises(CommandError, match="Nothing was asked"):
        call_command("kommo_probe", stdout=StringIO())
    assert len(kommo.journal()) == before


def test_nothing_is_written_to_an_account_in_shadow(account, kommo):
    Account.objects.update(state=Account.State.SHADOW)
    with pytest.raises(CommandError, match="nothing is written"):
        probe()


def test_the_doctor_offers_it_until_it_was_run(account, pipeline, kommo):
    def offers():
        return [one for one in doctor.examine(timezone.now(), ask_kommo=False) if "kommo_probe" in one.message]

    assert len(offers()) == 1 and not offers()[0].remedy
    probe()
    assert offers() == []


def test_the_doctor_names_a_missing_scope_before_the_first_failure(account, kommo):
    kommo.post("options", {"token_scopes": "notifications"})
    account.access_token = kommo.post("tokens", {})["token"]
    account.save()
    found = [one for one in doctor.examine(timezone.now(), ask_kommo=False) if "scopes" in one.message]
    assert [one.remedy for one in found if one.remedy] == [found[0].remedy] and "crm" in found[0].remedy

"""`kommo_probe` finds how an account behaves, whatever it is, and the bridge heeds it."""

from __future__ import annotations

import dataclasses
import time
from io import StringIO
from types import SimpleNamespace

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge import account_probe, doctor
from bridge.account_probe import Probe
from bridge.inbound.probe_lead import NAME
from bridge.models import Account
from kommo_sandbox.options import Options
from leads.models import Lead
from tests.bridge.mapped import map_every_type, read_back
from tests.conftest import drain, record


@pytest.fixture(autouse=True)
def a_clock_that_goes_on(monkeypatch):
    """Where the probe would wait for the next second of Kommo's clock, both clocks go on."""
    with time_machine.travel(timezone.now(), tick=True) as clock:
        monkeypatch.setattr(account_probe, "time", SimpleNamespace(time=time.time, sleep=clock.shift))
        yield


def probe(*options):
    out = StringIO()
    call_command("kommo_probe", "--yes", *options, stdout=out)
    lines = out.getvalue().splitlines()
    return {
        line[2:].split("  ")[0].strip(): line[0] for line in lines if line[:2] in ("✓ ", "≠ ", "  ")
    }, out.getvalue()


def traits():
    return Account.objects.get().traits


@pytest.mark.kommo_default("what is expected is what is documented")
def test_an_account_as_it_is_expected(account, pipeline, kommo):
    marks, output = probe("--create-fields")
    assert {asked for asked, mark in marks.items() if mark == "≠"} == set()
    assert traits()["text_limit"] == 256 and traits()["textarea_limit"] == 0
    assert (traits()["emoji"], traits()["dates"], traits()["writes_by"]) == ("kept", "midnight", "user")
    [lead] = kommo.leads()
    assert (lead["name"], lead["status_id"]) == (NAME, 143)
    assert "not asked: by hand" in output


def test_a_hostile_one_is_found_out(account, pipeline, kommo):
    kommo.post("options", {"profile": "hostile", "language": "ru"})
    marks, _said = probe("--create-fields")
    assert {asked for asked, mark in marks.items() if mark == "≠"} == {
        "two tags with a complex create",
        "a tag in another case",
        "an emoji in a text",
        "spaces in a text",
        "a box set to no",
        "a number",
        "a link without https://",
        "a filter on a custom field",
        "a filter on `updated_at`",
        "a next page after the last",
        "rows that nobody asked for",
        "a batch with one bad item",
        "an unknown id in a batch",
        "the phone kind MOB",
        "a call in another user's name",
    }
    assert traits()["value_filter"] == traits()["time_filter"] == "ignored"
    assert (traits()["batches"], traits()["unknown_ids"]) == ("parts", "left_out")
    assert (traits()["emoji"], traits()["empty_box"], traits()["tag_case"]) == ("cut", "empty", "ignored")


# Switch -> a value that is not the default, and the question that finds it.
FOUND = {
    "dates_at_midnight": (False, "a `date` at noon"),
    "text_limit": (0, "300 characters into `text`"),
    "textarea_limit": (1000, "3000 characters into `textarea`"),
    "cut_text_at_emoji": (True, "an emoji in a text"),
    "tidy_spaces": (True, "spaces in a text"),
    "strict_links": (True, "a link without https://"),
    "unticked_as_empty": (True, "a box set to no"),
    "other_number_forms": (True, "a number"),
    "first_tag_only_on_complex": (True, "two tags with a complex create"),
    "tags_ignore_case": (True, "a tag in another case"),
    "missing_phone_kinds": ("MOB", "the phone kind MOB"),
    "partial_batches": (True, "a batch with one bad item"),
    "skip_unknown_ids": (True, "an unknown id in a batch"),
    "quiet_when_unchanged": (True, "a write that changes nothing"),
    "writes_are_by": ("robot", "`updated_by` of our own write"),
    "ignored_filters": ("custom_fields_values,updated_at", "a filter on a custom field"),
    "ignored_with": ("only_deleted", "`with=only_deleted`"),
    "endless_next": (True, "a next page after the last"),
    "odd_rows": (True, "rows that nobody asked for"),
    "request_line_limit": (2000, "250 ids in one request"),
    "minor_units": (False, "minor units of prices"),
    "plan_has_webhooks": (False, "reading webhooks"),
    "plan_has_bots": (False, "reading Salesbots"),
    "tells_limits": (False, "reading what the plan holds"),
    "token_user_id": (11087201, "rights of our user"),
    "token_scopes": ("crm", "reading users"),
    "context_user": ("refused", "a call in another user's name"),
    "language": ("pt", "the language of errors"),
}
# Found only together with another switch, only by what people do, or told as a refusal of the first call.
NOT_BY_ONE_LEAD = {
    "profile", "account_time_zone", "webhooks_401_for_non_admin", "denied_rights", "duplicate_control",
    "loss_reason_before_move", "enforce_required_statuses", "archived_refuses_writes", "full_account_status",
    "leads_limit", "contacts_limit", "lists_lag_seconds", "hides_leads", "trash_size", "merge_events",
    "merge_events_name_the_lost", "enums_as_object", "name_limit", "escapes_html", "names_end_after",
    "messages_quota", "bots_run", "bots_say_field", "bots_need_open_talk", "bots_shorten_links",
    "refused_settings", "moved_to", "moved_status",
}  # fmt: skip
# What a tester sets the machine by, and how webhooks travel: the probe hears none.
MACHINE = {
    "requests_per_second", "retry_after", "block_after", "block_seconds", "latency", "latency_jitter",
    "latency_before", "strict_tokens",
    "access_token_seconds", "strict_rotation", "decimals_in_hooks", "drop_webhooks", "duplicate_webhooks",
    "reorder_webhooks", "no_status_hooks", "webhook_delay", "webhook_group_size", "webhook_time_scale",
    "webhook_timeout", "webhook_disable_after", "seed", "journal_limit", "card_link",
}  # fmt: skip


def test_every_switch_is_found_or_is_known_why_not():
    names = {field.name for field in dataclasses.fields(Options)}
    assert names == FOUND.keys() | NOT_BY_ONE_LEAD | MACHINE
    assert not FOUND.keys() & (NOT_BY_ONE_LEAD | MACHINE)


@pytest.mark.parametrize("switch", FOUND)
def test_each_way_of_an_account_is_found_out(account, pipeline, kommo, switch):
    value, asked = FOUND[switch]
    map_every_type(pipeline, kommo, account)
    kommo.post("leads", {"name": "Alguém"})
    kommo.post("options", {"profile": "default", switch: value})
    if switch == "token_user_id":
        Account.objects.update(kommo_user_id=value)
    marks, _ = probe()
    assert marks[asked] == "≠", marks


def test_a_refused_right_and_refused_news_are_found_with_their_names(account, pipeline, kommo):
    kommo.post("options", {"token_user_id": 11087201, "denied_rights": "leads.edit"})
    Account.objects.update(kommo_user_id=11087201)
    _, output = probe()
    assert "not administrator, leads.edit" in output


def test_nothing_personal_is_said(account, pipeline, kommo):
    kommo.post("leads", {"name": "Segredo Souza", "phone": "+5581977776666", "email": "segredo@example.com"})
    Account.objects.update(name="Segredo Solar")
    kommo.fault("400", path="/api/v4/leads", method="PATCH", count=2)
    _, output = probe("--create-fields")
    for secret in ("Segredo", "77776666", "segredo@", "sandbox-token", "127.0.0.1", "Integração", "Ana"):
        assert secret not in output


@pytest.mark.parametrize("after", ["_make_lead", "_tags", "_batches", "_nothing"])
def test_a_run_that_is_killed_leaves_nothing_open_and_the_next_one_tidies_up(
    account, pipeline, kommo, monkeypatch, after
):
    """Killed for good: not even the end of the run is reached."""
    whole, close = getattr(Probe, after), Probe._close

    def killed(self):
        whole(self)
        # By then somebody has opened it, and its name is that of the middle of the run.
        self.client.update_leads([{"id": self.lead_id, "name": f"{NAME}.", "status_id": OPEN}])
        monkeypatch.setattr(Probe, "_close", lambda self, lead_id: None)
        raise KeyboardInterrupt

    OPEN = next(stage.kommo_status_id for stage in pipeline.stages.all() if stage.kommo_status_id)
    monkeypatch.setattr(Probe, after, killed)
    with pytest.raises(KeyboardInterrupt):
        probe()
    assert [lead["status_id"] for lead in kommo.leads()] == [OPEN]
    monkeypatch.setattr(Probe, after, whole)
    monkeypatch.setattr(Probe, "_close", close)
    probe()
    assert {(lead["name"], lead["status_id"]) for lead in kommo.leads()} == {(NAME, 143)}


def test_a_run_that_is_interrupted_closes_its_lead(account, pipeline, kommo, monkeypatch):
    def interrupted(self):
        self.client.update_leads([{"id": self.lead_id, "name": f"{NAME}."}])
        raise KeyboardInterrupt

    monkeypatch.setattr(Probe, "_texts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probe()
    assert [(lead["name"], lead["status_id"]) for lead in kommo.leads()] == [(NAME, 143)]


def test_a_lead_of_that_name_that_somebody_made_is_left_alone(account, pipeline, kommo):
    theirs = kommo.post("leads", {"name": f"{NAME}s of ours"})
    probe()
    assert kommo.lead(theirs["id"])["status_id"] == theirs["status_id"]


def test_what_is_known_is_heeded(account, pipeline, kommo):
    kommo.post("options", {"profile": "default"})
    fields = map_every_type(pipeline, kommo, account)
    probe()
    record(pipeline, custom={"text": "sim 👍"})
    drain(account)
    other_lead = next(lead for lead in kommo.leads() if lead["name"] != NAME)
    assert [field["values"] for field in other_lead["custom_fields_values"] if field["field_id"] == fields["text"]] == [
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
        return [
            finding for finding in doctor.examine(timezone.now(), ask_kommo=False) if "kommo_probe" in finding.message
        ]

    assert len(offers()) == 1 and not offers()[0].remedy
    probe()
    assert offers() == []


def test_the_doctor_names_a_missing_scope_before_the_first_failure(account, kommo):
    kommo.post("options", {"token_scopes": "notifications"})
    account.access_token = kommo.post("tokens", {})["token"]
    account.save()
    found = [finding for finding in doctor.examine(timezone.now(), ask_kommo=False) if "scopes" in finding.message]
    assert [finding.remedy for finding in found if finding.remedy] == [found[0].remedy] and "crm" in found[0].remedy

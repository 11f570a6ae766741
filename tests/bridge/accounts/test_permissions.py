"""What we may not do in an account is named before the first call is refused, each with its remedy."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge.accounts import permissions
from bridge.accounts.connection import client_for
from bridge.doctor import examine
from bridge.kommo.replies import UserReply
from bridge.models import Trouble

SELLER = 11087201
ALL_SCOPES = "crm,list_external_messages,send_external_messages"


@pytest.fixture
def seen(account, kommo):
    """Take a look with a token of some user and scopes; return what doctor says of rights."""

    def look(**options):
        kommo.post("options", options)
        user_id = options.get("token_user_id") or None
        account.access_token = kommo.post("tokens", {"user_id": user_id})["token"]
        account.kommo_user_id = user_id or account.kommo_user_id
        account.save()
        permissions.look(account, client_for(account), now=timezone.now())
        account.refresh_from_db()
        return [finding for finding in examine(timezone.now(), ask_kommo=False) if finding.check == "rights"]

    return look


def test_an_administrators_token_with_every_scope_lacks_nothing(seen):
    assert seen() == []


@pytest.mark.parametrize("scopes", ["notifications", "list_external_messages,send_external_messages"])
def test_a_token_without_crm_is_of_no_use(seen, scopes):
    [found] = [finding for finding in seen(token_scopes=scopes) if finding.remedy]
    assert "“crm”" in found.message and "crm" in found.remedy


def test_whoever_connects_with_such_a_token_is_told_of_the_scope(connect, kommo, settings):
    kommo.post("options", {"token_scopes": "notifications"})
    settings.KOMMO_LONG_LIVED_TOKEN = kommo.post("tokens")["token"]
    with pytest.raises(CommandError, match="give the integration the scope “crm”"):
        call_command("kommo_connect", stdout=StringIO())


@pytest.mark.parametrize("missing", ["list_external_messages", "send_external_messages"])
def test_a_scope_that_few_need_is_named_and_nothing_is_wrong(seen, missing):
    scopes = ",".join(scope for scope in ALL_SCOPES.split(",") if scope != missing)
    [found] = seen(token_scopes=scopes)
    assert missing in found.message and "make a new token" in found.message
    assert found.is_well


@pytest.mark.parametrize("token", ["opaque", "a.b.c", ""])
def test_a_token_that_tells_nothing_lacks_nothing(account, token):
    account.access_token = token
    assert permissions.lacks(account) == []


def test_a_user_who_is_no_administrator_is_told_of_webhooks_before_they_are_refused(seen, account):
    account.webhook_destination = "https://bridge.example/webhooks/kommo/x/"
    account.save()
    [found] = seen(token_user_id=SELLER)
    assert "no administrator" in found.message and "webhooks" in found.message and found.remedy
    # Once it is refused that is told, and nothing twice.
    Trouble.objects.create(
        account=account, subject="webhooks", reason="x", refused=True, since=timezone.now(), next_at=timezone.now()
    )
    assert [finding.remedy for finding in seen(token_user_id=SELLER)] == [""]


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        ("leads.add", "create leads"),
        ("leads.edit", "change leads"),
        ("leads.view", "see every lead"),
        ("contacts.view", "see every contact"),
        ("contacts.add", "create contacts"),
        ("contacts.edit", "change contacts"),
    ],
)
def test_a_right_the_user_does_not_have_is_named(seen, right, sentence):
    found = seen(token_user_id=SELLER, denied_rights=right)
    [lack] = [finding for finding in found if "may not" in finding.message]
    assert sentence in lack.message and "administrator" in lack.remedy


def test_a_plan_without_salesbots_is_named_before_the_first_follow_up(seen, settings):
    assert seen(plan_has_bots=False) == []
    settings.SALESBOT_ID = 565
    [found] = seen(plan_has_bots=False)
    assert "Salesbots" in found.message and "Advanced" in found.remedy
    assert seen(plan_has_bots=True) == []


def test_a_user_that_cannot_be_read_is_not_known_and_nothing_rests(seen, kommo):
    kommo.fault("404", path="/api/v4/users")
    assert seen() == []
    assert not Trouble.objects.exists()


@pytest.mark.parametrize("rights", [None, [], "x", {"leads": None}, {"leads": [], "is_admin": "yes"}, {"leads": {}}])
def test_rights_of_any_other_shape_deny_nothing(rights):
    reply = UserReply.read({"id": 1, "rights": rights})
    assert (reply.is_admin, reply.denied) == (None, ())


def test_whoever_connects_is_told(connect, kommo):
    account = connect()
    kommo.post("options", {"token_user_id": SELLER, "denied_rights": "leads.add"})
    out = StringIO()
    call_command("kommo_connect", stdout=out)
    assert "may not create leads" in out.getvalue()
    account.refresh_from_db()
    assert account.traits["permissions"]["denied"] == ["leads.add"]

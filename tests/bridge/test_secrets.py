"""Secrets at rest and in passing: encrypted, rotated, and in no log, repr, error or page."""

from __future__ import annotations

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from bridge.accounts.connection import AccountToken, client_for
from bridge.channels import managing_channels as channels
from bridge.encryption import PREFIX
from bridge.errors import BridgeError
from bridge.intakes import managing_intakes as intakes
from bridge.kommo import oauth_tokens, token_expiry
from bridge.models import Account, Channel, Delivery, Intake, SecondFactor
from leads import optout, pseudonyms
from leads.models import Event, Lead
from tests.conftest import drain, record

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRETS = {
    "access_token": "top-secret-access",
    "refresh_token": "top-secret-refresh",
    "client_secret": "top-secret-client",
    "webhook_secret": "top-secret-webhook",
}


def stored():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(SECRETS)} FROM bridge_account")
        return list(cursor.fetchone())


def jwt(**claims):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.sig"


@pytest.fixture
def secretive(account):
    for name, secret in SECRETS.items():
        setattr(account, name, secret)
    account.save()
    return account


def test_secrets_are_encrypted_in_the_database(secretive):
    for text in stored():
        assert text.startswith(PREFIX)
        assert "top-secret" not in text
    assert Account.objects.get().access_token == SECRETS["access_token"]
    with pytest.raises(FieldError):
        Account.objects.filter(access_token="x").exists()


def test_keys_rotate_new_one_in_front_reencrypt_old_one_dropped(secretive, settings):
    with override_settings(FIELD_ENCRYPTION_KEYS=[OLD, *settings.FIELD_ENCRYPTION_KEYS]):
        # Every secret there is, the key of pseudonyms too.
        call_command("reencrypt", stdout=StringIO())
    before = stored()
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW, OLD]):
        output = StringIO()
        call_command("reencrypt", stdout=output)
        assert "encrypted with the newest key" in output.getvalue()
    assert not set(before) & set(stored())
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]):
        assert Account.objects.get().client_secret == SECRETS["client_secret"]
    with override_settings(FIELD_ENCRYPTION_KEYS=[OLD]), pytest.raises(ImproperlyConfigured, match="Put the key back"):
        Account.objects.get()
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]):
        call_command("reencrypt", stdout=StringIO())
        Account.objects.all().delete()


@pytest.fixture
def locked_in(secretive, pipeline, settings):
    """Everything that is kept under a key, and another key than the one it was encrypted with."""
    ana = User.objects.create_user("ana", password="x")
    SecondFactor.objects.create(user=ana, confirmed=True)
    intakes.establish("evolution", "whats", pipeline=pipeline, settings={"jwt_key": "top-secret-jwt"})
    intakes.establish("zapi", "zap", pipeline=pipeline)
    channels.establish("zapi", "out", pipeline=pipeline, settings={"instance": "1", "api_key": "top-secret-api"})
    channels.establish("log", "only-logged", pipeline=pipeline)
    optout.opt_out(record(pipeline).lead, by=Lead.Actor.STAFF, reason="", now=timezone.now())
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    pseudonyms.forget_key()
    yield secretive
    pseudonyms.forget_key()


def reencrypt(*options):
    output = StringIO()
    call_command("reencrypt", *options, stdout=output)
    return output.getvalue()


def test_secrets_whose_key_is_lost_are_named_and_nothing_is_done_to_them(locked_in):
    before, output = stored(), StringIO()

    with pytest.raises(CommandError, match=r"6 row\(s\) hold a secret .* --give-up"):
        call_command("reencrypt", "--check", stdout=output)

    assert stored() == before
    for named in ("whats (secret, settings)", "zap (secret)", "out (settings)", "ana (key)", "access_token"):
        assert named in output.getvalue()
    assert "only-logged" not in output.getvalue()


def test_given_up_they_are_typed_anew_and_nothing_is_less_guarded_by_that(locked_in, pipeline, client):
    paths = {intake.slug: intake.secret_hash for intake in Intake.objects.defer("secret", "settings")}

    assert "6 row(s) given up." in reencrypt("--give-up")

    assert reencrypt("--check") == "Every stored secret can be read.\n"
    assert "encrypted with the newest key" in reencrypt()
    account = Account.objects.get()
    assert (account.access_token, account.client_secret) == ("", "")
    # Without its key it would take calls that nobody signed.
    assert {intake.slug: intake.is_active for intake in Intake.objects.all()} == {"whats": False, "zap": True}
    assert {intake.slug: intake.secret_hash for intake in Intake.objects.all()} == paths
    assert {channel.slug: channel.is_active for channel in Channel.objects.all()} == {"out": False, "only-logged": True}
    assert not SecondFactor.objects.exists()
    client.force_login(User.objects.create_superuser("ada", "a@example.com", "x"))
    assert client.get(reverse("admin:bridge_account_change", args=[account.pk])).status_code == 200
    intakes.establish("evolution", "whats", settings={"jwt_key": "new"})
    assert Intake.objects.get(slug="whats").is_active


def test_who_opted_out_is_known_by_the_new_key_too(locked_in, pipeline):
    reencrypt("--give-up")
    Lead.objects.all().delete()

    assert record(pipeline).lead.opted_out_at


def test_what_was_written_around_the_application_is_not_taken_for_a_secret(secretive):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bridge_account SET access_token = 'plain'")
    with pytest.raises(ImproperlyConfigured, match="not encrypted"):
        Account.objects.get()


@pytest.mark.parametrize("mode", ["401", "403_html", "500", "drop_after", "invalid_json", "400"])
def test_no_secret_is_in_a_log_a_repr_an_error_a_row_or_a_page(
    secretive, pipeline, kommo, client, caplog, mode, capsys
):
    caplog.set_level(logging.DEBUG)
    kommo.fault(mode, path="/api/v4")
    representations = [repr(secretive), str(secretive), repr(client_for(secretive)), repr(AccountToken(secretive))]
    for ask in (client_for(secretive).account, client_for(secretive).users):
        with pytest.raises(BridgeError) as error:
            ask()
        representations += [str(error.value), repr(error.value), repr(vars(error.value))]
    record(pipeline, name="Maria")
    drain(secretive)
    rows = [list(model.objects.values()) for model in (Delivery, Event)]
    representations += [repr(rows), str(Account.objects.values_list("state_reason", flat=True)), caplog.text]
    client.force_login(User.objects.create_superuser("ada", "a@example.com", "x"))
    for page in ("bridge_account_changelist", "index"):
        representations.append(client.get(reverse(f"admin:{page}")).content.decode())
    representations.append(client.get(reverse("admin:bridge_account_change", args=[secretive.pk])).content.decode())
    out, err = capsys.readouterr()

    assert [text for text in [*representations, out, err] if "top-secret" in text] == []


def test_the_end_of_a_token_is_read_from_it_wherever_it_comes_from(account):
    ends_at = datetime(2031, 1, 1, tzinfo=UTC)
    account.access_token = jwt(exp=int(ends_at.timestamp()))
    account.save(update_fields=["access_token"])
    account.refresh_from_db()
    assert account.token_expires_at == ends_at

    account.access_token = "opaque"
    account.save()
    assert account.token_expires_at is None


def test_a_redirect_is_not_followed_and_carries_no_token(account, kommo):
    kommo.fault("302", path="/api/v4/users", location="/api/v4/account")
    before = len(kommo.journal())
    with pytest.raises(BridgeError):
        client_for(account).users()
    assert [call["path"] for call in kommo.journal()[before:]] == ["/api/v4/users"]

    kommo.fault("302", path="/oauth2/access_token", location="/api/v4/account")
    with pytest.raises(BridgeError):
        oauth_tokens.refresh(account.base_url, client_id="a", client_secret="b", redirect_uri="c", refresh_token="d")
    assert kommo.journal()[-1]["path"] == "/oauth2/access_token"


def test_a_token_that_ends_is_warned_of(account):
    now = timezone.now()
    for days, threshold in ((31, None), (30, 30), (7, 7), (1, 1)):
        found = token_expiry.warning(now + timedelta(days=days), now=now)
        assert found == (timedelta(days=threshold) if threshold else None)

"""Connecting by OAuth against the sandbox, which rotates tokens as Kommo does."""

from __future__ import annotations

import hashlib
import hmac
import socket
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from bridge import roles, tasks
from bridge.accounts import connection, work_leases
from bridge.admin.confirm import PASSWORD as CONFIRM
from bridge.errors import KommoAccessError
from bridge.models import Account, Card
from kommo_sandbox.server import SandboxServer
from kommo_sandbox.staff import Kommo
from kommo_sandbox.tokens import CLIENT_ID, CLIENT_SECRET
from tests.bridge.admin.people import PASSWORD, client_of
from tests.conftest import drain, record, rested


@pytest.fixture
def integration(account):
    account.client_id, account.client_secret = CLIENT_ID, CLIENT_SECRET
    account.redirect_uri = "http://testserver/oauth/kommo/callback/"
    account.access_token = ""
    account.kommo_account_id = 30000001
    account.save()
    return account


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("ada", "a@example.com", "x"))
    return client


def button(account):
    return reverse("admin:bridge_account_connect_kommo", args=[account.pk])


def go_to_kommo(staff, account):
    """Press the button; return where Kommo's consent page sends the browser back to."""
    answer = staff.post(button(account))
    assert answer.status_code == 302
    there = requests.get(answer.url, allow_redirects=False, timeout=5)
    return urlsplit(there.headers["Location"])


def come_back(staff, way):
    return staff.get(f"{way.path}?{way.query}")


def test_the_button_leads_to_consent_and_back_with_tokens(staff, integration, pipeline, kommo):
    come_back(staff, go_to_kommo(staff, integration))

    integration.refresh_from_db()
    assert integration.access_token and integration.refresh_token
    record(pipeline, name="Maria")
    drain(integration)
    assert [lead["name"] for lead in kommo.leads()] == ["Maria"]


def test_an_answer_with_another_state_is_refused(staff, integration):
    way = go_to_kommo(staff, integration)
    assert (
        staff.get(way.path, {"code": "x", "state": "somebody else's", "referer": "acme.kommo.com"}).status_code == 403
    )
    integration.refresh_from_db()
    assert integration.access_token == ""


def test_a_host_that_is_not_kommos_gets_no_code(staff, integration):
    way = go_to_kommo(staff, integration)
    query = {name: values[0] for name, values in parse_qs(way.query).items()} | {"referer": "evil.example"}
    answer = staff.get(way.path, query, follow=True)
    assert "not a host of Kommo" in answer.content.decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST", "http://127.0.0.1"])
def test_no_other_port_of_this_machine_gets_a_code(staff, integration, host):
    before, way = integration.base_url, go_to_kommo(staff, integration)
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        referer = f"{host}:{other.getsockname()[1]}"
        query = {name: values[0] for name, values in parse_qs(way.query).items()} | {"referer": referer}
        staff.get(way.path, query)

        with pytest.raises(BlockingIOError):
            other.accept()
    integration.refresh_from_db()
    assert (integration.base_url, integration.access_token) == (before, "")


def test_only_staff_who_may_change_accounts_connect(client, integration):
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.post(button(integration)).status_code == 403
    assert client.get("/oauth/kommo/callback/?code=x&state=y").status_code == 302


def test_consent_for_another_account_is_refused_and_changes_nothing(staff, integration):
    integration.kommo_account_id = 40000002
    integration.save()

    come_back(staff, go_to_kommo(staff, integration))

    before = integration.base_url
    integration.refresh_from_db()
    assert (integration.base_url, integration.access_token, integration.kommo_account_id) == (before, "", 40000002)


def test_connecting_asks_for_the_password_unless_it_was_given_just_now(integration):
    boss = client_of(roles.ADMINISTRATOR, fresh=False)

    asked = boss.post(button(integration))

    assert "Please confirm" in asked.content.decode()
    assert boss.post(button(integration), {CONFIRM: PASSWORD}).status_code == 302


@pytest.fixture
def connected(staff, integration):
    come_back(staff, go_to_kommo(staff, integration))
    integration.refresh_from_db()
    return integration


def test_an_expired_token_is_refreshed_and_the_write_goes_through(connected, pipeline, kommo):
    before = connected.access_token
    kommo.post("tokens/expire")
    record(pipeline, name="Maria")
    drain(connected)
    connected.refresh_from_db()
    assert connected.access_token != before
    assert [lead["name"] for lead in kommo.leads()] == ["Maria"]


OLD_TOKEN_ENDS = pytest.mark.kommo_default("where a used refresh token ends at once, a lost answer is a lost account")


@OLD_TOKEN_ENDS
def test_a_lost_answer_to_a_refresh_is_asked_for_once_more(connected, pipeline, kommo):
    kommo.post("tokens/expire")
    kommo.fault("drop_after", count=1, path="/oauth2/access_token")
    record(pipeline, name="Maria")
    drain(connected)
    assert [lead["name"] for lead in kommo.leads()] == ["Maria"]


@OLD_TOKEN_ENDS
def test_a_pair_that_was_lost_on_its_way_is_had_again_with_the_token_before_it(connected, pipeline, kommo):
    first = connected.refresh_token
    kommo.post("tokens/expire")
    connection.AccountToken(connected).refresh(connected.access_token)
    connected.refresh_from_db()
    assert connected.previous_refresh_token == first
    # What is stored is good for nothing: a backup was restored, say.
    connected.refresh_token = "lost"
    connected.save()
    kommo.post("tokens/expire")
    record(pipeline, name="Maria")
    drain(connected)
    assert [lead["name"] for lead in kommo.leads()] == ["Maria"]


def test_a_new_pair_is_stored_before_it_is_used(connected, pipeline, kommo, monkeypatch):
    stored = []
    original = connection.oauth_tokens.refresh

    def refresh(*arguments, **more):
        pair = original(*arguments, **more)
        stored.append(pair)
        return pair

    monkeypatch.setattr(connection.oauth_tokens, "refresh", refresh)
    kommo.post("tokens/expire")

    used = connection.AccountToken(connected).refresh(connected.access_token)

    connected.refresh_from_db()
    assert used == connected.access_token == stored[0].access_token
    # Nothing was asked with it yet.
    assert kommo.journal()[-1]["path"] == "/oauth2/access_token"


def test_who_waits_for_anothers_refresh_gets_its_token(connected, kommo):
    """The lock is no transaction: while one process asks Kommo, the account's row stays free."""
    rejected = connected.access_token
    with work_leases.alone(f"token:{connected.pk}", now=timezone.now(), longest=timedelta(minutes=1)) as mine:
        assert mine
        Account.objects.filter(pk=connected.pk).update(access_token="from another process")
        assert connection.AccountToken(connected).refresh(rejected) == "from another process"


def test_two_processes_refresh_once(connected, kommo):
    each_first, other = connection.AccountToken(connected), connection.AccountToken(connected)
    rejected = connected.access_token
    first = each_first.refresh(rejected)
    assert first and other.refresh(rejected) == first
    exchanges = [entry for entry in kommo.journal() if entry["path"] == "/oauth2/access_token"]
    # One for the code, one for the refresh.
    assert len(exchanges) == 2


def test_a_refused_refresh_pauses_the_account_and_says_what_to_do(connected, pipeline, kommo):
    kommo.post("tokens/revoke")
    record(pipeline, name="Maria")
    drain(connected)
    connected.refresh_from_db()
    assert (connected.state, connected.paused_by) == (Account.State.PAUSED, Account.PausedBy.KOMMO)
    assert connected.state_reason
    assert connected.cards.get().state in ("due", "retrying")


def names_at(new_home, account):
    """Return the names of the leads at an address, once what waited for it was sent."""
    # The imitation there has no field of ours yet, which an account that moved has.
    Account.objects.update(bridge_id_field_id=None)
    drain(rested(account))
    return [lead["name"] for lead in Kommo(new_home.url).leads()]


def test_an_account_that_moved_is_followed_to_its_new_address(connected, pipeline, kommo, sandbox_server):
    with SandboxServer() as new_home:
        # The same tokens are known at both addresses; the old one only tells where the account lives now.
        new_home.sandbox.tokens._refresh.update(sandbox_server.sandbox.tokens._refresh)
        kommo.post("options", {"moved_to": new_home.url.removeprefix("http://")})
        record(pipeline, name="Maria")
        drain(connected)
        connected.refresh_from_db()
        assert connected.base_url == new_home.url
        assert connected.state == Account.State.ACTIVE
        assert connection.client_for(connected).account().id == 30000001
        # Nothing was lost on the way: the card waits, and arrives at the new address.
        assert connected.cards.get().state == "retrying"
        assert names_at(new_home, connected) == ["Maria"]


@pytest.mark.parametrize("status", [301, 302, 404])
def test_an_old_address_that_points_away_pauses_the_account_until_the_new_one_is_found(
    connected, pipeline, kommo, sandbox_server, status
):
    with SandboxServer(account_id=30000001) as new_home:
        for known in ("_refresh", "_access"):
            getattr(new_home.sandbox.tokens, known).update(getattr(sandbox_server.sandbox.tokens, known))
        kommo.post("options", {"moved_to": new_home.url.removeprefix("http://"), "moved_status": status})
        record(pipeline, name="Maria")
        drain(connected)
        connected.refresh_from_db()
        assert connected.state == Account.State.PAUSED
        assert str(status) in connected.state_reason
        assert connected.cards.get().state in Card.PENDING

        Account.objects.update(paused_until=timezone.now())
        tasks.knock(connected.pk)

        connected.refresh_from_db()
        assert (connected.base_url, connected.state) == (new_home.url, Account.State.ACTIVE)
        assert names_at(new_home, connected) == ["Maria"]
        assert connected.cards.get().state == Card.State.IN_SYNC


def test_an_uninstalled_integration_pauses_its_account(client, integration):
    def call(signature):
        query = {"client_uuid": CLIENT_ID, "account_id": "30000001", "signature": signature}
        return client.get("/oauth/kommo/uninstalled/", query).status_code

    assert call("0" * 64) == 404
    # Anybody may call, with what no database takes too.
    assert client.get("/oauth/kommo/uninstalled/", {"client_uuid": f"{CLIENT_ID}\0"}).status_code == 404
    integration.refresh_from_db()
    assert integration.state == Account.State.ACTIVE

    good = hmac.new(CLIENT_SECRET.encode(), f"{CLIENT_ID}|30000001".encode(), hashlib.sha256).hexdigest()
    assert call(good) == 200
    integration.refresh_from_db()
    assert integration.state == Account.State.PAUSED
    assert "removed in Kommo" in integration.state_reason


@pytest.mark.parametrize(("mode", "state"), [("429", "active"), ("500", "active"), ("504", "active")])
def test_a_token_endpoint_that_is_busy_or_broken_says_nothing_of_the_token(connected, pipeline, kommo, mode, state):
    kommo.post("tokens/expire")
    kommo.fault(mode, path="/oauth2/access_token", retry_after=5)
    record(pipeline, name="Maria")
    drain(connected)
    connected.refresh_from_db()
    assert connected.state == state
    assert connected.retry_at > timezone.now()
    kommo.delete("faults")
    drain(rested(connected))
    assert [lead["name"] for lead in kommo.leads()] == ["Maria"]


def test_an_address_that_is_blocked_at_the_token_endpoint_is_blocked_and_no_dead_token(connected, pipeline, kommo):
    kommo.post("tokens/expire")
    kommo.fault("403_html", path="/oauth2/access_token")
    record(pipeline, name="Maria")
    before = len(kommo.journal())
    account, client = connection.open_account(connected.pk)
    with pytest.raises(KommoAccessError) as refused:
        client.account()
    account.refresh_from_db()
    assert refused.value.is_block
    assert (account.state, "blocks this address" in account.state_reason) == ("paused", True)
    # No other token is tried on a door that is shut to all, and no other address is asked for.
    assert [call["path"] for call in kommo.journal()[before:]] == ["/api/v4/account", "/oauth2/access_token"]

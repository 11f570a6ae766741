"""Ways to Kommo that differ between accounts: filters that are ignored, addresses that change, consent, long lists."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import account_state
from bridge.kommo import oauth_tokens
from bridge.kommo.replies import LeadReply
from bridge.kommo.reply_values import whole
from bridge.models import Account
from kommo_sandbox.server import SandboxServer
from tests.bridge.mapped import read_back
from tests.conftest import drain, lead_of, record


def page_reads(kommo, since):
    return [call for call in kommo.journal()[since:] if call["method"] == "GET" and call["path"] == "/api/v4/leads"]


def test_a_poll_whose_filter_is_ignored_reads_the_newest_and_no_further(account, pipeline, kommo):
    record(pipeline, name="Maria")
    drain(account)
    read_back(account)
    kommo.post("populate", {"leads": 1500})
    old = int((timezone.now() - timedelta(days=30)).timestamp())
    for lead in kommo.leads():
        if lead["name"].startswith("Lead ") and lead["id"] % 25 == 0:
            kommo.post(f"leads/{lead['id']}/edit", {"updated_at": old})
    kommo.post("options", {"ignored_filters": "updated_at"})
    kommo_id = lead_of().card.kommo_lead_id
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Maria Souza"})
    read_back(account)
    assert lead_of().name == "Maria Souza"
    account.refresh_from_db()
    assert account.traits["time_filter"] == "ignored"
    # What is older than the last poll is not walked through.
    Account.objects.update(polled_until=timezone.now() + timedelta(seconds=40))
    before = len(kommo.journal())
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Maria Lima"})
    read_back(account)
    assert len(page_reads(kommo, before)) <= 8


@pytest.mark.parametrize("status", [401, 404])
def test_a_renamed_account_is_found_again_with_a_long_lived_token(account, pipeline, kommo, status):
    with SandboxServer(account_id=30000001) as renamed:
        kommo.post("options", {"moved_to": renamed.url.removeprefix("http://"), "moved_status": status})
        record(pipeline, name="Maria")
        drain(account)
        account.refresh_from_db()
        assert account.state == Account.State.PAUSED
        Account.objects.update(paused_until=timezone.now())
        assert account.pk in account_state.at_closed_doors(now=timezone.now())
        tasks.knock(account.pk)
        account.refresh_from_db()
        assert (account.base_url, account.state) == (renamed.url, Account.State.ACTIVE)


def test_another_account_at_the_new_address_is_not_ours(account, pipeline, kommo):
    with SandboxServer(account_id=7) as other:
        kommo.post("options", {"moved_to": other.url.removeprefix("http://"), "moved_status": 404})
        before = account.base_url
        from bridge.accounts.renamed_account import follow_renaming

        assert follow_renaming(account).base_url == before


@pytest.mark.parametrize(
    ("base_url", "page"),
    [
        ("https://acme.kommo.com", "https://www.kommo.com/oauth?"),
        ("https://acme.amocrm.ru", "https://www.amocrm.ru/oauth?"),
        ("https://acme.amocrm.com", "https://www.amocrm.com/oauth?"),
    ],
)
def test_consent_is_given_on_the_brands_own_page_and_comes_back_to_the_window_that_asked(base_url, page):
    url = oauth_tokens.consent_url(base_url, client_id="x", redirect_uri="https://b.example/cb", state="s")
    assert url.startswith(page)
    assert "mode=post_message" in url


@pytest.mark.parametrize(
    ("price", "read"), [("100.50", 100), ("1 000,50", 1000), (99.99, 99), ("", 0), (None, 0), ("12", 12), (7, 7)]
)
def test_prices_are_read_in_minor_units_and_as_texts(price, read):
    assert whole(price) == read


@pytest.mark.parametrize("price", ["muito", "NaN", "Infinity", [], {}])
def test_a_price_that_is_no_number_makes_its_lead_unreadable_and_no_other(price):
    reply = LeadReply.read({"id": 1, "price": price or "x", "updated_at": 5})
    assert (reply.id, bool(reply.unreadable)) == (1, True)

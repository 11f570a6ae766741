"""The last step of the wizard says what was found in Kommo, and the list of cards what they wait for."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bridge import tasks
from bridge.models import Account
from tests.conftest import record

pytestmark = pytest.mark.django_db


def test_what_was_found_and_that_nothing_would_be_written(admin_client, account, kommo):
    Account.objects.update(compared_at=None)
    address = reverse("setup-trial")
    assert "is being read for the first time" in admin_client.get(address, headers={"accept-language": "en"}).text

    kommo.post("leads", {"name": "Ana", "phone": "+5581977770000"})
    tasks.compare_first(account.pk)

    page = admin_client.get(address, headers={"accept-language": "en"}).text
    assert "1 cards, taken over as they are" in page
    assert "What the bridge would write now: 0 new cards, 0 changes" in page


def test_a_card_that_waits_for_the_first_comparison_says_so_in_the_list(admin_client, account, pipeline, kommo):
    Account.objects.update(compared_at=None)
    record(pipeline)
    page = admin_client.get(reverse("admin:bridge_card_changelist"), headers={"accept-language": "en"}).text
    assert "the first comparison with Kommo is not through" in page

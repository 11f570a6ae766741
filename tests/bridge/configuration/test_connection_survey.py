"""What connecting would do is told exactly, and what staff chose is what is done."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.accounts.connection import client_for
from bridge.configuration import taking_in_accounts
from bridge.configuration.connection_survey import Choice, Fit, apply, survey
from bridge.errors import KommoAccessError
from bridge.models import Account, Catalogue
from leads.models import Stage


@pytest.fixture
def connected(pipeline, kommo, settings):
    kommo.post("options", {"requests_per_second": 1000})
    settings.KOMMO_BASE_URL = kommo.url
    account = Account(requests_per_second=50)
    taking_in_accounts.with_token(account, base_url=kommo.url, token="sandbox-token", now=timezone.now())
    return account


def look(account):
    return survey(account, Catalogue.objects.get(account=account))


def fits(account):
    return {place.ours: place.fit for place in look(account).places()}


def test_names_are_found_and_only_what_is_not_there_is_missing(connected):
    seen = fits(connected)
    assert seen["QUALIFICADO"] is Fit.FOUND
    assert {name for name, fit in seen.items() if fit is Fit.MISSING} == {"DESQUALIFICADO", "Bridge ID"}


def test_only_what_was_chosen_is_created(connected, kommo):
    place = next(each_place for each_place in look(connected).places() if each_place.ours == "DESQUALIFICADO")

    apply(connected, client_for(connected), Choice({}, {place.key}), now=timezone.now())

    seen = fits(Account.objects.get(pk=connected.pk))
    assert seen["DESQUALIFICADO"] is Fit.BOUND
    assert seen["Bridge ID"] is Fit.MISSING


def test_two_stages_may_change_places(connected, pipeline):
    apply(connected, client_for(connected), Choice(), now=timezone.now())
    new, qualified = (pipeline.stages.get(key=key) for key in ("new", "qualified"))
    swapped = {f"stage:{new.pk}": qualified.kommo_status_id, f"stage:{qualified.pk}": new.kommo_status_id}

    apply(connected, client_for(connected), Choice(swapped), now=timezone.now())

    assert Stage.objects.get(pk=new.pk).kommo_status_id == qualified.kommo_status_id
    assert Stage.objects.get(pk=qualified.pk).kommo_status_id == new.kommo_status_id


def test_a_refused_token_leaves_no_account_behind(pipeline, kommo, settings):
    settings.KOMMO_BASE_URL = kommo.url
    kommo.post("options", {"strict_tokens": True})

    with pytest.raises(KommoAccessError):
        taking_in_accounts.with_token(Account(), base_url=kommo.url, token="wrong", now=timezone.now())

    assert not Account.objects.exists()

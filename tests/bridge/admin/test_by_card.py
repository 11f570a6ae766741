"""A card in Kommo leads to its lead's page, and to nothing for numbers that are none here."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from bridge.models import Card
from tests.bridge.admin.people import client_of


def address(number):
    return f"/admin/leads/card/{number}/"


def test_a_card_leads_to_its_lead(full, account):
    number = Card.objects.get(lead=full).kommo_lead_id
    answer = client_of("reader").get(address(number))
    assert answer.url == reverse("admin:leads_lead_change", args=[full.pk])


@pytest.mark.parametrize("number", [1, 2**63, 10**40])
def test_a_number_that_no_card_has_leads_nowhere(staff, account, number):
    assert staff.get(address(number)).status_code == 404


def test_whoever_may_not_see_leads_learns_of_none(full):
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True), "django.contrib.auth.backends.ModelBackend")
    assert client.get(address(Card.objects.get(lead=full).kommo_lead_id)).status_code == 403

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

import bridge.urls  # noqa: F401  (what lists of pages are made of, before tests are collected)
from bridge.models import Account, WebhookEvent, WebhookItem
from leads.models import Lead, Pipeline
from tests.conftest import drain, record


@pytest.fixture
def staff(db: None) -> Client:
    """The browser of somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "a-password"))
    return client


@pytest.fixture
def full(account: Account, pipeline: Pipeline) -> Lead:
    """A row of every kind that grows with use."""
    unknown = {"chosen_flow": "nunca visto", "context": {"conversation_stage": "nunca vista"}}
    lead = record(pipeline, name="Maria", bill_value=4500, **unknown).lead
    drain(account)
    event = WebhookEvent.objects.create(account=account, body=b"leads[add][0][id]=1", received_at=timezone.now())
    WebhookItem.objects.create(event=event, entity="leads", action="add", kommo_id=1, data={})
    return lead

"""Every table that grows forgets, in batches, and never what is still needed."""

from __future__ import annotations

from datetime import timedelta

from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.utils import timezone

from bridge import retention
from bridge.models import AgentEvent, Alert, IdempotencyRecord, WebhookEvent
from leads.models import Event
from tests.conftest import drain, record

CENTURY = timedelta(days=36_500)


def test_what_is_old_goes_and_what_is_not_stays(account, pipeline):
    record(pipeline, name="Maria")
    drain(account)
    now = timezone.now()
    assert retention.prune(now=now) == {}
    events = Event.objects.count()
    forgotten = retention.prune(now=now + CENTURY)
    assert forgotten["leads.Event"] == events
    assert forgotten["bridge.Delivery"] == 1
    assert account.cards.count() == 1


# What stays: as many rows as there are people, rules, accounts and leads, or fewer.
AS_MANY_AS = {
    "people and what they do": {
        "auth", "bridge.ApiKey", "bridge.SavedView", "bridge.SecondFactor", "bridge.WeeklyMail",
    },
    "rules and their history": {
        "leads.Criterion", "leads.FieldMapping", "leads.Flow", "leads.Pipeline", "leads.Qualification", "leads.Stage",
        "leads.StageMapping", "leads.TagRule", "followups.Sequence", "followups.SequenceVersion", "followups.Step",
        "bridge.RulesDraft", "bridge.RulesRevision", "bridge.Reevaluation", "bridge.StageInKommo",
    },
    "accounts": {
        "bridge.Account", "bridge.AccountPipeline", "bridge.CallSlot", "bridge.Catalogue", "bridge.Figure",
        "bridge.Trouble", "bridge.Intake", "bridge.Channel",
    },
    "leads": {
        "leads.Lead", "leads.NameWord", "leads.FurtherAddress", "leads.JoinedLead", "leads.ProbablySame",
        "leads.Objection",
        "bridge.Card", "bridge.CardContact", "bridge.Forgetting",
        "bridge.UnreadLead",
    },
    "wishes, which stand for good": {"leads.OptOut", "leads.Forgotten", "leads.PseudonymKey", "followups.Unreachable"},
    "the code": {"contenttypes", "django_q.Schedule"},
    "nothing: it is switched off": {"axes.AccessFailureLog"},
}  # fmt: skip
# Rows of these go with the row they hang on.
WITH_ANOTHER = {
    "bridge.WebhookItem",
    "bridge.IntakeItem",
    "axes.AccessAttemptExpiration",
    "leads.MessagePart",
    "bridge.Outgoing",
}


def test_every_table_forgets_or_cannot_grow_without_end():
    forgetting = {rule.model for rule in retention.rules()}
    staying = set().union(*AS_MANY_AS.values(), WITH_ANOTHER)

    growing = [
        model._meta.label
        for model in apps.get_models()
        if not model._meta.proxy
        and model not in forgetting
        and not {model._meta.label, model._meta.app_label} & staying
        and not model.__name__.startswith("Historical")
    ]

    assert growing == []


def test_strangers_at_the_login_and_old_sessions_are_forgotten(db):
    now = timezone.now()
    AccessAttempt.objects.create(username="root", ip_address="192.0.2.1", failures_since_start=1)
    Session.objects.create(session_key="over", expire_date=now - timedelta(seconds=1))
    Session.objects.create(session_key="open", expire_date=now + timedelta(days=1))

    assert retention.prune(now=now) == {"sessions.Session": 1}
    assert retention.prune(now=now + timedelta(days=91))["axes.AccessAttempt"] == 1


def test_what_waits_is_kept_however_old(account, pipeline):
    now = timezone.now()
    lead = record(pipeline).lead
    WebhookEvent.objects.create(account=account, body=b"x", received_at=now)
    AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=now, due_at=now)
    retention.prune(now=now + CENTURY)
    assert WebhookEvent.objects.exists() and AgentEvent.objects.exists()


def test_a_large_table_is_pruned_in_batches(account, django_assert_max_num_queries):
    now = timezone.now()
    WebhookEvent.objects.bulk_create(
        WebhookEvent(account=account, body=b"x", received_at=now, state="processed") for _ in range(25)
    )
    rounds = iter([True] * 40)
    forgotten = retention.prune(now=now + CENTURY, limit=10, go_on=lambda: next(rounds))
    assert forgotten == {"bridge.WebhookEvent": 25}


def test_an_alert_stays_while_it_is_seen_and_goes_a_month_after(db):
    now = timezone.now()
    words = {"message": "the disk is full", "remedy": "free space", "first_seen_at": now - CENTURY}
    Alert.objects.create(subject="seen", last_seen_at=now - timedelta(days=29), **words)
    Alert.objects.create(subject="over", last_seen_at=now - timedelta(days=31), telling_failed="mail", **words)

    assert retention.prune(now=now) == {"bridge.Alert": 1}

    assert Alert.objects.get().subject == "seen"


def test_what_is_kept_for_ever_is_not_pruned(account, settings):
    now = timezone.now()
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"webhooks": None}
    WebhookEvent.objects.create(account=account, body=b"x", received_at=now, state="processed")

    retention.prune(now=now + CENTURY)

    assert WebhookEvent.objects.exists()


def test_a_table_that_cannot_be_pruned_keeps_no_other_from_it(account, monkeypatch):
    now, forget = timezone.now(), retention.forget
    WebhookEvent.objects.create(account=account, body=b"x", received_at=now, state="processed")

    def broken(rule, **more):
        if rule.model is IdempotencyRecord:
            raise DatabaseError("out of order")
        return forget(rule, **more)

    monkeypatch.setattr(retention, "forget", broken)

    assert retention.prune(now=now + CENTURY)["bridge.WebhookEvent"] == 1

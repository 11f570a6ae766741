"""Opting out holds for the person, in every pipeline and for leads made later, and only staff can take it back."""

from __future__ import annotations

import hashlib
from importlib import import_module

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from leads import address_owners, optout, pseudonyms
from leads.encryption import PREFIX
from leads.interaction_values import Direction, Message
from leads.models import Event, Lead, OptOut, Pipeline, Stage
from leads.phone import parse
from tests.conftest import MARIA, record
from tests.saying import saying

JOAO = "+5581988880000"


@pytest.fixture
def b2b(pipeline):
    other = Pipeline.objects.create(slug="b2b", name="B2B")
    Stage.objects.create(pipeline=other, key="new", name="NOVO", rank=1)
    return other


def test_an_opt_out_and_taking_it_back_hold_in_every_pipeline(pipeline, b2b):
    lead = record(pipeline).lead
    record(b2b)
    now = timezone.now()
    assert optout.opt_out(lead, by=Lead.Actor.AGENT, reason="asked", now=now)
    assert Lead.objects.filter(opted_out_at=now).count() == 2

    assert optout.take_back(lead, reason="opt-out taken back by ada", now=now)

    assert Lead.objects.filter(opted_out_at=None).count() == 2
    assert len(saying(Event.objects.filter(actor="staff"), "opt-out taken back by ada")) == 2
    assert not optout.take_back(lead, reason="opt-out taken back by ada", now=now)


def test_somebody_who_was_erased_stays_opted_out(pipeline):
    lead = record(pipeline).lead
    Lead.objects.update(opted_out_at=timezone.now(), erased_at=timezone.now())
    assert not optout.take_back(lead, reason="opt-out taken back by ada", now=timezone.now())


def test_a_lead_made_later_is_opted_out_from_its_first_message(pipeline, b2b):
    optout.opt_out(record(pipeline).lead, by=Lead.Actor.LEAD, reason="asked", now=timezone.now())

    later = record(b2b, message=Message(Direction.OUTBOUND, text="oi")).lead

    assert Lead.objects.get(pk=later.pk).opted_out_at
    assert optout.since([later])


def test_the_wish_is_asked_of_the_person_whatever_road_made_the_lead(pipeline, b2b):
    optout.opt_out(record(pipeline).lead, by=Lead.Actor.LEAD, reason="asked", now=timezone.now())
    now = timezone.now()
    # By a road nobody has thought of: its column is empty.
    facts = {"stage_set_at": now, "created_at": now, "updated_at": now}
    other = Lead(pipeline=b2b, stage=b2b.stages.get(), phone=MARIA, phone_key=MARIA, **facts)
    Lead.objects.bulk_create([other])
    assert optout.since([other])


@pytest.mark.parametrize("spelling", ["81 99999-0000", "558199990000@s.whatsapp.net", "+55 (81) 9999-0000"])
def test_every_spelling_of_the_number_is_the_same_wish(pipeline, b2b, spelling):
    optout.opt_out_number(parse(MARIA, region="BR"), by=Lead.Actor.STAFF, reason="asked by mail", now=timezone.now())
    assert Lead.objects.get(pk=record(b2b, spelling).lead.pk).opted_out_at


def test_who_opted_out_without_a_number_stays_opted_out_once_it_is_known(pipeline):
    lead = record(pipeline).lead
    Lead.objects.update(phone=None, phone_key=None)
    lead.refresh_from_db()
    now = timezone.now()
    optout.opt_out(lead, by=Lead.Actor.STAFF, reason="asked", now=now)
    assert not OptOut.objects.exists()

    lead.refresh_from_db()
    lead.phone = lead.phone_key = MARIA
    optout.meet([lead], now=now)

    assert OptOut.objects.get().opted_out_at == now


def test_who_is_back_after_their_opt_out_was_taken_back_may_be_written_to(pipeline, b2b):
    lead = record(pipeline).lead
    now = timezone.now()
    optout.opt_out(lead, by=Lead.Actor.AGENT, reason="asked", now=now)
    optout.take_back(lead, reason="opt-out taken back by ada", now=now)
    assert not optout.since([Lead.objects.get(), record(b2b).lead])


@pytest.mark.parametrize("rotated", ["FIELD_ENCRYPTION_KEYS", "SECRET_KEY"])
def test_a_wish_outlives_the_keys_it_was_stored_under(pipeline, settings, rotated):
    lead = record(pipeline).lead
    optout.opt_out(lead, by=Lead.Actor.AGENT, reason="asked", now=timezone.now())
    old, new = settings.FIELD_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    if rotated == "SECRET_KEY":
        settings.SECRET_KEY = "another"
    else:
        settings.FIELD_ENCRYPTION_KEYS = [new, *old]
        call_command("reencrypt")
        settings.FIELD_ENCRYPTION_KEYS = [new]
    # As a process that has just been started.
    pseudonyms._known.clear()

    Lead.objects.update(opted_out_at=None)
    assert optout.since(Lead.objects.all())


def test_pseudonyms_tell_nothing_without_the_key(pipeline):
    optout.opt_out(record(pipeline).lead, by=Lead.Actor.AGENT, reason="asked", now=timezone.now())
    address = OptOut.objects.get().address
    assert MARIA not in address and address != hashlib.sha256(f"phone:{MARIA}".encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM leads_pseudonymkey")
        assert all(row[0].startswith(PREFIX) for row in cursor.fetchall())


def test_the_column_of_before_becomes_the_wish_of_the_person(pipeline, b2b):
    lead = record(pipeline).lead
    record(b2b)
    Lead.objects.filter(pk=lead.pk).update(opted_out_at=timezone.now())
    migration = import_module("leads.migrations.0008_whoever_opted_out_before")
    migration.give_people_their_wish(apps, None)

    assert OptOut.objects.get().phone_key == MARIA
    assert Lead.objects.filter(opted_out_at__isnull=False).count() == 2
    Lead.objects.update(opted_out_at=None)
    assert len(optout.since(Lead.objects.all())) == 2


def test_a_wish_holds_for_every_number_of_the_person(pipeline, b2b):
    lead, now = record(pipeline).lead, timezone.now()
    address_owners.learn(lead, [parse(JOAO, region="BR")], seen_in="55", now=now)
    optout.opt_out(lead, by=Lead.Actor.LEAD, reason="asked", now=now)

    assert Lead.objects.get(pk=record(b2b, JOAO).lead.pk).opted_out_at
    assert OptOut.objects.count() == 2


def test_a_number_that_turns_out_to_be_theirs_brings_its_wish(pipeline):
    lead, now = record(pipeline).lead, timezone.now()
    optout.opt_out_number(parse(JOAO, region="BR"), by=Lead.Actor.STAFF, reason="asked by mail", now=now)
    assert not optout.since([lead])

    address_owners.learn(lead, [parse(JOAO, region="BR")], seen_in="55", now=now)

    assert optout.since([Lead.objects.get()])
    assert Lead.objects.get().opted_out_at == now
    assert set(OptOut.objects.values_list("phone_key", flat=True)) == {MARIA, JOAO}


def test_taking_it_back_holds_for_every_number(pipeline):
    lead, now = record(pipeline).lead, timezone.now()
    address_owners.learn(lead, [parse(JOAO, region="BR")], seen_in="55", now=now)
    optout.opt_out(lead, by=Lead.Actor.LEAD, reason="asked", now=now)
    assert optout.take_back(lead, reason="opt-out taken back by ada", now=now)
    assert not OptOut.objects.exists()

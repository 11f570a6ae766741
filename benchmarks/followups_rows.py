"""Leads on their way through the shipped re-engagement, as many as a scenario asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from benchmarks.cards import phone
from followups import sequence_versions
from followups.models import Enrollment, Sequence
from leads.models import Lead, Pipeline
from leads.phone import parse
from leads.rulebook import rulebook

AGENT_PORT = 20_400
BATCH = 500


def add(count: int, *, due: Callable[[int], datetime], first: int = 0) -> None:
    """Add so many leads that wait for the first step; `due` says when, by number. Any hour of any day is allowed."""
    Pipeline.objects.update(quiet_from=None, quiet_to=None, holidays_country="")
    pipeline, now = Pipeline.objects.get(slug="solar"), timezone.now()
    pipeline.sending_weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    pipeline.save()
    stage = rulebook(pipeline).first_stage
    sequence = Sequence.objects.get(slug="reengagement")
    version = sequence_versions.pin(sequence)
    numbers = [parse(phone(first + number), region="BR") for number in range(count)]
    leads = [
        Lead(
            pipeline=pipeline,
            phone=number.e164,
            phone_key=number.key,
            name=f"Pessoa {index}",
            stage=stage,
            stage_set_at=now,
            last_outbound_at=now,
            created_at=now,
            updated_at=now,
        )
        for index, number in enumerate(numbers)
    ]
    Lead.objects.bulk_create(leads, batch_size=BATCH)
    Enrollment.objects.bulk_create(
        (
            Enrollment(
                lead=lead,
                sequence=sequence,
                version=version,
                purpose=sequence.starts_on,
                anchor_at=now,
                started_at=now,
                next_at=due(number),
                next_reason="measured",
            )
            for number, lead in enumerate(leads)
        ),
        batch_size=BATCH,
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def set_due(start: datetime, within: timedelta) -> None:
    """Spread the due moments of all that wait evenly from `start` on."""
    waiting = list(Enrollment.objects.filter(state=Enrollment.State.WAITING).order_by("pk"))
    for number, enrollment in enumerate(waiting):
        enrollment.next_at = start + within * number / len(waiting)
    Enrollment.objects.bulk_update(waiting, ["next_at"], batch_size=BATCH)

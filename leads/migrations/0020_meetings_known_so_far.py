"""What a lead's columns told of its one meeting is its first row; what has gone by meanwhile announces nothing."""

from datetime import datetime

from django.db import migrations
from django.utils import timezone

AT_ONCE = 500
BOOKED = ("scheduled", "rescheduled")


def make_rows(apps, schema_editor):
    lead_model, meeting_model = apps.get_model("leads", "Lead"), apps.get_model("leads", "Meeting")
    now, rows = timezone.now(), []
    for lead in lead_model.objects.exclude(meeting_status="").filter(erased_at=None).iterator(AT_ONCE):
        known = (lead.provenance or {}).get("meeting") or {}
        told_at = datetime.fromisoformat(known["at"]) if known.get("at") else lead.created_at
        starts_at = lead.meeting_starts_at
        rows.append(
            meeting_model(
                lead=lead,
                meeting_id=lead.meeting_id,
                status=lead.meeting_status,
                starts_at=starts_at,
                link=lead.meeting_link,
                awaits_result=bool(lead.meeting_status in BOOKED and starts_at and starts_at <= now),
                began_as="scheduled" if lead.meeting_status in BOOKED else lead.meeting_status,
                first_told_at=told_at,
                told_at=told_at,
            )
        )
        if len(rows) >= AT_ONCE:
            meeting_model.objects.bulk_create(rows, ignore_conflicts=True)
            rows = []
    meeting_model.objects.bulk_create(rows, ignore_conflicts=True)
    passed = lead_model.objects.filter(meeting_status__in=BOOKED, meeting_starts_at__lte=now)
    passed.update(meeting_gone_by=True)


class Migration(migrations.Migration):
    dependencies = [("leads", "0019_meetings_are_rows")]

    operations = [migrations.RunPython(make_rows, migrations.RunPython.noop, elidable=True)]

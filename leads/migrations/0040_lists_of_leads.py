import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

from common.indexes import AddIndexBesideOthers, DropIndexBesideOthers, DropIndexOfField


class Migration(migrations.Migration):
    # PostgreSQL makes and drops an index beside its readers and writers only outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0039_words_of_names_so_far"),
    ]

    operations = [
        migrations.AddField(
            model_name="lead",
            name="kommo_responsible_id",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(fields=["stage", "-updated_at", "-id"], name="leads_in_stage"),
        ),
        # What begins with the stage takes the place of the index by the stage alone.
        DropIndexOfField(
            model_name="lead",
            name="stage",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="leads",
                to="leads.stage",
                verbose_name="stage",
            ),
        ),
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(
                fields=["stage", "-updated_at", "-id"],
                condition=(
                    Q(last_inbound_at=None, last_outbound_at__isnull=False)
                    | Q(last_outbound_at__gt=F("last_inbound_at"))
                    | Q(last_staff_at__gt=F("last_inbound_at"))
                ),
                name="leads_unanswered",
            ),
        ),
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(
                fields=["kommo_responsible_id", "-updated_at", "-id"],
                condition=Q(kommo_responsible_id__isnull=False),
                name="leads_of_responsible",
            ),
        ),
        AddIndexBesideOthers(
            model_name="lead",
            index=models.Index(fields=["pipeline", "stage", "bill_value", "id"], name="lead_by_stage_and_worth"),
        ),
        DropIndexBesideOthers(model_name="lead", name="lead_by_stage_and_value"),
    ]

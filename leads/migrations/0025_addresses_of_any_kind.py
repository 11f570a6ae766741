"""A lead's further numbers become its further addresses: other names in Python, the same table and columns below them."""

from django.db import migrations, models

from common.indexes import WidenText

KEY = 220


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0024_messages_are_rows"),
    ]

    operations = [
        migrations.AddField(
            model_name="lead",
            name="written_from",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=KEY),
        ),
        WidenText(
            model_name="lead",
            name="phone_key",
            field=models.CharField(blank=True, editable=False, max_length=KEY, null=True),
        ),
        WidenText(
            model_name="furtherphone",
            name="phone",
            field=models.CharField(max_length=KEY, verbose_name="address"),
        ),
        WidenText(
            model_name="furtherphone",
            name="phone_key",
            field=models.CharField(editable=False, max_length=KEY),
        ),
        WidenText(
            model_name="optout",
            name="phone_key",
            field=models.CharField(blank=True, db_index=True, max_length=KEY, verbose_name="address"),
        ),
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.CharField(
                choices=[
                    ("interaction", "interaction"),
                    ("decision", "decision"),
                    ("stage_changed", "stage changed"),
                    ("move_suppressed", "move suppressed"),
                    ("staff_told", "staff told"),
                    ("staff_move", "moved by staff"),
                    ("staff_edit", "edited by staff"),
                    ("handoff", "handoff"),
                    ("resumed", "agent resumed"),
                    ("delivery", "delivery"),
                    ("followup", "follow-up"),
                    ("opted_out", "opted out"),
                    ("card", "card"),
                    ("erased", "personal data erased"),
                    ("address", "address"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="furtherphone", name="further_phone_of_one_person"),
                migrations.RemoveIndex(model_name="furtherphone", name="lead_by_further_phone"),
                migrations.RenameModel(old_name="FurtherPhone", new_name="FurtherAddress"),
                migrations.AlterModelTable(name="furtheraddress", table="leads_furtherphone"),
                migrations.AlterModelOptions(
                    name="furtheraddress",
                    options={"verbose_name": "further address", "verbose_name_plural": "further addresses"},
                ),
                migrations.RenameField(model_name="furtheraddress", old_name="phone", new_name="value"),
                migrations.RenameField(model_name="furtheraddress", old_name="phone_key", new_name="key"),
                migrations.AlterField(
                    model_name="furtheraddress",
                    name="value",
                    field=models.CharField(db_column="phone", max_length=KEY, verbose_name="address"),
                ),
                migrations.AlterField(
                    model_name="furtheraddress",
                    name="key",
                    field=models.CharField(db_column="phone_key", editable=False, max_length=KEY),
                ),
                migrations.AlterField(
                    model_name="furtheraddress",
                    name="seen_in",
                    field=models.CharField(editable=False, max_length=40, verbose_name="first seen in"),
                ),
                migrations.AlterField(
                    model_name="furtheraddress",
                    name="lead",
                    field=models.ForeignKey(
                        on_delete=models.deletion.CASCADE,
                        related_name="further_addresses",
                        to="leads.lead",
                        verbose_name="lead",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="furtheraddress",
                    constraint=models.UniqueConstraint(fields=["pipeline", "key"], name="further_phone_of_one_person"),
                ),
                migrations.AddIndex(
                    model_name="furtheraddress",
                    index=models.Index(fields=["key"], name="lead_by_further_phone"),
                ),
            ]
        ),
    ]

"""Lines of the record that named people are told by an id, or without a name, as they are written from now on."""

from __future__ import annotations

from django.db import migrations

# What the overview said of whoever did not ask for silence, with their name before it.
AS_BEFORE = (" is written to as before.", " continua recebendo mensagens.", " sigue recibiendo mensajes.")


def forwards(apps, schema_editor):
    lines = apps.get_model("admin", "LogEntry").objects
    pairs = lines.filter(content_type__app_label="leads", content_type__model="probablysame")
    for pk, object_id in pairs.values_list("pk", "object_id").iterator(500):
        lines.filter(pk=pk).update(object_repr=f"probably the same {object_id}")
    for ending in AS_BEFORE:
        lines.filter(object_id=None, change_message__endswith=ending).update(change_message=f"…{ending}")


class Migration(migrations.Migration):
    dependencies = [
        ("bridge", "0048_values_of_before"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]

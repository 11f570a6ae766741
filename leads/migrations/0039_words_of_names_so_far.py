"""The words of the names that are known already. Spelled as `leads.name_words` spells them today."""

from django.db import migrations

from leads.name_words import words

AT_ONCE = 5_000


def make_rows(apps, schema_editor):
    lead_model, word_model = apps.get_model("leads", "Lead"), apps.get_model("leads", "NameWord")
    rows = []
    for pk, name in lead_model.objects.exclude(name="").values_list("pk", "name").iterator(AT_ONCE):
        rows += [word_model(lead_id=pk, word=word) for word in words(name)]
        if len(rows) >= AT_ONCE:
            word_model.objects.bulk_create(rows, ignore_conflicts=True)
            rows = []
    word_model.objects.bulk_create(rows, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("leads", "0038_words_of_names")]

    operations = [migrations.RunPython(make_rows, migrations.RunPython.noop, elidable=True)]

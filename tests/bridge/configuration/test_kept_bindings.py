"""Which of Kommo's ids stay, and which go, when a file is brought into force."""

from __future__ import annotations

from django.core.management import call_command

from bridge.configuration.importing import bring_in
from leads.models import FieldMapping, Pipeline, Stage
from tests.bridge.configuration.bringing import bring, exported, solar
from tests.bridge.configuration.files import CLINIC, CONTRACT
from tests.conftest import drain, lead_of, record


def test_what_is_bound_to_kommo_stays_bound_when_the_file_names_no_ids(account, pipeline):
    record(pipeline, name="Maria", bill_value=4500, chosen_flow="Aluguel de Lote")
    drain(account)
    bound = set(Stage.objects.values_list("key", "kommo_status_id"))
    fields = {row.attribute: (row.kommo_field_id, row.enum_ids) for row in FieldMapping.objects.all()}

    changes = bring(CONTRACT)

    assert not [line for line in changes if "kommo_" in line]
    assert set(Stage.objects.values_list("key", "kommo_status_id")) == bound
    assert {row.attribute: (row.kommo_field_id, row.enum_ids) for row in FieldMapping.objects.all()} == fields
    assert lead_of().card.state == "in_sync"


def test_an_export_brings_its_bindings_to_another_database(account, pipeline):
    text = exported()
    bound = set(Stage.objects.values_list("key", "kommo_status_id"))
    Pipeline.objects.all().delete()

    bring(text)

    assert set(Stage.objects.values_list("key", "kommo_status_id")) == bound
    assert exported() == text


def exchanged(text):
    return text.translate(str.maketrans("1234", "2143"))


def test_stages_and_fields_can_exchange_their_bindings(pipeline):
    bind = {
        "{key: qualified, name: QUALIFICADO}": "{key: qualified, name: QUALIFICADO, kommo_status_id: 1}",
        "{key: qualifying, name: EM QUALIFICAÇÃO}": "{key: qualifying, name: EM QUALIFICAÇÃO, kommo_status_id: 2}",
        "type: numeric}": "type: numeric, kommo_field_id: 3}",
        "type: select,": "type: select, kommo_field_id: 4,",
    }
    bring(solar(bind))

    bring(solar({old: exchanged(new) for old, new in bind.items()}))

    assert set(Stage.objects.filter(kommo_status_id__lt=9).values_list("key", "kommo_status_id")) == {
        ("qualified", 2),
        ("qualifying", 1),
    }
    assert dict(FieldMapping.objects.values_list("attribute", "kommo_field_id")) == {"bill_value": 4, "chosen_flow": 3}


TWO = """\
pipelines:
  - {slug: a, name: A, kommo_pipeline_id: 1, default: true, stages: [{key: new, name: N}]}
  - {slug: b, name: B, kommo_pipeline_id: 2, stages: [{key: new, name: N}]}
"""


def test_pipelines_can_exchange_their_binding_and_the_default(db):
    bring(TWO)

    bring(TWO.replace("slug: a", "slug: c").replace("slug: b", "slug: a").replace("slug: c", "slug: b"))

    assert list(Pipeline.objects.values_list("slug", "kommo_pipeline_id", "is_default")) == [
        ("a", 2, False),
        ("b", 1, True),
    ]


def test_kommo_connect_binds_the_whole_clinic(account):
    bring(CLINIC)

    call_command("kommo_connect", "--create-missing")

    assert bring(CLINIC) == []
    assert bring_in(CLINIC.encode(), reason="test").unbound == 0


def test_another_pipeline_of_kommos_has_other_stages(account, pipeline):
    bring(solar({"    default: true\n": "    default: true\n    kommo_pipeline_id: 77\n"}))

    assert set(Stage.objects.exclude(kommo_status_id=None).values_list("key", "kommo_status_id")) == {
        ("won", 142),
        ("lost", 143),
    }


def test_a_field_of_another_name_is_another_field(account, pipeline):
    bring(solar({"kommo_field: Valor Conta Energia": "kommo_field: Conta de luz"}))

    assert FieldMapping.objects.get(attribute="bill_value").kommo_field_id is None
    assert FieldMapping.objects.get(attribute="chosen_flow").kommo_field_id is not None


def test_an_option_that_means_another_is_bound_anew(account, pipeline):
    bring(solar({"options: {Instalação Usina Própria: Usina Própria}": "options: {Aluguel de Lote: Consórcio}"}))

    enum_ids = FieldMapping.objects.get(attribute="chosen_flow").enum_ids
    assert set(enum_ids) == {"Compra com Desconto", "Usina Investimento"}

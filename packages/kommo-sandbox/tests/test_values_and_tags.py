from __future__ import annotations

import pytest

from sandbox_calls import BILL, LINK, SOLUTION, WHATSAPP, errors_of


def field(field_id, *values):
    return {"custom_fields_values": [{"field_id": field_id, "values": list(values)}]}


@pytest.mark.parametrize(
    ("field_id", "sent", "shown"),
    [
        (WHATSAPP, {"value": "+55"}, {"value": "+55"}),
        (BILL, {"value": 4500}, {"value": "4500"}),
        (BILL, {"value": "380.5"}, {"value": "380.5"}),
        (BILL, {"value": 4500.0}, {"value": "4500"}),
        (LINK, {"value": "https://calendar.google.com/x"}, {"value": "https://calendar.google.com/x"}),
        (SOLUTION, {"enum_id": 326358}, {"value": "Usina Própria", "enum_id": 326358, "enum_code": None}),
        (SOLUTION, {"value": "Consórcio"}, {"value": "Consórcio", "enum_id": 326362, "enum_code": None}),
    ],
)
def test_each_type_takes_its_values(api, field_id, sent, shown):
    lead = api.lead(api.create(**field(field_id, sent)))
    assert lead["custom_fields_values"][0]["values"] == [shown]


@pytest.mark.parametrize(
    ("field_id", "sent", "error"),
    [
        (WHATSAPP, {"value": 55}, ("values.0.value", "InvalidType")),
        (WHATSAPP, {}, ("values.0.value", "FieldMissing")),
        (BILL, {"value": "R$ 4.500,00"}, ("values.0.value", "InvalidType")),
        (BILL, {"value": True}, ("values.0.value", "InvalidType")),
        (LINK, {"value": "not a link"}, ("values.0.value", "InvalidType")),
        (SOLUTION, {"enum_id": 1}, ("values.0.enum_id", "NotSupportedChoice")),
        (SOLUTION, {"value": "usina própria"}, ("values.0.value", "NotSupportedChoice")),
    ],
)
def test_each_type_refuses_others(api, field_id, sent, error):
    path, code = error
    assert errors_of(api.post("leads", [field(field_id, sent)])) == [(f"custom_fields_values.0.{path}", code)]


def test_unknown_fields_and_missing_values_are_refused(api):
    given = [{"field_id": 5, "values": [{"value": "x"}]}, {"field_id": BILL}, {"values": []}]
    assert errors_of(api.post("leads", [{"custom_fields_values": given}])) == [
        ("custom_fields_values.0.field_id", "NotSupportedChoice"),
        ("custom_fields_values.1.values", "FieldMissing"),
        ("custom_fields_values.2.field_id", "FieldMissing"),
    ]


def test_fields_not_listed_stay_and_null_clears(api):
    lead_id = api.create(**field(BILL, {"value": 400}))
    api.patch(f"leads/{lead_id}", field(WHATSAPP, {"value": "x"}))
    assert api.state(lead_id)["fields"] == {"Valor Conta Energia": "400", "WhatsApp": "x"}

    api.patch(f"leads/{lead_id}", {"custom_fields_values": [{"field_id": BILL, "values": None}]})
    assert api.state(lead_id)["fields"] == {"WhatsApp": "x"}


def test_tracking_fields_are_addressed_by_code(api):
    lead_id = api.create(custom_fields_values=[{"field_code": "UTM_SOURCE", "values": [{"value": "google"}]}])
    assert api.lead(lead_id)["custom_fields_values"][0]["field_code"] == "UTM_SOURCE"


@pytest.mark.parametrize(
    ("type_", "sent", "shown"),
    [
        ("checkbox", {"value": False}, False),
        # Midnight in Greenwich is still the day before in São Paulo.
        ("date", {"value": "2024-05-01T00:00:00+00:00"}, 1714446000),
        ("birthday", {"value": "2024-05-01T00:00:00-03:00"}, 1714532400),
        ("date_time", {"value": 1714521600}, 1714521600),
        ("monetary", {"value": 10.5}, "10.5"),
        ("textarea", {"value": "a\nb"}, "a\nb"),
    ],
)
def test_new_fields_of_other_types(api, type_, sent, shown):
    made = api.post("leads/custom_fields", [{"name": "Novo", "type": type_}]).json()["_embedded"]["custom_fields"]
    lead = api.lead(api.create(**field(made[0]["id"], sent)))
    assert lead["custom_fields_values"][0]["values"] == [{"value": shown}]


def test_multiselect_replaces_its_list(api):
    enums = [{"value": name, "sort": sort} for sort, name in enumerate("abc", 1)]
    answer = api.post("leads/custom_fields", [{"name": "Vários", "type": "multiselect", "enums": enums}])
    definition = answer.json()["_embedded"]["custom_fields"][0]
    a, b, c = (enum["id"] for enum in definition["enums"])
    lead_id = api.create(**field(definition["id"], {"enum_id": a}, {"enum_id": b}))

    api.patch(f"leads/{lead_id}", field(definition["id"], {"enum_id": c}))

    assert [value["enum_id"] for value in api.lead(lead_id)["custom_fields_values"][0]["values"]] == [c]


class TestTags:
    def tags(self, api, lead_id):
        return api.state(lead_id)["tags"]

    def test_adding_and_deleting_leave_the_others_alone(self, api):
        lead_id = api.create(_embedded={"tags": [{"name": "vip"}, {"name": "fluxo_a"}]})
        change = {"tags_to_add": [{"name": "fluxo_b"}], "tags_to_delete": [{"name": "fluxo_a"}, {"name": "never"}]}
        api.patch(f"leads/{lead_id}", change)
        assert self.tags(api, lead_id) == ["vip", "fluxo_b"]

    def test_embedded_tags_replace_the_set(self, api):
        lead_id = api.create(_embedded={"tags": [{"name": "vip"}]})
        api.patch(f"leads/{lead_id}", {"_embedded": {"tags": [{"name": "bot"}]}, "tags_to_add": [{"name": "ignored"}]})
        assert self.tags(api, lead_id) == ["bot"]
        api.patch(f"leads/{lead_id}", {"_embedded": {"tags": None}})
        assert self.tags(api, lead_id) == []

    def test_a_tag_has_one_id_whatever_its_spelling_in_unicode(self, api):
        api.create(tags_to_add=[{"name": "objecao_preço"}])
        api.create(tags_to_add=[{"name": "objecao_preço"}, {"name": " objecao_preço "}])
        tags = api.get("leads/tags").json()["_embedded"]["tags"]
        assert [tag["name"] for tag in tags] == ["objecao_preço"]

    def test_by_id(self, api):
        lead_id = api.create(tags_to_add=[{"name": "a"}])
        tag_id = api.lead(lead_id)["_embedded"]["tags"][0]["id"]
        other = api.create(tags_to_add=[{"id": tag_id}])
        assert self.tags(api, other) == ["a"]
        assert errors_of(api.patch("leads", [{"id": other, "tags_to_add": [{"id": 5}]}])) == [
            ("tags_to_add.0.id", "NotSupportedChoice")
        ]

    def test_a_request_id_inside_a_tag_is_refused(self, api):
        tags = {"_embedded": {"tags": [{"name": "a", "request_id": "1"}]}}
        assert errors_of(api.post("leads", [tags])) == [("_embedded.tags.0.request_id", "FieldNotExpected")]

    def test_the_account_lists_and_makes_tags_by_kind(self, api):
        first = api.post("leads/tags", [{"name": "x"}]).json()["_embedded"]["tags"][0]
        again = api.post("leads/tags", [{"name": "x"}]).json()["_embedded"]["tags"][0]
        assert first["id"] == again["id"]
        assert api.get("contacts/tags").status_code == 204
        assert api.get("leads/tags", **{"filter[name]": "y"}).status_code == 204

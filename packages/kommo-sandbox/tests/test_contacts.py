from __future__ import annotations

import pytest

from sandbox_calls import errors_of


@pytest.mark.parametrize("query", ["+5581999990000", "5581999990000", "81999990000", "999990000", "Maria"])
def test_a_contact_is_found_by_the_digits_of_its_phone(api, query):
    contact = api.contact("+55 (81) 99999-0000")
    api.contact("+5581900001111", "Outro")
    lead_id = api.create(_embedded={"contacts": [{"id": contact}]})

    found = api.get("contacts", query=query, **{"with": "leads"}).json()["_embedded"]["contacts"]

    assert [found_contact["id"] for found_contact in found] == [contact]
    assert [lead["id"] for lead in found[0]["_embedded"]["leads"]] == [lead_id]


def test_nobody_found_is_204(api):
    api.contact()
    assert api.get("contacts", query="5511000000000").status_code == 204


def test_phones_carry_their_enum(api):
    contact = api.get(f"contacts/{api.contact()}").json()
    assert contact["custom_fields_values"][0]["field_code"] == "PHONE"
    assert contact["custom_fields_values"][0]["values"] == [
        {"value": "+5581999990000", "enum_id": 908105, "enum_code": "MOB"}
    ]


def test_contacts_are_never_deduplicated(api):
    assert api.contact() != api.contact()


def test_a_name_and_its_parts_stay_in_step(api):
    contact = api.contact(name="Ana")
    api.patch(f"contacts/{contact}", {"first_name": "Ana", "last_name": "Souza"})
    assert api.get(f"contacts/{contact}").json()["name"] == "Ana Souza"
    api.patch("contacts", [{"id": contact, "name": "Bia Lima"}])
    shown = api.get(f"contacts/{contact}").json()
    assert (shown["first_name"], shown["last_name"]) == ("Bia", "Lima")


def test_several_values_of_one_field(api):
    values = [{"value": "a@example.com", "enum_code": "WORK"}, {"value": "b@example.com", "enum_code": "PRIV"}]
    answer = api.post("contacts", [{"name": "x", "custom_fields_values": [{"field_code": "EMAIL", "values": values}]}])
    contact = api.get(f"contacts/{answer.json()['_embedded']['contacts'][0]['id']}").json()
    assert [value["value"] for value in contact["custom_fields_values"][0]["values"]] == [
        "a@example.com",
        "b@example.com",
    ]


def test_bad_contacts_are_refused(api):
    bad = {"name": 5, "custom_fields_values": [{"field_code": "NOPE", "values": [{"value": "x"}]}]}
    assert errors_of(api.post("contacts", [bad])) == [
        ("name", "InvalidType"),
        ("custom_fields_values.0.field_code", "NotSupportedChoice"),
    ]


class TestLinks:
    def link(self, api, lead_id, contact, **metadata):
        body = [{"to_entity_id": contact, "to_entity_type": "contacts", "metadata": metadata}]
        return api.post(f"leads/{lead_id}/link", body)

    def test_linking_twice_is_an_unexplained_500(self, api):
        lead_id, contact = api.create(), api.contact()
        assert self.link(api, lead_id, contact).json()["_embedded"]["links"][0]["to_entity_id"] == contact
        assert self.link(api, lead_id, contact).status_code == 500

    def test_the_first_contact_is_the_main_one_until_another_is_named(self, api):
        lead_id, first, second = api.create(), api.contact(), api.contact()
        self.link(api, lead_id, first)
        self.link(api, lead_id, second)
        assert self.main(api, lead_id) == [first]
        third = api.contact()
        self.link(api, lead_id, third, is_main=True)
        assert self.main(api, lead_id) == [third]

    def main(self, api, lead_id):
        contacts = api.lead(lead_id, **{"with": "contacts"})["_embedded"]["contacts"]
        return [contact["id"] for contact in contacts if contact["is_main"]]

    def test_unlinking(self, api):
        lead_id, contact = api.create(), api.contact()
        self.link(api, lead_id, contact)
        assert len(api.get(f"leads/{lead_id}/links").json()["_embedded"]["links"]) == 1
        body = [{"to_entity_id": contact, "to_entity_type": "contacts"}]
        assert api.post(f"leads/{lead_id}/unlink", body).status_code == 204
        assert api.get(f"leads/{lead_id}/links").status_code == 204

    def test_the_mass_form_and_unknown_targets(self, api):
        lead_id, contact = api.create(), api.contact()
        item = {"entity_id": lead_id, "to_entity_id": contact, "to_entity_type": "contacts"}
        assert api.post("leads/link", [item]).ok
        assert errors_of(api.post("leads/link", [{**item, "to_entity_id": 5}])) == [
            ("to_entity_id", "NotSupportedChoice")
        ]

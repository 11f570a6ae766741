from __future__ import annotations

from sandbox_calls import BILL, errors_of

INCOMING = 89709455


class TestComplex:
    def body(self, phone="+5581999990000", **more):
        phones = [{"field_code": "PHONE", "values": [{"value": phone, "enum_code": "MOB"}]}]
        contact = {"first_name": "Ana", "last_name": "Souza", "custom_fields_values": phones}
        return {"name": "Ana", "_embedded": {"contacts": [contact], "tags": [{"name": "bot"}]}, **more}

    def test_it_answers_a_bare_array(self, api):
        answer = api.post("leads/complex", [self.body(request_id="a"), self.body("+5581988880000", request_id="b")])
        first, second = answer.json()

        assert first.keys() == {"id", "contact_id", "company_id", "request_id", "merged"}
        assert (first["request_id"], second["request_id"]) == (["a"], ["b"])
        assert first["merged"] is False and first["company_id"] is None
        lead = api.state(first["id"])
        assert (lead["tags"], lead["contacts"][0]["phones"]) == (["bot"], ["+5581999990000"])
        assert lead["contacts"][0]["name"] == "Ana Souza"

    def test_with_an_existing_contact(self, api):
        contact = api.contact()
        [made] = api.post("leads/complex", [{"name": "x", "_embedded": {"contacts": [{"id": contact}]}}]).json()
        assert made["contact_id"] == contact

    def test_with_a_company(self, api):
        body = {"name": "x", "_embedded": {"companies": [{"name": "Padaria"}]}}
        [made] = api.post("leads/complex", [body]).json()
        assert api.get(f"companies/{made['company_id']}").json()["name"] == "Padaria"

    def test_more_than_fifty_are_refused(self, api):
        assert api.post("leads/complex", [self.body()] * 51).status_code == 422

    def test_errors_of_the_contact_carry_its_path(self, api):
        body = self.body()
        body["_embedded"]["contacts"][0]["custom_fields_values"][0]["values"][0]["enum_code"] = "NOPE"
        [(path, code)] = errors_of(api.post("leads/complex", [body]))
        assert path == "_embedded.contacts.0.custom_fields_values.0.values.0.enum_code"
        assert code == "NotSupportedChoice"

    def test_two_creates_make_two_leads_unless_duplicates_are_controlled(self, api):
        first = api.post("leads/complex", [self.body()]).json()[0]
        assert api.post("leads/complex", [self.body()]).json()[0]["id"] != first["id"]

    def test_duplicate_control_joins_to_the_lead_that_is_there(self, api):
        api.options(duplicate_control=True)
        [first] = api.post("leads/complex", [self.body()]).json()
        bill = [{"field_id": BILL, "values": [{"value": 400}]}]
        [again] = api.post("leads/complex", [self.body("(81) 99999-0000", custom_fields_values=bill)]).json()

        assert again == {**first, "merged": True}
        assert api.state(first["id"])["fields"] == {"Valor Conta Energia": "400"}

    def test_duplicate_control_does_not_compare_inside_one_request(self, api):
        api.options(duplicate_control=True)
        made = api.post("leads/complex", [self.body(), self.body()]).json()
        assert [lead["merged"] for lead in made] == [False, False]

    def test_metadata_makes_an_incoming_lead(self, api):
        body = self.body()
        body["_embedded"]["metadata"] = {"form_id": 1, "form_name": "Site", "form_page": "x"}
        [made] = api.post("leads/complex", [body]).json()
        assert api.lead(made["id"])["status_id"] == INCOMING

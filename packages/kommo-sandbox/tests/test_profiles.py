"""The switches that make the sandbox behave as one account or another has been seen to."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from kommo_sandbox.options import PROFILES, Options
from sandbox_calls import BILL, LINK, QUALIFIED, WHATSAPP, errors_of, eventually

TEXT = WHATSAPP
PHONE = "+5581999990000"


def values(field_id, value):
    return {"custom_fields_values": [{"field_id": field_id, "values": [{"value": value}]}]}


def value_of(api, lead_id, field_id):
    fields = api.lead(lead_id)["custom_fields_values"] or []
    return next((field["values"][0]["value"] for field in fields if field["field_id"] == field_id), None)


def new_field(api, type_, **more):
    made = api.post("leads/custom_fields", [{"name": f"Um {type_}", "type": type_, **more}])
    return made.json()["_embedded"]["custom_fields"][0]


def subscribe(api, listener, *settings):
    answer = api.post("webhooks", {"destination": listener.url, "settings": list(settings)})
    assert answer.status_code == 201, answer.text


class TestProfiles:
    def test_a_profile_sets_its_switches_and_another_takes_them_back(self, api):
        api.options(profile="hostile", cut_text_at_emoji=False)
        options = api.control("GET", "options").json()
        assert options["profile"] == "hostile"
        assert {key: options[key] for key in PROFILES["hostile"]} == {
            **PROFILES["hostile"],
            "cut_text_at_emoji": False,
        }

        api.options(profile="default")
        options = api.control("GET", "options").json()
        assert {key: options[key] for key in PROFILES["hostile"]} == {
            key: getattr(Options(), key) for key in PROFILES["hostile"]
        }

    def test_what_a_tester_sets_the_machine_by_stays(self, api):
        api.options(requests_per_second=3, seed=7)
        api.options(profile="hostile")
        options = api.control("GET", "options").json()
        assert (options["requests_per_second"], options["seed"]) == (3, 7)

    @pytest.mark.parametrize(
        "wrong",
        [{"profile": "kind"}, {"language": "eo"}, {"account_time_zone": "Mars/Olympus"}, {"full_account_status": 418}],
    )
    def test_what_no_option_can_be_is_refused(self, api, wrong):
        assert api.control("POST", "options", wrong).status_code == 400


class TestValues:
    @pytest.mark.parametrize(
        ("zone", "sent", "day"),
        [
            ("America/Sao_Paulo", "2026-12-10T00:00:00+00:00", "2026-12-09"),
            ("America/Sao_Paulo", "2026-12-10T00:00:00-03:00", "2026-12-10"),
            ("Europe/Moscow", "2026-12-10T00:00:00+00:00", "2026-12-10"),
            ("Pacific/Auckland", "2026-12-10T00:00:00+13:00", "2026-12-10"),
        ],
    )
    def test_a_plain_date_is_midnight_in_the_accounts_zone(self, api, zone, sent, day):
        api.options(account_time_zone=zone)
        field = new_field(api, "date")
        kept = value_of(api, api.create(**values(field["id"], sent)), field["id"])
        assert datetime.fromtimestamp(kept, ZoneInfo(zone)).isoformat()[:19] == f"{day}T00:00:00"
        account = api.get("account", **{"with": "datetime_settings"}).json()
        assert account["_embedded"]["datetime_settings"]["timezone"] == zone

    def test_a_moment_stays_as_it_was_sent(self, api):
        field = new_field(api, "date_time")
        assert value_of(api, api.create(**values(field["id"], "2026-12-10T00:00:00+00:00")), field["id"]) == 1796860800

    def test_text_takes_256_characters_from_programs_and_more_from_people(self, api):
        lead_id = api.create()
        assert api.patch(f"leads/{lead_id}", values(TEXT, "a" * 256)).ok
        refused = api.patch(f"leads/{lead_id}", values(TEXT, "a" * 257))
        assert errors_of(refused) == [("custom_fields_values.0.values.0.value", "TooLong")]
        long_text = new_field(api, "textarea")
        assert api.patch(f"leads/{lead_id}", values(long_text["id"], "a" * 3000)).ok
        api.staff(f"leads/{lead_id}/edit", values(TEXT, "b" * 300))
        assert value_of(api, lead_id, TEXT) == "b" * 300

    def test_text_may_end_before_the_first_emoji(self, api):
        api.options(cut_text_at_emoji=True)
        lead_id = api.create(**values(TEXT, "família grande 👍 três"))
        assert value_of(api, lead_id, TEXT) == "família grande "
        api.patch(f"leads/{lead_id}", values(TEXT, "👍 sim"))
        assert value_of(api, lead_id, TEXT) is None

    def test_spaces_may_be_tidied(self, api):
        api.options(tidy_spaces=True)
        assert value_of(api, api.create(**values(TEXT, " a  b\r\nc ")), TEXT) == "a b c"

    def test_signs_may_come_back_as_html_writes_them_and_names_end(self, api):
        api.options(escapes_html=True, names_end_after=12)
        lead_id = api.create(name="Ana & Filhos", **values(TEXT, "<b> & 'c'"))
        assert value_of(api, lead_id, TEXT) == "&lt;b&gt; &amp; &#x27;c&#x27;"
        assert api.lead(lead_id)["name"] == "Ana &amp; Fi"

    def test_links_may_need_their_scheme(self, api):
        api.options(strict_links=True)
        refused = api.post("leads", [values(LINK, "www.example.com")])
        assert errors_of(refused) == [("custom_fields_values.0.values.0.value", "InvalidType")]

    def test_an_unticked_box_may_be_kept_as_empty(self, api):
        field = new_field(api, "checkbox")
        assert value_of(api, api.create(**values(field["id"], False)), field["id"]) is False
        api.options(unticked_as_empty=True)
        assert value_of(api, api.create(**values(field["id"], False)), field["id"]) is None

    def test_numbers_may_come_back_in_another_form(self, api):
        api.options(other_number_forms=True)
        money = new_field(api, "monetary", currency="BRL")
        assert value_of(api, api.create(**values(money["id"], "450")), money["id"]) == "450.00"
        assert value_of(api, api.create(**values(BILL, "450")), BILL) == 450.0

    def test_phone_kinds_may_be_missing(self, api):
        api.options(missing_phone_kinds="MOB")
        fields = api.get("contacts/custom_fields").json()["_embedded"]["custom_fields"]
        [phone] = [field for field in fields if field["code"] == "PHONE"]
        assert "MOB" not in {enum["code"] for enum in phone["enums"]}
        item = {"field_code": "PHONE", "values": [{"value": PHONE, "enum_code": "MOB"}]}
        refused = api.post("contacts", [{"name": "x", "custom_fields_values": [item]}])
        assert errors_of(refused) == [("custom_fields_values.0.values.0.enum_code", "NotSupportedChoice")]


class TestTags:
    def test_a_complex_create_may_keep_the_first_tag_only(self, api):
        api.options(first_tag_only_on_complex=True)
        tags = [{"name": "a"}, {"name": "b"}]
        [made] = api.post("leads/complex", [{"name": "x", "_embedded": {"tags": tags}}]).json()
        assert api.state(made["id"])["tags"] == ["a"]

    def test_names_may_be_the_same_whatever_their_case(self, api):
        api.options(tags_ignore_case=True)
        first = api.create(_embedded={"tags": [{"name": "Objecao_Preço"}]})
        second = api.create()
        api.patch(f"leads/{second}", {"tags_to_add": [{"name": "objecao_preço"}]})
        assert api.state(second)["tags"] == api.state(first)["tags"] == ["Objecao_Preço"]
        api.patch(f"leads/{second}", {"tags_to_delete": [{"name": "OBJECAO_PREÇO"}]})
        assert api.state(second)["tags"] == []


class TestRefusals:
    def test_a_full_account_takes_no_more(self, api):
        existing = api.create()
        for status in (402, 403, 400):
            api.options(full_account_status=status)
            assert api.post("leads", [{"name": "x"}]).status_code == status
            assert api.post("leads/complex", [{"name": "x"}]).status_code == status
            assert api.patch(f"leads/{existing}", {"name": "y"}).ok
        assert "244" in api.post("leads", [{"name": "x"}]).json()["detail"]

    def test_an_account_may_be_full_at_so_many_leads(self, api):
        api.options(leads_limit=1)
        api.create()
        assert api.post("leads", [{"name": "x"}]).status_code == 402

    @pytest.mark.parametrize(("language", "words"), [("ru", "Код ошибки 244"), ("pt", "Código de erro 244")])
    def test_errors_are_told_in_the_accounts_language(self, api, language, words):
        api.options(language=language)
        api.fault("244", count=1)
        answer = api.patch("leads/1", {"name": "x"})
        assert (answer.status_code, answer.json()["detail"].startswith(words)) == (400, True)
        refused = api.post("leads", [{"name": 5}])
        assert errors_of(refused) == [("name", "InvalidType")]
        assert refused.json()["validation-errors"][0]["errors"][0]["detail"] in (
            "Некорректное значение",
            "Valor inválido",
        )

    def test_an_archived_pipeline_may_refuse_writes(self, api):
        lead_id = api.create()
        api.staff("pipelines/11672895/archive", {"archived": True})
        assert api.patch(f"leads/{lead_id}", {"name": "y"}).ok
        api.options(archived_refuses_writes=True)
        assert errors_of(api.patch(f"leads/{lead_id}", {"name": "y"})) == [("pipeline_id", "NotSupportedChoice")]
        api.staff("pipelines/11672895/archive", {"archived": False})
        assert api.patch(f"leads/{lead_id}", {"name": "y"}).ok

    def test_a_stage_may_ask_for_a_field(self, api):
        api.options(enforce_required_statuses=True)
        stage = {"pipeline_id": 11672895, "status_id": QUALIFIED}
        assert api.control("PATCH", f"fields/{BILL}", {"required_statuses": [stage]}).ok
        lead_id = api.create()
        assert errors_of(api.patch(f"leads/{lead_id}", stage)) == [(f"custom_fields_values.{BILL}", "FieldMissing")]

    def test_a_request_line_has_an_end(self, api):
        ids = [("filter[id][]", str(20_000_000 + number)) for number in range(350)]
        assert api.call("GET", "leads", params=ids).status_code == 414
        assert api.call("GET", "leads", params=ids[:100]).status_code == 204

    def test_who_is_no_administrator_may_not_see_webhooks(self, api):
        api.options(token_user_id=11087201)
        assert api.get("webhooks").status_code == 401
        assert api.get("account").json()["current_user_id"] == 11087201

    def test_scopes_are_in_the_token_and_count(self, api):
        api.options(token_scopes="crm")
        assert api.get("users").status_code == 403
        assert api.get("leads").status_code == 204
        api.options(token_scopes="users")
        assert api.get("leads").status_code == 403

    def test_a_renamed_account_says_where_it_is(self, api):
        api.options(moved_to="new.example:1", moved_status=404)
        assert api.get("account").status_code == 404
        found = api.session.get(f"{api.url}/oauth2/account/subdomain", timeout=10).json()
        assert found["domain"] == "new.example:1"


class TestLists:
    def test_filters_may_be_ignored(self, api):
        api.create(**values(TEXT, "nobody"))
        asked = {f"filter[custom_fields_values][{TEXT}][]": "somebody"}
        assert api.leads(**asked) == []
        api.options(ignored_filters="custom_fields_values")
        assert len(api.leads(**asked)) == 1
        account = api.get("account", **{"with": "is_api_filter_enabled"}).json()
        assert account["is_api_filter_enabled"] is False

    def test_words_of_with_may_be_ignored(self, api):
        api.create()
        api.options(ignored_with="only_deleted")
        assert [lead["is_deleted"] for lead in api.leads(**{"with": "only_deleted"})] == [False]

    def test_a_next_page_may_always_be_named(self, api):
        api.create()
        api.options(endless_next=True)
        first = api.get("leads").json()
        assert api.session.get(first["_links"]["next"]["href"], timeout=10).status_code == 204

    def test_lists_may_lag(self, api):
        lead_id = api.create()
        api.options(lists_lag_seconds=0.3)
        assert api.leads() == []
        assert api.lead(lead_id)["id"] == lead_id
        eventually(api.leads)

    def test_rights_may_hide_every_lead(self, api):
        lead_id = api.create()
        api.options(hides_leads=True)
        assert api.leads() == []
        assert api.get(f"leads/{lead_id}").status_code == 204

    def test_a_page_may_have_a_row_that_nobody_expects(self, api):
        lead_id = api.create()
        api.options(odd_rows=True)
        assert [lead["id"] for lead in api.leads()] == [lead_id, 19_999_999]

    def test_a_large_trash_is_listed_page_by_page(self, api):
        api.options(trash_size=300)
        first = api.get("leads", **{"with": "only_deleted", "limit": 250}).json()
        assert len(first["_embedded"]["leads"]) == 250
        second = api.session.get(first["_links"]["next"]["href"], timeout=10).json()
        assert len(second["_embedded"]["leads"]) == 50

    def test_a_lead_may_be_stamped_with_the_future(self, api):
        lead_id = api.create()
        at = int(time.time()) + 10_000_000
        api.staff(f"leads/{lead_id}/edit", {"updated_at": at})
        assert api.lead(lead_id)["updated_at"] == at

    def test_bots_are_items(self, api):
        assert [bot["id"] for bot in api.get("bots").json()["_embedded"]["items"]] == [565, 571]


class TestPeople:
    def test_a_contact_may_have_several_phones(self, api):
        made = api.staff("leads", {"name": "x", "phones": ["+551122223333", PHONE]})
        assert made["contacts"][0]["phones"] == ["+551122223333", PHONE]

    def test_the_main_contact_may_be_another(self, api):
        made = api.staff("leads", {"name": "x", "phone": PHONE})
        changed = api.staff(f"leads/{made['id']}/main_contact", {"name": "João", "phone": "+5581988887777"})
        assert [contact["is_main"] for contact in changed["_embedded"]["contacts"]] == [False, True]

    def test_contacts_may_be_merged(self, api):
        first = api.staff("leads", {"name": "x", "phone": PHONE})
        second = api.staff("leads", {"name": "y", "phone": "+5581988887777"})
        old, kept = first["contacts"][0]["id"], second["contacts"][0]["id"]

        merged = api.staff(f"contacts/{old}/merge", {"into": kept})

        assert sorted(merged["lead_ids"]) == [first["id"], second["id"]]
        assert merged["phones"] == ["+5581988887777", PHONE]
        assert api.get(f"contacts/{old}").status_code == 204
        assert api.state(first["id"])["contacts"][0]["id"] == kept
        [event] = api.events(**{"filter[type]": "entity_merged"})
        assert (event["entity_type"], event["entity_id"]) == ("contact", kept)

    def test_a_merge_of_leads_is_told_in_the_feed(self, api):
        old, kept = api.create(), api.create()
        api.staff(f"leads/{old}/merge", {"into": kept})
        [event] = api.events(**{"filter[type]": "entity_merged"})
        assert event["entity_id"] == kept
        api.options(merge_events=False)
        api.staff(f"leads/{api.create()}/merge", {"into": kept})
        assert len(api.events(**{"filter[type]": "entity_merged"})) == 1

    def test_writes_may_be_a_robots(self, api):
        assert api.lead(api.create())["updated_by"] == 11087123
        api.options(writes_are_by="robot")
        lead_id = api.create()
        assert api.lead(lead_id)["updated_by"] == 0
        api.staff(f"leads/{lead_id}/edit", {"name": "y"})
        assert api.lead(lead_id)["updated_by"] == 11087201


class TestChats:
    def test_outgoing_messages_name_their_author(self, api, listener):
        subscribe(api, listener, "add_outgoing_message")
        lead = api.staff("leads", {"name": "x", "phone": PHONE})
        api.staff(f"leads/{lead['id']}/message", {"text": "Oi"})
        [talk] = api.get("talks").json()["_embedded"]["talks"]
        assert api.post(f"talks/{talk['talk_id']}/send_message", {"text": "Olá"}).status_code == 202

        by_text = {
            body["outgoing_message"]["add"]["0"]["text"]: body["outgoing_message"]["add"]["0"]
            for body in listener.wait_for(2)
        }
        assert (by_text["Oi"]["author"]["type"], by_text["Oi"]["author"]["user_id"]) == ("internal", "11087201")
        assert by_text["Olá"]["author"]["type"] == "bot"
        # The feed knows only whose token it was.
        feed = api.events(**{"filter[type]": "outgoing_chat_message"})
        assert [event["created_by"] for event in feed] == [11087123, 11087201]

    def test_sending_may_be_refused(self, api):
        lead = api.staff("leads", {"name": "x", "phone": PHONE})
        api.staff(f"leads/{lead['id']}/message", {"direction": "incoming", "text": "Oi"})
        [talk] = api.get("talks").json()["_embedded"]["talks"]
        path = f"talks/{talk['talk_id']}/send_message"
        api.options(messages_quota=1)
        assert [api.post(path, {"text": "a"}).status_code for _ in range(2)] == [202, 402]
        api.options(messages_quota=0, token_scopes="crm")
        assert api.post(path, {"text": "a"}).status_code == 403
        api.options(token_scopes="crm,send_external_messages")
        api.post(f"talks/{talk['talk_id']}/close", {"force_close": True})
        assert api.post(path, {"text": "a"}).status_code == 422

    def test_a_bot_that_runs_says_what_its_field_holds(self, api, listener):
        subscribe(api, listener, "add_outgoing_message")
        field = api.post("leads/custom_fields", [{"name": "Follow-up", "type": "textarea"}]).json()
        lead_id = api.create(**values(field["_embedded"]["custom_fields"][0]["id"], "Ainda aí?"))
        run = {"bot_id": 565, "entity_id": lead_id, "entity_type": "leads"}
        assert api.post("bots/run", [run]).content == b""
        [body] = listener.wait_for(1)
        message = body["outgoing_message"]["add"]["0"]
        assert (message["text"], message["author"]["type"]) == ("Ainda aí?", "bot")

        api.options(bots_run=False)
        assert api.post("bots/565/run", {"entity_id": lead_id, "entity_type": "leads"}).text == "Accepted"
        assert len(api.events(**{"filter[type]": "outgoing_chat_message"})) == 1

    def test_a_bot_says_nothing_into_a_closed_chat_and_shortens_links(self, api):
        field = api.post("leads/custom_fields", [{"name": "Follow-up", "type": "textarea"}]).json()
        field_id = field["_embedded"]["custom_fields"][0]["id"]
        lead_id = api.create(**values(field_id, "Veja https://acme.example/a?b=c hoje"))
        api.options(bots_need_open_talk=True, bots_shorten_links=True)
        run = {"entity_id": lead_id, "entity_type": "leads"}
        api.post("bots/565/run", run)
        [talk] = api.get("talks").json()["_embedded"]["talks"]
        [message] = api.get(f"talks/{talk['talk_id']}/messages").json()["_embedded"]["messages"]
        assert message["text"] == "Veja https://kommo.cc/x7Yq2 hoje"

        api.post(f"talks/{talk['talk_id']}/close", {"force_close": True})
        api.post("bots/565/run", run)
        assert len(api.events(**{"filter[type]": "outgoing_chat_message"})) == 1

    def test_kommos_own_robots_show_in_the_feed(self, api):
        lead_id = api.create()
        api.staff(f"leads/{lead_id}/robot", {"kind": "ai_result", "text": "Posso ajudar?"})
        types = [event["type"] for event in api.events()]
        assert {"ai_result", "talk_created", "outgoing_chat_message"} <= set(types)
        assert api.control("POST", f"leads/{lead_id}/robot", {"kind": "sings"}).status_code == 400


class TestWebhooks:
    def test_a_move_may_be_told_by_update_alone(self, api, listener):
        api.options(no_status_hooks=True)
        lead_id = api.create()
        subscribe(api, listener, "status_lead", "update_lead")
        api.patch(f"leads/{lead_id}", {"status_id": QUALIFIED, "pipeline_id": 11672895})
        [body] = listener.wait_for(1)
        assert list(body["leads"]) == ["update"]

    def test_settings_may_be_refused(self, api):
        api.options(refused_settings="update_task")
        refused = api.post("webhooks", {"destination": "https://x.example", "settings": ["add_lead", "update_task"]})
        assert errors_of(refused) == [("settings.1", "NotSupportedChoice")]

    def test_a_plan_may_have_none(self, api):
        api.options(plan_has_webhooks=False)
        assert api.get("webhooks").status_code == 402

    def test_prices_may_be_told_with_decimals(self, api, listener):
        api.options(decimals_in_hooks=True)
        subscribe(api, listener, "add_lead")
        api.create(price=100.5)
        [body] = listener.wait_for(1)
        assert body["leads"]["add"]["0"]["price"] == "100.50"

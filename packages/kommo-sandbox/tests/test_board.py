from __future__ import annotations

import requests

from sandbox_calls import BILL, QUALIFIED


def board(api, **params):
    return requests.get(f"{api.url}/_sandbox/board", params=params, timeout=5).json()


def test_the_page_loads_nothing_from_elsewhere(api):
    answer = requests.get(f"{api.url}/", timeout=5)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "https://" not in answer.text.replace("https?:", "")


def test_columns_hold_the_cards_newest_change_first(api):
    first, second = api.create("first", status_id=QUALIFIED), api.create("second", status_id=QUALIFIED)
    api.patch(f"leads/{first}", {"price": 5})

    columns = {column["name"]: column for column in board(api)["columns"]}

    assert [card["id"] for card in columns["Qualificado"]["cards"]] == [first, second]
    assert columns["Qualificado"]["count"] == 2 and columns["Novo Lead"]["count"] == 0


def test_a_card_shows_what_a_seller_looks_for(api):
    bill = [{"field_id": BILL, "values": [{"value": 4500}]}]
    lead = api.staff(
        "leads", {"name": "Maria", "phone": "+5581999990000", "tags": ["vip"], "custom_fields_values": bill}
    )
    [card] = [card for column in board(api)["columns"] for card in column["cards"]]
    assert (card["id"], card["phone"], card["tags"]) == (lead["id"], "+5581999990000", ["vip"])
    assert card["fields"] == [{"name": "Valor Conta Energia", "type": "numeric", "value": "4500"}]
    assert card["by_person"] == "Ana Ribeiro"


def test_nothing_new_is_said_briefly(api):
    whole = board(api)
    same = board(api, version=whole["version"], shown=whole["pipeline"])
    assert "columns" not in same and same["version"] == whole["version"]
    api.create()
    assert "columns" in board(api, version=whole["version"], shown=whole["pipeline"])


def test_events_are_told_with_the_leads_name(api):
    lead_id = api.create("Maria")
    api.staff(f"leads/{lead_id}/move", {"stage": "Qualificado"})
    newest = board(api)["events"][0]
    assert (newest["lead"], newest["stage"], newest["by"]) == ("Maria", "Qualificado", "Ana Ribeiro")


def test_the_address_of_a_card_is_the_board_which_opens_it(api):
    card = api.create("Maria")
    assert requests.get(f"{api.url}/leads/detail/{card}", timeout=5).text == requests.get(f"{api.url}/", timeout=5).text


def test_a_cards_details_lead_where_the_option_says(api):
    card = api.create("Maria")

    def link():
        return requests.get(f"{api.url}/_sandbox/leads/{card}", timeout=5).json()["link"]

    assert link() == ""
    requests.post(f"{api.url}/_sandbox/options", json={"card_link": "http://bridge/card/{id}/"}, timeout=5)
    assert link() == f"http://bridge/card/{card}/"

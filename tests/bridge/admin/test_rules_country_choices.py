"""Countries, zones and amounts chosen by name, and the holidays that come of it."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import translation

from bridge.admin.rules import country_choices
from bridge.configuration import drafts
from tests.bridge.admin.rules_editing import edit, errors, page, publish

CHRISTMAS = date(2026, 12, 25)


@pytest.mark.parametrize(("language", "name"), [("pt-br", "Alemanha"), ("es", "Alemania"), ("en", "Germany")])
def test_countries_have_the_names_of_the_readers_language(language, name):
    with translation.override(language):
        assert dict(country_choices.countries())["DE"] == name
        assert dict(country_choices.phone_regions())["DE"] == f"{name} (+49)"


def test_the_zones_of_the_country_come_first_by_their_cities():
    (_name, near), (_others, far) = country_choices.zones("BR")
    assert ("America/Sao_Paulo", "Sao Paulo") in near
    assert ("Europe/Berlin", "Europe/Berlin") in far and "America/Sao_Paulo" not in dict(far)


def test_an_amount_is_shown_as_each_way_to_write_it():
    names = dict(country_choices.locales("nb_NO"))
    assert names["pt_BR"].endswith("1.234,50") and names["en_US"].endswith("1,234.50") and "nb_NO" in names


def test_the_next_holidays_are_those_of_the_country_and_its_state():
    days = country_choices.next_holidays("BR", "", today=date(2026, 12, 1))
    assert len(days) == country_choices.NEXT_HOLIDAYS
    with translation.override("en"):
        assert "Natal" in {name for _day, name in country_choices.next_holidays("BR", "", today=CHRISTMAS)}
    assert country_choices.next_holidays("BR", "SP", today=date(2026, 7, 1)) != country_choices.next_holidays(
        "BR", "", today=date(2026, 7, 1)
    )
    assert (
        country_choices.next_holidays("", "", today=CHRISTMAS)
        == country_choices.next_holidays("BR", "XX", today=CHRISTMAS)
        == []
    )


def test_where_no_holidays_are_kept_those_of_the_phones_are_one_click(staff, pipeline):
    path = page("section", pipeline, section="hours")
    assert edit(staff, path, holidays_country="", holidays_subdivision="").status_code == 302
    form = staff.get(path).context["form"]
    assert (form.usual_country, form.next_holidays) == ("BR", [])


def test_a_country_brings_its_states_and_days(staff, pipeline):
    answer = staff.post(page("holidays", pipeline), {"holidays_country": "BR", "holidays_subdivision": "BY"})
    form = answer.context["form"]
    assert "SP" in dict(form.fields["holidays_subdivision"].choices) and form.next_holidays
    assert form["holidays_subdivision"].value() == "", "a state of the country before is none of this one"

    answer = edit(staff, page("section", pipeline, section="hours"), holidays_country="BR", holidays_subdivision="SP")
    assert answer.status_code == 302, errors(answer)
    publish(staff, pipeline)
    pipeline.refresh_from_db()
    kept = drafts.prepared(pipeline).live.holidays
    assert (kept.holidays_country, kept.holidays_subdivision) == ("BR", "SP")


def test_what_is_in_no_list_is_refused(staff, pipeline):
    answer = edit(staff, page("section", pipeline, section="hours"), time_zone="Mars/Base", holidays_subdivision="XX")
    assert answer.status_code == 200
    assert [mistake.box for mistake in answer.context["mistakes"]] == ["id_time_zone", "id_holidays_subdivision"]

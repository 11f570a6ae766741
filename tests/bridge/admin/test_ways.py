from __future__ import annotations

import pytest
from django.urls import reverse

from bridge.intakes import processing, ways
from bridge.models import Intake, IntakeCall
from tests.bridge.intakes.bodies import body


@pytest.fixture
def intake(pipeline) -> Intake:
    return ways.establish("evolution", "zap", settings={"jwt_key": "chave"})


LIST = "admin:bridge_intake_changelist"


def test_a_way_in_is_made_with_an_address_to_copy(admin_client, pipeline):
    said = {"kind": "evolution", "slug": "zap", "pipeline": pipeline.pk, "is_active": "on", "jwt_key": "chave"}
    assert admin_client.post(reverse("admin:bridge_intake_add"), said).status_code == 302
    row = Intake.objects.get()
    assert (row.pipeline, ways.settings_of(row)) == (pipeline, {"jwt_key": "chave"})
    page = admin_client.get(reverse(LIST)).content.decode()
    assert f"http://testserver{ways.path_of(row)}" in page
    assert "chave" not in page


def test_keys_are_write_only(admin_client, intake):
    url = reverse("admin:bridge_intake_change", args=[intake.pk])
    assert "chave" not in admin_client.get(url).content.decode()
    for said, kept in (("", {"jwt_key": "chave"}), ("nova", {"jwt_key": "nova"}), ("-", {})):
        path = ways.path_of(intake)
        assert admin_client.post(url, {"slug": "zap", "is_active": "on", "jwt_key": said}).status_code == 302
        intake.refresh_from_db()
        assert (ways.settings_of(intake), ways.path_of(intake)) == (kept, path)


def test_a_key_of_another_kind_is_refused(admin_client, pipeline):
    said = {"kind": "zapi", "slug": "z", "is_active": "on", "secret": "x"}
    assert admin_client.post(reverse("admin:bridge_intake_add"), said).status_code == 200
    assert not Intake.objects.exists()


def test_the_page_says_how_each_stands(admin_client, intake, client):
    def page() -> str:
        return admin_client.get(reverse(LIST), headers={"accept-language": "en"}).content.decode()

    assert "nothing heard yet" in page()
    client.post(ways.path_of(intake), "{}", content_type="application/json")
    assert "calls with a wrong signature" in page()
    ways.establish("evolution", "zap", settings={"jwt_key": ""})
    client.post(ways.path_of(intake), body("evolution/01"), content_type="application/json")
    processing.read_all()
    assert ">hears<" in page().replace("\n", "").replace("  ", "")


def test_what_was_told_is_shown_and_can_be_read_again(admin_client, pipeline, client):
    intake = ways.establish("evolution", "zap")
    client.post(ways.path_of(intake), body("evolution/01"), content_type="application/json")
    processing.read_all()
    call = IntakeCall.objects.get()
    page = admin_client.get(reverse("admin:bridge_intakecall_changelist")).content.decode()
    assert "Maria Souza" in page
    one = admin_client.get(reverse("admin:bridge_intakecall_change", args=[call.pk])).content.decode()
    assert "Boa tarde, vi o anúncio" in one
    again = {"action": "read_again", "_selected_action": [call.pk]}
    admin_client.post(reverse("admin:bridge_intakecall_changelist"), again)
    call.refresh_from_db()
    assert call.state == IntakeCall.State.RECEIVED


def test_who_only_looks_sees_no_address(client, intake, django_user_model):
    from django.contrib.auth.models import Group

    viewer = django_user_model.objects.create_user("v", password="x", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client.force_login(viewer)
    page = client.get(reverse(LIST)).content.decode()
    assert "zap" in page and intake.secret not in page

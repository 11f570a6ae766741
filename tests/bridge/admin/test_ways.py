"""Ways in: made by choosing who tells, with the address and keys to paste, each with its state and what it heard."""

from __future__ import annotations

import re

import pytest
import responses
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bridge.admin.ways.intake_guides import GUIDES
from bridge.intakes import managing_intakes, reading_calls
from bridge.intakes.source_kinds import SOURCES
from bridge.models import Intake, IntakeCall
from tests.bridge.intakes.bodies import body

ENGLISH = {"accept-language": "en"}
LIST, ADD = "admin:bridge_intake_changelist", "admin:bridge_intake_add"


@pytest.fixture
def intake(pipeline) -> Intake:
    return managing_intakes.establish("evolution", "zap", settings={"jwt_key": "chave"})


@pytest.fixture
def viewer(django_user_model) -> Client:
    somebody = django_user_model.objects.create_user("v", password="x", is_staff=True)
    somebody.groups.add(Group.objects.get(name="reader"))
    client = Client()
    client.force_login(somebody)
    return client


def text(client, name, *args, query=""):
    answer = client.get(reverse(name, args=args) + query, headers=ENGLISH)
    assert answer.status_code == 200
    return answer.content.decode()


def make(client, kind, **facts):
    return client.post(f"{reverse(ADD)}?kind={kind}", {"slug": "zap", **facts}, headers=ENGLISH)


# --- Choosing and making


def test_every_kind_can_be_chosen_has_a_picture_and_knows_the_keys_that_it_takes(admin_client, pipeline):
    page = text(admin_client, ADD)
    for kind, source in SOURCES.items():
        assert f"?kind={kind}" in page and f"bridge/ways/{kind}" in page
        assert tuple(GUIDES[kind].keys) == source.settings
        assert re.search(r'name="slug"', text(admin_client, ADD, query=f"?kind={kind}"))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_way_in_is_made_with_an_address_to_copy_and_keys_shown_once(admin_client, pipeline, kind):
    keys = {name: f"chave-{name}" for name in SOURCES[kind].settings}

    page = make(admin_client, kind, pipeline=pipeline.pk, **keys).content.decode()

    row = Intake.objects.get()
    assert (row.kind, row.pipeline, managing_intakes.settings_of(row)) == (kind, pipeline, keys)
    assert f"http://testserver{managing_intakes.path_of(row)}" in page
    again = text(admin_client, "admin:bridge_intake_way", row.pk)
    assert f"http://testserver{managing_intakes.path_of(row)}" in again
    for value in keys.values():
        assert value in page and value not in again


def test_the_snippet_has_address_and_key_filled_in_once_and_the_keys_name_later(admin_client, pipeline):
    page = make(admin_client, "evolution", jwt_key="chave-nova").content.decode()
    assert "&quot;jwt_key&quot;: &quot;chave-nova&quot;" in page
    assert "&quot;jwt_key&quot;: &quot;JWT_KEY&quot;" in text(
        admin_client, "admin:bridge_intake_way", Intake.objects.get().pk
    )


def test_a_key_that_is_ours_is_proposed_and_another_one_each_time(admin_client, pipeline):
    def proposed():
        return re.search(r'value="([\w-]{32})"[^>]*name="jwt_key"|name="jwt_key" value="([\w-]{32})"', page()).group(0)

    def page():
        return text(admin_client, ADD, query="?kind=evolution")

    assert proposed() != proposed()


def test_the_address_is_the_one_that_kommo_calls_where_staff_come_by_another(admin_client, account, intake):
    account.webhook_destination = "https://bridge.example.com/webhooks/kommo/geheim/"
    account.save()
    page = text(admin_client, "admin:bridge_intake_way", intake.pk)
    assert f"https://bridge.example.com{managing_intakes.path_of(intake)}" in page and "geheim" not in page


def test_a_short_name_that_is_taken_is_refused_and_a_free_one_proposed(admin_client, intake):
    managing_intakes.establish("waha", "whatsapp")
    assert 'value="whatsapp-2"' in text(admin_client, ADD, query="?kind=evolution")
    assert make(admin_client, "evolution").status_code == 200
    assert Intake.objects.count() == 2


@pytest.mark.parametrize("query", ["?kind=nobody", "?kind=", "?kind=evolution%01"])
def test_a_kind_that_there_is_not_is_asked_for_again(admin_client, pipeline, query):
    assert "?kind=evolution" in text(admin_client, ADD, query=query)


# --- The page of each


def test_keys_are_write_only(admin_client, intake):
    url = reverse("admin:bridge_intake_change", args=[intake.pk])
    assert "chave" not in admin_client.get(url).content.decode()
    for typed, kept in (("", {"jwt_key": "chave"}), ("nova", {"jwt_key": "nova"}), ("-", {})):
        path = managing_intakes.path_of(intake)
        assert admin_client.post(url, {"slug": "zap", "is_active": "on", "jwt_key": typed}).status_code == 302
        intake.refresh_from_db()
        assert (managing_intakes.settings_of(intake), managing_intakes.path_of(intake)) == (kept, path)


def test_the_page_says_how_each_stands(admin_client, intake, client):
    def stands():
        return {
            word
            for word in ("nothing heard yet", "calls with a wrong signature", ">hears<", "switched off")
            for page in (text(admin_client, LIST), text(admin_client, "admin:bridge_intake_way", intake.pk))
            if word in page
        }

    assert stands() == {"nothing heard yet"}
    client.post(managing_intakes.path_of(intake), "{}", content_type="application/json")
    assert stands() == {"calls with a wrong signature"}
    managing_intakes.establish("evolution", "zap", settings={"jwt_key": ""})
    client.post(managing_intakes.path_of(intake), body("evolution/01"), content_type="application/json")
    reading_calls.read_all()
    assert stands() == {">hears<"}
    admin_client.post(reverse("admin:bridge_intake_do", args=[intake.pk, "off"]))
    assert stands() == {"switched off"}
    assert client.post(managing_intakes.path_of(intake), "{}", content_type="application/json").status_code == 404
    admin_client.post(reverse("admin:bridge_intake_do", args=[intake.pk, "on"]))
    assert stands() == {">hears<"}


def test_what_was_heard_last_is_told_with_the_lead(admin_client, pipeline, client):
    intake = managing_intakes.establish("evolution", "zap")
    client.post(managing_intakes.path_of(intake), body("evolution/01"), content_type="application/json")
    reading_calls.read_all()
    assert "Maria Souza: a message" in text(admin_client, LIST)
    for name in ("admin:bridge_intake_way", "admin:bridge_intake_state"):
        page = text(admin_client, name, intake.pk)
        assert "Maria Souza" in page and "a message, taken in" in page


def test_the_pages_cost_the_same_however_much_was_heard(admin_client, pipeline, client):
    intake = managing_intakes.establish("evolution", "zap")

    def cost():
        with CaptureQueriesContext(connection) as queries:
            text(admin_client, LIST)
            text(admin_client, "admin:bridge_intake_way", intake.pk)
        return len(queries)

    client.post(managing_intakes.path_of(intake), body("evolution/01"), content_type="application/json")
    reading_calls.read_all()
    cost()
    few = cost()
    for number in range(30):
        managing_intakes.establish("waha", f"more-{number}")
        client.post(managing_intakes.path_of(intake), body("evolution/01"), content_type="application/json")
    reading_calls.read_all()
    assert cost() == few


@pytest.mark.parametrize(("answers", "says"), [(200, "The address answers."), (502, "does not answer (502)")])
def test_the_address_is_tested_as_the_other_side_would_reach_it(admin_client, intake, answers, says):
    with responses.RequestsMock() as theirs:
        theirs.head(f"http://testserver{managing_intakes.path_of(intake)}", status=answers)
        url = reverse("admin:bridge_intake_do", args=[intake.pk, "test"])
        assert says in admin_client.post(url, headers=ENGLISH, follow=True).content.decode()


def test_a_new_address_ends_the_old_one(admin_client, intake, client):
    old = managing_intakes.path_of(intake)
    admin_client.post(reverse("admin:bridge_intake_do", args=[intake.pk, "new-address"]))
    intake.refresh_from_db()
    assert client.get(old).status_code == 404
    assert client.get(managing_intakes.path_of(intake)).status_code == 200


def test_what_was_told_is_shown_and_can_be_read_again(admin_client, pipeline, client):
    intake = managing_intakes.establish("evolution", "zap")
    client.post(managing_intakes.path_of(intake), body("evolution/01"), content_type="application/json")
    reading_calls.read_all()
    call = IntakeCall.objects.get()
    page = admin_client.get(reverse("admin:bridge_intakecall_changelist")).content.decode()
    assert "Maria Souza" in page
    each_page = admin_client.get(reverse("admin:bridge_intakecall_change", args=[call.pk])).content.decode()
    assert "Boa tarde, vi o anúncio" in each_page
    again = {"action": "read_again", "_selected_action": [call.pk]}
    admin_client.post(reverse("admin:bridge_intakecall_changelist"), again)
    call.refresh_from_db()
    assert call.state == IntakeCall.State.RECEIVED


def test_who_only_looks_sees_no_address_and_changes_nothing(viewer, intake):
    for page in (text(viewer, LIST), text(viewer, "admin:bridge_intake_way", intake.pk)):
        assert "zap" in page and intake.secret not in page
    assert viewer.get(reverse(ADD)).status_code == 403
    for do in ("test", "new-address", "off"):
        assert viewer.post(reverse("admin:bridge_intake_do", args=[intake.pk, do])).status_code == 403
    assert viewer.get(reverse("admin:bridge_intake_do", args=[intake.pk, "off"])).status_code == 405
    before = intake.secret
    intake.refresh_from_db()
    assert intake.is_active and intake.secret == before


@pytest.mark.parametrize("kind", SOURCES)
def test_no_page_for_those_who_only_look_reads_an_address_for_a_key_of_that_name(viewer, pipeline, kind):
    keys = {name: f"the-{name}-of-ours" for name in SOURCES[kind].settings}
    row = managing_intakes.establish(kind, "zap", settings=keys)
    for name, args in (("change", [row.pk]), ("way", [row.pk]), ("state", [row.pk]), ("changelist", [])):
        page = text(viewer, f"admin:bridge_intake_{name}", *args)
        assert not [key for key in (row.secret, row.secret_hash, *keys.values()) if key in page]


@pytest.mark.parametrize(
    ("host", "port", "is_asked"),
    [
        ("bridge.example", "8000", True),
        ("bridge.example:443", "8000", True),
        ("127.0.0.1:8000", "8000", True),
        ("bridge.example:8443", "8000", True),
        ("127.0.0.1:6379", "8000", False),
        ("localhost:22", "8000", False),
        ("bridge.example:5432", "8000", False),
    ],
)
def test_testing_an_address_asks_us_and_no_other_port_of_the_machine(
    admin_client, intake, settings, host, port, is_asked
):
    settings.CSRF_TRUSTED_ORIGINS = ["https://bridge.example:8443"]
    settings.ALLOWED_HOSTS = ["bridge.example", "127.0.0.1", "localhost"]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as anybody:
        asked = anybody.head(re.compile(".*"), status=200)
        url = reverse("admin:bridge_intake_do", args=[intake.pk, "test"])
        answer = admin_client.post(url, headers={"host": host, **ENGLISH}, SERVER_PORT=port)
        assert answer.status_code == 302
        assert asked.call_count == int(is_asked)


@pytest.mark.parametrize(
    "public", ["http://10.0.0.5", "http://169.254.169.254", "https://evil.example", "http://[fd00::1]"]
)
def test_nor_a_host_that_is_not_ours_whatever_kommo_was_told(admin_client, intake, account, settings, public):
    settings.ALLOWED_HOSTS = ["testserver"]
    account.webhook_destination = f"{public}/webhooks/kommo/x/"
    account.save()
    with responses.RequestsMock():
        url = reverse("admin:bridge_intake_do", args=[intake.pk, "test"])
        page = admin_client.post(url, headers=ENGLISH, follow=True).content.decode()
    assert "not ours" in page

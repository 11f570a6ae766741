"""Every page of the admin opens, in both languages, and costs the same whatever the tables hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.db import connection
from django.template.loader import get_template
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_q.models import Schedule

from bridge.admin.base import Tones
from bridge.models import Account, Delivery
from tests.bridge.admin.forms import submit
from tests.conftest import drain, record

TEMPLATES = Path(settings.BASE_DIR) / "templates"
MODELS = [model for model in admin.site._registry if model._meta.app_label != "axes"]


def page(model, what, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


@pytest.mark.parametrize("language", ["pt-br", "en"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_list_and_page_opens(staff, full, model, language):
    answers = [staff.get(page(model, "changelist"), headers={"accept-language": language})]
    row = model._default_manager.first()
    if row is not None:
        answers.append(staff.get(page(model, "change", row.pk), headers={"accept-language": language}))
    assert {answer.status_code for answer in answers} == {200}
    assert not re.search(r"<title>\s*(Select|Selecione) ", answers[0].content.decode())


def test_a_badge_is_named_in_words_whatever_it_stands_for():
    """One shown by its key would be the same in every language: `Tones` knows all keys."""
    methods = [
        (type(page).__name__, name, getattr(page, name))
        for page in admin.site._registry.values()
        for name in page.list_display
        if isinstance(name, str) and hasattr(page, name)
    ]
    badges = [method for method in methods if isinstance(getattr(method[2], "label", None), dict)]
    assert len(badges) > 8
    shows_keys = [badge[:2] for badge in badges if "tuple" in str(badge[2].__annotations__.get("return"))]
    assert not [badge[:2] for badge in badges if badge[:2] in shows_keys and not isinstance(badge[2].label, Tones)]


def test_a_delivery_that_was_overtaken_says_so_in_portuguese(staff, full):
    Delivery.objects.update(outcome=Delivery.Outcome.DROPPED)
    page = staff.get("/admin/bridge/delivery/", headers={"accept-language": "pt-br"}).content.decode()
    assert "descartado: já havia informação mais nova" in page
    assert ">dropped<" not in page.replace(" ", "").replace("\n", "")


def test_the_first_page_opens_before_anything_is_there(staff):
    assert staff.get(reverse("admin:index")).status_code == 200


def test_the_first_page_speaks_the_browsers_language(staff, full):
    assert "Números técnicos" in staff.get("/admin/", headers={"accept-language": "pt-BR"}).content.decode()
    assert "Technical figures" in staff.get("/admin/", headers={"accept-language": "en"}).content.decode()


def test_the_webhooks_columns_are_named_in_portuguese(staff, full):
    page = staff.get("/admin/bridge/webhookevent/", headers={"accept-language": "pt-br"}).content.decode()
    assert "Conta" in page and "Tentativas" in page
    assert "Attempts" not in page


def test_the_login_says_what_this_is_and_waits_for_the_name(client, db):
    shown = client.get("/admin/login/", headers={"accept-language": "pt-BR"}).content.decode()
    assert "Kommo bridge" in shown
    assert "Entre o seu agente de vendas no WhatsApp e o Kommo" in shown
    [name] = re.findall('<input[^>]*name="username"[^>]*>', shown)
    assert "autofocus" in name


def test_nobody_gets_in_without_a_login(client, db):
    for model in MODELS:
        answer = client.get(page(model, "changelist"))
        assert (answer.status_code, answer.url.split("?")[0]) == (302, "/admin/login/")


def test_secrets_are_written_and_never_shown(staff, account):
    account.access_token, account.client_secret = "token-that-nobody-sees", "secret-that-nobody-sees"
    account.save()

    shown = staff.get(page(Account, "change", account.pk)).content.decode()
    assert "that-nobody-sees" not in shown

    answer = submit(staff, page(Account, "change", account.pk), name="Renamed")

    account.refresh_from_db()
    assert (answer.status_code, account.name, account.access_token) == (302, "Renamed", "token-that-nobody-sees")


def test_a_schedule_can_be_looked_at_and_never_made(staff, db):
    schedule = Schedule.objects.create(func="os.system", args="'true'", schedule_type=Schedule.ONCE)

    assert staff.get(page(Schedule, "changelist")).status_code == 200
    assert staff.get(page(Schedule, "add")).status_code == 403
    assert staff.post(page(Schedule, "change", schedule.pk), {"func": "os.abort"}).status_code == 403
    assert staff.post(page(Schedule, "delete", schedule.pk), {"post": "yes"}).status_code == 403
    assert Schedule.objects.get().func == "os.system"


@pytest.mark.parametrize("path", ["/admin/", "/admin/leads/lead/", "/admin/bridge/card/", "/admin/bridge/delivery/"])
def test_a_list_costs_the_same_for_one_lead_as_for_twenty(staff, account, pipeline, path):
    record(pipeline, "+5581990000000", name="One")
    drain(account)
    staff.get(path)
    with CaptureQueriesContext(connection) as few:
        staff.get(path)
    for number in range(20):
        record(pipeline, f"+55819900001{number:02d}", name=f"Lead {number}", context={"objections_raised": ["preço"]})
    drain(account)
    with CaptureQueriesContext(connection) as many:
        staff.get(path)
    assert len(many) <= len(few) + 1, [query["sql"] for query in many.captured_queries]


def test_staff_without_rights_see_no_lead(client, full):
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.get("/admin/leads/lead/").status_code == 403


def test_the_health_page_says_what_is_wrong_in_portuguese(staff):
    page = staff.get("/admin/health/", headers={"accept-language": "pt-br"}).content.decode()

    assert "Nenhum worker está trabalhando" in page
    assert "Inicie manage.py worker" in page
    assert "banco de dados" in page


def test_every_template_compiles():
    """One that is shown only at some moment of some page too."""
    names = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")}
    assert {"admin/setup/trial.html", "admin/rules/group.html"} <= names
    assert {get_template(name).template.name for name in names} == names


def test_a_tab_of_the_browser_has_a_picture(client, db):
    page = client.get(reverse("admin:login")).content.decode()
    picture = re.search(r'rel="icon"\s+href="/static/([^"]+)"', page)
    assert picture
    assert finders.find(picture[1])

"""Each role's limits, on every page that is registered: what is not given is refused, not only hidden."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from bridge import roles
from bridge.accounts import account_state
from bridge.admin import navigation
from bridge.admin.advanced import TABLES
from bridge.models import Account, ApiKey, Card, WebhookEvent
from followups.models import Attempt, Enrollment
from leads.models import Lead, Pipeline, Qualification
from tests.bridge.admin.forms import submit
from tests.bridge.admin.people import client_of
from tests.bridge.admin.rules_editing import publish, threshold
from tests.conftest import record

MODELS = [model for model in admin.site._registry if model._meta.app_label != "axes"]


def page(model, what, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


def press(client, model, action, *rows):
    """Choose rows of a list and press one of its actions."""
    body = {"action": action, "_selected_action": [row.pk for row in rows], "index": "0", "select_across": "0"}
    return client.post(page(model, "changelist"), body)


def test_a_viewer_sees_every_list_but_those_of_people_and_can_change_nothing(full, account):
    viewer = client_of(roles.READER)
    for model in MODELS:
        # The rules' tables as they are stored are for whoever looks after the installation.
        sees = model._meta.label_lower not in roles.PEOPLE and model not in TABLES
        answer = viewer.get(page(model, "changelist"))
        assert answer.status_code == (200 if sees else 403), model
        assert viewer.get(page(model, "add")).status_code == 403, model
        if sees:
            actions = admin.site._registry[model].get_actions(answer.wsgi_request)
            assert not actions, model
        row = model._default_manager.first()
        if row and sees:
            assert viewer.get(page(model, "change", row.pk)).status_code == 200, model
            assert viewer.post(page(model, "change", row.pk), {}).status_code == 403, model
            assert viewer.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403, model


@pytest.mark.parametrize("role", roles.ROLES)
def test_no_role_ever_sees_a_secret(account, role):
    account.client_secret = "secret-that-nobody-sees"
    account.save()

    shown = client_of(role).get(page(Account, "change", account.pk)).content.decode()

    assert account.name in shown
    assert "sandbox-token" not in shown
    assert "secret-that-nobody-sees" not in shown
    assert account.webhook_secret not in shown


def test_an_action_posted_by_a_viewer_does_nothing(full):
    viewer = client_of(roles.READER)

    press(viewer, Lead, "pause_agent", full)
    press(viewer, Card, "close", full.card)

    full.refresh_from_db()
    assert full.handoff_source == ""
    assert Card.objects.get().state == Card.State.IN_SYNC


def test_an_operator_pauses_and_resumes_the_agent_and_changes_no_rule(full):
    operator = client_of(roles.SELLER)

    press(operator, Lead, "pause_agent", full)
    full.refresh_from_db()
    assert full.handoff_source == Lead.HandoffSource.ADMIN
    press(operator, Lead, "resume_agent", full)
    full.refresh_from_db()
    assert full.handoff_source == ""

    qualification = Qualification.objects.get()
    assert operator.post(page(Qualification, "change", qualification.pk), {"min_score": 1}).status_code == 403


def test_a_manager_changes_a_threshold_and_no_secret(full, account):
    manager = client_of(roles.MANAGER)
    pipeline = Pipeline.objects.get()

    threshold(manager, pipeline, 55)
    publish(manager, pipeline)

    assert Qualification.objects.get().min_score == 55
    assert manager.post(page(Account, "change", account.pk), {"access_token": "x"}).status_code == 403
    assert manager.get(page(ApiKey, "add")).status_code == 403
    assert manager.get(page(User, "changelist")).status_code == 403


def test_an_admin_makes_keys_and_people_but_no_superuser(db):
    boss = client_of(roles.ADMINISTRATOR)

    assert boss.post(page(ApiKey, "add"), {"name": "agent"}).status_code == 302
    assert ApiKey.objects.get().name == "agent"
    made = {"email": "Eve@example.com", "first_name": "Eve", "role": "reader", "is_superuser": "on"}
    assert boss.post(page(User, "add"), made).status_code == 302
    eve = User.objects.get(username="eve@example.com")
    assert (eve.is_staff, eve.is_superuser, roles.role_of(eve)) == (True, False, "reader")
    submit(boss, page(User, "change", eve.pk), is_superuser="on", role="seller")
    assert roles.role_of(eve) == "seller"
    eve.refresh_from_db()
    assert not eve.is_superuser


def test_an_admin_cannot_take_over_or_remove_a_superuser_nor_remove_themselves(db):
    boss = client_of(roles.ADMINISTRATOR)
    root = User.objects.create_superuser("root", password="a-password")
    me = User.objects.get(username__startswith="administrator-")

    assert boss.post(page(User, "change", root.pk), {"username": "x"}).status_code == 403
    change_password = reverse("admin:auth_user_password_change", args=[root.pk])
    body = {"usable_password": "true", "password1": "mine-now-123", "password2": "mine-now-123"}
    assert boss.post(change_password, body).status_code == 403
    assert boss.post(page(User, "delete", root.pk), {"post": "yes"}).status_code == 403
    assert boss.post(page(User, "delete", me.pk), {"post": "yes"}).status_code == 403
    boss.post(page(User, "changelist"), {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"})
    assert User.objects.filter(pk__in=[root.pk, me.pk]).count() == 2


def test_the_shipped_groups_are_shown_and_not_edited(db):
    boss = client_of(roles.ADMINISTRATOR)
    group = Group.objects.get(name="reader")

    assert boss.get(page(Group, "change", group.pk)).status_code == 200
    assert boss.post(page(Group, "change", group.pk), {"name": "x"}).status_code == 403
    assert boss.post(page(Group, "delete", group.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none", None])
@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_a_button_is_pressed_by_its_own_form_and_by_no_link_from_anywhere(full, method, site):
    operator = client_of(roles.SELLER)
    WebhookEvent.objects.update(state=WebhookEvent.State.PROCESSED)
    button = reverse("admin:bridge_webhookevent_process_this_again", args=[WebhookEvent.objects.get().pk])

    answer = getattr(operator, method)(button, headers={"sec-fetch-site": site} if site else {})

    assert answer.status_code == 200
    assert WebhookEvent.objects.get().state == WebhookEvent.State.PROCESSED
    if method == "get":
        assert "<button" in answer.content.decode()
    assert operator.post(button).status_code == 302
    assert WebhookEvent.objects.get().state != WebhookEvent.State.PROCESSED


def everything() -> dict[str, list[dict]]:
    """Return every row of ours, and of the record."""
    ours = [model for app in ("leads", "followups", "bridge") for model in apps.get_app_config(app).get_models()]
    return {model._meta.label: list(model.objects.order_by("pk").values()) for model in (*ours, LogEntry)}


def buttons(model: type, where: str) -> Iterator[str]:
    """Return the names of a page's buttons; some stand together under one name."""
    for entry in getattr(admin.site._registry[model], where) or ():
        yield from entry["items"] if isinstance(entry, dict) else [entry]


OF_A_ROW = [(model, name) for model in MODELS for name in buttons(model, "actions_detail")]
OF_A_LIST = [(model, name) for model in MODELS for name in buttons(model, "actions_list")]


# docs/first-run.md, "Who may do what": whoever has the role, or one above it. What stands nowhere is a seller's.
LEAST_ROLE = {
    (Account, "pause"): roles.MANAGER,
    (Account, "resume"): roles.MANAGER,
    (Account, "shadow"): roles.ADMINISTRATOR,
    (Account, "unshadow"): roles.ADMINISTRATOR,
    (Account, "connect_kommo"): roles.ADMINISTRATOR,
    (ApiKey, "revoke"): roles.ADMINISTRATOR,
    (User, "send_link"): roles.ADMINISTRATOR,
    (User, "reset_second_factor"): roles.ADMINISTRATOR,
    # They only lead to a page.
    (Attempt, "figures"): roles.READER,
    (Enrollment, "figures"): roles.READER,
}


def may(role: str, model: type, name: str) -> bool:
    least = roles.ADMINISTRATOR if name == "delete_selected" else LEAST_ROLE.get((model, name), roles.SELLER)
    return roles.ROLES.index(role) >= roles.ROLES.index(least)


@pytest.mark.parametrize("role", roles.ROLES)
def test_an_action_of_a_list_is_offered_to_its_role_and_those_above_it(db, role, rf):
    request = rf.get("/")
    request.user = User.objects.get(pk=client_of(role).session["_auth_user_id"])
    for model in MODELS:
        page_of = admin.site._registry[model]
        named = {each if isinstance(each, str) else each.__name__ for each in page_of.actions or ()}
        offered = set(page_of.get_actions(request))

        assert {name for name in offered if not may(role, model, name)} == set(), model
        if page_of.has_view_permission(request):
            assert {name for name in named if may(role, model, name)} <= offered, model


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_button_is_neither_shown_nor_pressed_below_its_role(full, role, method):
    client, before = client_of(role), everything()
    for model, name in [*OF_A_ROW, *OF_A_LIST]:
        row = model.objects.first() if (model, name) in OF_A_ROW else None
        action = admin.site._registry[model].get_unfold_action(name)
        some_id = row.pk if row else model._meta.pk.get_default() or 1
        address = reverse(f"admin:{action.action_name}", args=[some_id] if (model, name) in OF_A_ROW else [])
        if not may(role, model, name):
            assert getattr(client, method)(address).status_code == 403, (model, name)
        elif method == "get":
            assert client.get(address).status_code != 403, (model, name)
    if role == roles.READER:
        assert everything() == before


@pytest.mark.parametrize(("do", "least"), [("resume-account", roles.MANAGER), ("replay-webhooks", roles.SELLER)])
@pytest.mark.parametrize("role", roles.ROLES)
def test_so_is_a_button_of_the_overview(account, role, do, least):
    account_state.pause(account, reason="prices change", now=timezone.now(), by=Account.PausedBy.PERSON)
    client = client_of(role)

    answer = client.post(reverse("overview-act", args=[do]), {"account": account.pk})

    may_press = roles.ROLES.index(role) >= roles.ROLES.index(least)
    assert answer.status_code == (302 if may_press else 403)
    if do == "resume-account":
        account.refresh_from_db()
        assert (account.state == Account.State.PAUSED) != may_press
        account_state.pause(account, reason="prices change", now=timezone.now(), by=Account.PausedBy.PERSON)
        shown = client.get("/admin/").content.decode()
        assert (reverse("overview-act", args=[do]) in shown) == may_press


def test_leaving_shadow_asks_for_the_password(account):
    account_state.enter_shadow(account, now=timezone.now())
    boss = client_of(roles.ADMINISTRATOR, fresh=False)

    asked = press(boss, Account, "unshadow", account)

    account.refresh_from_db()
    assert account.state == Account.State.SHADOW
    assert "Please confirm that it is you" in asked.content.decode()


@pytest.mark.parametrize(("model", "name"), [*OF_A_ROW, *OF_A_LIST])
def test_no_button_of_any_page_acts_when_its_link_is_followed(full, model, name):
    boss = client_of(roles.ADMINISTRATOR)
    row = model.objects.first() if (model, name) in OF_A_ROW else None
    action = admin.site._registry[model].get_unfold_action(name)
    before = everything()

    boss.get(reverse(f"admin:{action.action_name}", args=[row.pk if row else 1] if (model, name) in OF_A_ROW else []))

    assert everything() == before


@pytest.mark.parametrize("role", roles.ROLES)
def test_the_sidebar_offers_only_pages_that_open(full, role):
    client = client_of(role)
    sections = client.get("/admin/").context["sidebar_navigation"]
    links = [item["link"] for section in sections for item in section["items"] if item.get("has_permission", True)]

    assert len(links) >= 6
    assert {client.get(link, follow=True).status_code for link in links} == {200}


def test_whoever_guesses_a_password_is_locked_out_with_the_right_one_too(db, settings):
    settings.AXES_ENABLED = True
    User.objects.create_superuser("maria", "maria@example.com", "the right password")
    guesser = Client()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        guesser.post("/admin/login/", {"username": "maria", "password": "a guess"})

    guesser.post("/admin/login/", {"username": "maria", "password": "the right password"})

    assert "_auth_user_id" not in guesser.session


def test_the_eighth_wrong_password_is_refused_already(db, settings):
    """As SECURITY.md says it."""
    settings.AXES_ENABLED = True
    wrong = {"username": "maria", "password": "a guess"}
    assert [Client().post("/admin/login/", wrong).status_code for _ in range(9)] == [200] * 7 + [429] * 2


def test_with_the_right_password_at_once_one_is_in(db, settings):
    settings.AXES_ENABLED = True
    User.objects.create_superuser("maria", "maria@example.com", "the right password")
    client = Client()
    client.post("/admin/login/", {"username": "maria", "password": "the right password"})
    assert "_auth_user_id" in client.session


@pytest.mark.parametrize(("language", "text"), [("en", "quarter of an hour"), ("pt-br", "quarto de hora")])
def test_whoever_is_locked_out_reads_for_how_long_and_who_can_help(db, settings, language, text):
    settings.AXES_ENABLED = True
    User.objects.create_superuser("maria", "maria@example.com", "the right password")
    guesser = Client(headers={"accept-language": language})
    for _ in range(settings.AXES_FAILURE_LIMIT):
        answer = guesser.post("/admin/login/", {"username": "maria", "password": "a guess"})

    assert answer.status_code == 429
    assert text in answer.content.decode()
    # In the colours of the login: without them the page is bare, and white in the dark.
    assert "--color-primary" in answer.content.decode()
    assert "axes_reset_username maria" in answer.content.decode()


def test_somebody_without_a_role_learns_nothing_of_leads(full, account):
    record(Pipeline.objects.get(slug="solar"), phone="+5581977776666", name="Zulmira", chosen_flow="Plano Zulmira")
    client = Client()
    client.force_login(User.objects.create_user("new", is_staff=True), "django.contrib.auth.backends.ModelBackend")

    page = client.get("/admin/")

    assert page.status_code == 200
    assert "You have no role here yet" in page.content.decode()
    assert "Zulmira" not in page.content.decode()
    assert client.get("/admin/overview/live/").status_code == 403


@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_the_bar_of_a_phone_has_room_for_what_it_calls_its_pages(db, language):
    request = client_of(roles.SELLER).get("/admin/", headers={"accept-language": language}).wsgi_request
    with translation.override(language):
        titles = [str(link["title"]) for link in navigation.at_hand(request)]
    assert len(titles) == 4
    assert max(map(len, titles)) <= 12, titles

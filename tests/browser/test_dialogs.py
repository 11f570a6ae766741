"""Every dialog, question and action a role is offered, gone through to its end by whoever has nothing but the page.

Nothing is named here beforehand: pages are looked through for what they offer, and each offer is completed as its own
page asks. What is required is filled in, what is asked again is confirmed; a deed that cannot be completed fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from playwright.sync_api import Page, expect

from bridge.api import api_keys
from bridge.models import Account, AgentEvent, Alert, ApiKey, Card, Drift, WebhookEvent
from followups.models import Enrollment
from leads import handoff, optout, stage_moves
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.browser.visits import PASSWORD
from tests.conftest import drain, record

ROLES = ("seller", "manager", "administrator")
# A lead's page offers other things in each; together they offer everything it has.
SITUATIONS = ("at peace", "handed over", "in a stage of people", "deleted in Kommo", "refused", "opted out")
LISTS = (
    "leads/lead", "followups/enrollment", "leads/optout", "bridge/account", "bridge/card", "bridge/drift",
    "bridge/webhookevent", "bridge/agentevent", "bridge/apikey", "bridge/alert", "auth/user", "auth/group",
)  # fmt: skip


@pytest.fixture
def leads(account, pipeline) -> Callable[[str], Lead]:
    """Return a function that makes one more lead in a situation."""

    def make(situation: str) -> Lead:
        number = Lead.objects.count()
        name = f"Pessoa {number}"
        lead = record(
            pipeline, f"+5581955550{number:03}", name=name, message=Message(Direction.OUTBOUND, text="Olá")
        ).lead
        drain(account)
        now = timezone.now()
        if situation == "handed over":
            handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer uma pessoa", now=now)
        elif situation == "in a stage of people":
            for key in ("qualifying", "human_handoff"):
                stage_moves.move(lead, pipeline.stages.get(key=key), by=Lead.Actor.STAFF, reason="dragged", now=now)
        elif situation == "deleted in Kommo":
            Card.objects.filter(lead=lead).update(state=Card.State.GONE, due_at=None, pending_since=None)
        elif situation == "opted out":
            optout.opt_out(lead, by=Lead.Actor.STAFF, reason="asked", now=now)
        elif situation == "refused":
            Card.objects.filter(lead=lead).update(state=Card.State.DEAD, due_at=None, pending_since=None)
        return lead

    return make


@pytest.fixture
def rows(account, leads) -> Callable[[], None]:
    """Return a function that gives every list something to act on."""

    def fill() -> None:
        # Whatever the deed before made of the account.
        Account.objects.update(state=Account.State.ACTIVE, state_reason="")
        lead, now = leads("at peace"), timezone.now()
        card = Card.objects.get(lead=lead)
        Drift.objects.create(card=card, subject="name", ours="a", theirs="b", found_at=now, found_by="poll")
        WebhookEvent.objects.create(account=account, body=b"?", received_at=now, state=WebhookEvent.State.FAILED)
        AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=now, due_at=now, state="dead")
        api_keys.issue(ApiKey(name=f"agent {lead.phone}"))
        if not Alert.objects.exists():
            Alert.objects.create(subject="worker: x", message="x", first_seen_at=now, last_seen_at=now)
        optout.opt_out(leads("at peace"), by=Lead.Actor.STAFF, reason="asked", now=now)

    return fill


def complete(page: Page) -> None:
    """Answer whatever is asked before the deed, however often: the password, a confirmation, a press."""
    for _ in range(4):
        password = page.locator("input[name=_confirm_password]")
        asks = page.locator("form.kb-actions button.kb-button-primary")
        if password.count():
            password.fill(PASSWORD)
            page.get_by_role("button", name="Confirm").click()
        elif asks.count():
            asks.click()
        else:
            return
        page.wait_for_load_state()


def fill_in(dialog) -> None:
    """Fill what the dialog requires, and nothing else: a person reads no more than that."""
    for box in dialog.locator("select[required]").all():
        if not box.input_value():
            usable = box.locator("option:not([disabled]):not([value=''])").first
            box.select_option(usable.get_attribute("value"))
    for box in dialog.locator("input[required]").all():
        asked = box.evaluate("one => one.closest('label').innerText")
        box.fill(asked.partition("“")[2].partition("”")[0])
    # Facts are set right by being changed.
    for box in dialog.locator("input[name=name]").all():
        box.fill("Ana Beatriz")


def deeds_of(page: Page) -> list[str]:
    return [button.get_attribute("data-opens") for button in page.locator("[data-opens]").all()]


@pytest.mark.parametrize(
    ("role", "viewport"), [*((role, "desktop") for role in ROLES), ("seller", "phone"), ("administrator", "phone")]
)
def test_every_dialog_of_a_leads_page_is_completed(open_page, leads, role, viewport):
    page = open_page(role=role, viewport=viewport)
    done: set[str] = set()
    for situation in SITUATIONS:
        page.goto(address(leads(situation)))
        for deed in deeds_of(page):
            if deed not in done:
                done.add(deed)
                lead = leads(situation)
                before = LogEntry.objects.count()
                page.goto(address(lead))
                page.locator(f"[data-opens={deed}]").click()
                dialog = page.locator(f"dialog#{deed}")
                expect(dialog).to_be_visible()
                fill_in(dialog)
                dialog.locator("button:not([type=button])").click()
                page.wait_for_load_state()
                complete(page)
                expect(page.locator("dialog[open]")).to_have_count(0)
                assert page.url.endswith(address(lead)), (deed, page.url)
                assert LogEntry.objects.count() == before + 1, f"{deed} left nothing on the record"
    wanted = {"do-correct", "do-pause", "do-move", "do-opt-out", "do-resume", "do-recreate", "do-close", "do-take-back"}
    assert done == wanted | ({"do-erase"} if role == "administrator" else set())


def address(lead: Lead) -> str:
    return f"/admin/leads/lead/{lead.pk}/change/"


@pytest.mark.parametrize("role", ROLES)
def test_every_action_of_every_list_is_completed(open_page, rows, role):
    rows()
    page = open_page(role=role)
    done = set()
    for name, action in list(offered_by_lists(page)):
        rows()
        before = LogEntry.objects.count()
        page.goto(f"/admin/{name}/")
        page.locator("input[name=_selected_action]").first.check()
        page.locator("select[name=action]").select_option(action)
        page.locator("button[name=index]").click()
        page.wait_for_load_state()
        complete(page)
        assert f"/admin/{name}/" in page.url, (name, action, page.url)
        assert LogEntry.objects.count() > before, f"{name}: {action} left nothing on the record"
        done.add((name, action))
    assert {("leads/lead", "pause_agent"), ("followups/enrollment", "cancel"), ("bridge/card", "requeue")} <= done


def offered_by_lists(page: Page) -> Iterator[tuple[str, str]]:
    for name in LISTS:
        if page.request.get(f"/admin/{name}/").status != 200:
            continue
        page.goto(f"/admin/{name}/")
        for option in page.locator("select[name=action] option:not([value=''])").all():
            # Whoever deletes users or keys deletes their own way in here.
            if option.get_attribute("value") != "delete_selected":
                yield name, option.get_attribute("value")


@pytest.mark.parametrize(("role", "viewport"), [("seller", "desktop"), ("seller", "phone")])
def test_every_button_of_a_follow_ups_page_is_completed(open_page, leads, role, viewport):
    page = open_page(role=role, viewport=viewport)
    done = set()
    for is_held in (False, True):
        for path in buttons_of(page, waiting(leads, is_held)):
            if path not in done:
                done.add(path)
                enrollment = waiting(leads, is_held)
                before = LogEntry.objects.count()
                page.goto(f"/admin/followups/enrollment/{enrollment.pk}/{path}/")
                complete(page)
                assert LogEntry.objects.count() > before, path
    assert done == {"send-now", "hold", "let-go-on", "skip", "cancel", "opt-out"}


def waiting(leads, is_held: bool) -> Enrollment:
    lead = leads("at peace")
    Enrollment.objects.filter(lead=lead).update(held=is_held)
    return Enrollment.objects.get(lead=lead)


def buttons_of(page: Page, enrollment: Enrollment) -> list[str]:
    start = f"/admin/followups/enrollment/{enrollment.pk}/"
    page.goto(f"{start}change/")
    links = [link.get_attribute("href") or "" for link in page.locator(f"a[href^='{start}']").all()]
    found = {link.removeprefix(start).strip("/") for link in links}
    return sorted(found - {"change", "history", "delete"})


def test_a_viewer_is_offered_nothing_to_do(open_page, rows, leads):
    rows()
    page = open_page(role="reader")
    for situation in SITUATIONS:
        page.goto(address(leads(situation)))
        assert deeds_of(page) == []
        expect(page.locator("form[action*='/do/']")).to_have_count(0)
    assert list(offered_by_lists(page)) == []

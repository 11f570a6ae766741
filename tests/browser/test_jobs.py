"""What people come for, with as few presses as the best tools need: `BEST` bounds each job, on a desk and on a phone.

Each job is done in every language, in the light and in the dark, by the role whose job it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bridge import tasks
from bridge.models import Card, Heartbeat, RulesRevision
from followups.models import Enrollment, Step
from leads import handoff, optout, stage_moves
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Criterion, Lead, Qualification, Stage
from tests.browser.hand import Hand
from tests.browser.visits import fits
from tests.conftest import drain, record

BEST = {
    "is everything all right": 0,
    "what happened to Maria, and why is she there": 2,
    "free what is stuck": 1,
    "a lower score: who moves, and publish": 5,
    "who waits for a person": 0,
    "who is met today and tomorrow": 0,
    "what the agent earned this month": 0,
    "rename a stage": 3,
    "add a stage that works": 4,
    "add a criterion": 6,
    "add a step to a follow-up": 6,
    "hold a follow-up": 2,
    "take over": 2,
    "give back": 1,
    "find by part of a phone": 1,
    "undo a publication": 2,
    "undo a move": 1,
    "undo giving back": 1,
    "undo an opt-out": 2,
}
# Every language, both sizes, both lights; a job need not be done in all of their combinations.
PLACES = [
    pytest.param("desktop", "en", False, id="desk"),
    pytest.param("desktop", "es", True, id="desk in the dark"),
    pytest.param("phone", "pt-BR", False, id="phone"),
]
everywhere = pytest.mark.parametrize(("viewport", "language", "dark"), PLACES)
Open = Callable[..., Hand]


@pytest.fixture
def hand(open_page, viewport, language, dark) -> Open:
    """Return a function that sits somebody of a role down at a page."""

    def open_for(role: str, path: str = "/admin/") -> Hand:
        page: Page = open_page(path, role=role, viewport=viewport, language=language, dark=dark)
        return Hand(page, language=language, viewport=viewport)

    return open_for


def within(job: str, hand: Hand) -> None:
    assert hand.presses <= BEST[job], f"{job}: {hand.presses} presses"
    assert fits(hand.page)


@pytest.fixture
def maria(pipeline) -> Lead:
    """A lead who wrote, was answered, and waits for nobody."""
    lead = record(pipeline, name="Maria Souza", message=Message(Direction.INBOUND, text="Oi! Vi o anúncio.")).lead
    record(pipeline, message=Message(Direction.OUTBOUND, text="Oi, Maria! Quanto vem a sua conta?"))
    return lead


def hand_over(lead: Lead) -> None:
    now = timezone.now()
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer uma pessoa", now=now)


def find_text(hand: Hand, text: str) -> None:
    """Read a text of the pages that counts or names something, whatever that is."""
    parts = [re.escape(part) for part in re.split(r"%\(\w+\)[sd]", hand.word(text))]
    hand.sees(re.compile(".+".join(parts)))


# --- Looking


@everywhere
@pytest.mark.parametrize("role", ["seller", "manager"])
def test_whether_everything_is_all_right_is_the_first_thing_one_reads(hand, account, maria, role):
    drain(account)
    Heartbeat.objects.create(worker="one", at=timezone.now())
    somebody = hand(role)
    standing = somebody.page.locator(".kb-status")
    expect(standing).to_be_in_viewport()
    expect(standing).to_contain_text(re.compile(f"{somebody.word('All working')}|\\d"))
    within("is everything all right", somebody)


@everywhere
def test_who_waits_for_a_person_is_seen_without_a_press_with_what_they_said(hand, maria):
    hand_over(maria)
    seller = hand("seller")
    seller.sees("Maria Souza", at_once=True)
    seller.sees("“Oi! Vi o anúncio.”", at_once=True)
    within("who waits for a person", seller)


@everywhere
@pytest.mark.parametrize("role", ["seller", "manager"])
def test_who_is_met_and_what_was_earned_is_seen_without_a_press(hand, pipeline, maria, role):
    soon = timezone.now() + timedelta(hours=2)
    record(pipeline, bill_value=640, context={"meeting": Meeting("scheduled", id="evt", starts_at=soon)})
    won = record(pipeline, "+5581999990001", name="João Reis", bill_value=14500).lead
    stage_moves.move(won, pipeline.stages.get(kind="won"), by=Lead.Actor.STAFF, reason="", now=timezone.now())
    somebody = hand(role)
    at_a_glance = somebody.page.get_by_role("region", name=somebody.word("At a glance"))
    tiles = at_a_glance.get_by_role("link")
    expect(tiles).to_have_count(4)
    for number, text in enumerate(["", "Maria Souza", "1", "14.500" if somebody.language != "en" else "14,500"]):
        expect(tiles.nth(number)).to_be_in_viewport(ratio=1)
        expect(tiles.nth(number)).to_contain_text(text)
    if not somebody.is_phone:
        somebody.sees(soon.astimezone(ZoneInfo(pipeline.time_zone)).strftime("%H:%M"), at_once=True)
    within("who is met today and tomorrow", somebody)
    within("what the agent earned this month", somebody)


@everywhere
@pytest.mark.parametrize("role", ["reader", "seller"])
def test_what_happened_to_maria_is_found_by_her_name(hand, maria, role):
    somebody = hand(role)
    somebody.find("souza mar")
    expect(somebody.page.get_by_role("heading", name="Maria Souza").first).to_be_visible()
    somebody.sees(somebody.word("Why it is here, and why not elsewhere"))
    within("what happened to Maria, and why is she there", somebody)


@everywhere
def test_a_lead_is_found_by_part_of_a_phone(hand, maria):
    seller = hand("seller")
    seller.find("99999-0000")
    expect(seller.page.get_by_role("heading", name="Maria Souza").first).to_be_visible()
    within("find by part of a phone", seller)


# --- Doing, and taking it back


@everywhere
def test_a_card_that_was_refused_is_sent_again_from_the_first_page(hand, account, maria):
    drain(account)
    Card.objects.update(state=Card.State.DEAD, waiting_reason="refused by Kommo: name: too long")
    seller = hand("seller")
    concern = seller.page.get_by_role("listitem").filter(has_text="name: too long").first
    seller.press(concern.get_by_role("button"))
    expect(concern).to_have_count(0)
    assert Card.objects.get().state == Card.State.DUE
    within("free what is stuck", seller)


@everywhere
def test_a_seller_takes_over(hand, maria):
    seller = hand("seller", f"/admin/leads/lead/{maria.pk}/change/")
    seller.press(seller.button("Pause the agent"))
    seller.press(seller.button("Pause the agent", within=seller.page.get_by_role("dialog")))
    seller.sees(seller.word("The agent is silent for this lead."))
    maria.refresh_from_db()
    assert maria.in_handoff
    within("take over", seller)


@everywhere
def test_a_lead_is_given_back_from_the_first_page_and_that_is_undone(hand, maria):
    hand_over(maria)
    seller = hand("seller")
    row = seller.page.get_by_role("listitem").filter(has_text="Maria Souza").filter(has_text="quer uma pessoa")
    seller.press(seller.button("Give back", within=row))
    seller.sees(seller.word("The agent answers again."))
    maria.refresh_from_db()
    assert not maria.in_handoff
    within("give back", seller)
    undone(seller, "undo giving back")
    maria.refresh_from_db()
    assert maria.handoff_source == Lead.HandoffSource.API


def undone(hand: Hand, job: str) -> None:
    hand.presses = 0
    hand.press(hand.button("Undo"))
    expect(hand.button("Undo")).to_have_count(0)
    within(job, hand)


@everywhere
def test_a_move_is_undone(hand, maria):
    before = maria.stage_id
    seller = hand("seller", f"/admin/leads/lead/{maria.pk}/change/")
    seller.press(seller.button("Move …"))
    dialog = seller.page.get_by_role("dialog")
    dialog.get_by_role("combobox").select_option("qualified")
    seller.press(dialog.locator("button.kb-button-primary"))
    find_text(seller, "The lead stands in %(stage)s now, and rules leave it there.")
    undone(seller, "undo a move")
    seller.sees(seller.word("Undone."))
    maria.refresh_from_db()
    assert maria.stage_id == before


@everywhere
def test_an_opt_out_is_undone_at_once_or_much_later(hand, maria):
    seller = hand("seller", f"/admin/leads/lead/{maria.pk}/change/")
    seller.press(seller.button("Opt out"))
    seller.press(seller.button("Opt out", within=seller.page.get_by_role("dialog")))
    seller.sees(seller.word("This person gets no follow-up ever again."))
    undone(seller, "undo an opt-out")
    maria.refresh_from_db()
    assert maria.opted_out_at is None

    optout.opt_out(maria, by=Lead.Actor.LEAD, reason="pare", now=timezone.now())
    seller = hand("seller", f"/admin/leads/lead/{maria.pk}/change/")
    seller.press(seller.button("Take the opt-out back"))
    seller.press(seller.button("Take the opt-out back", within=seller.page.get_by_role("dialog")))
    maria.refresh_from_db()
    assert maria.opted_out_at is None
    within("undo an opt-out", seller)


@everywhere
def test_a_follow_up_is_held_from_the_leads_page_and_released_there(hand, maria):
    seller = hand("seller")
    seller.find("maria")
    waits = seller.page.locator("form[action*='/enrollment/']")
    seller.press(waits.get_by_role("button", name=re.compile(f"^{seller.word('Hold')}")).first)
    expect(seller.page.get_by_role("heading", name="Maria Souza").first).to_be_visible()
    assert Enrollment.objects.get().held
    within("hold a follow-up", seller)

    seller.press(waits.get_by_role("button", name=re.compile(f"^{seller.word('Release')}")).first)
    expect(waits.get_by_role("button", name=re.compile(f"^{seller.word('Hold')}")).first).to_be_visible()
    assert not Enrollment.objects.get().held


# --- Rules


@pytest.fixture
def scored(pipeline) -> None:
    qualifying = {"conversation_stage": "qualificação"}
    for number in range(3):
        record(pipeline, f"+558199999000{number}", name=f"Lead {number}", qualification_score=65, context=qualifying)


def review(hand: Hand) -> None:
    """Go on with Enter, as one does who has just typed."""
    hand.leave(lambda: hand.page.keyboard.press("Enter"))
    looks_at_the_draft(hand)


def looks_at_the_draft(hand: Hand) -> None:
    expect(hand.page.get_by_role("heading", name=hand.word("What the draft changes"))).to_be_visible()
    expect(hand.page.get_by_label(hand.word("Why? (kept in the history)"))).to_be_focused()


def publish(hand: Hand, *, asks_leads: bool = False) -> None:
    hand.leave(lambda: hand.page.keyboard.press("Enter"))
    if asks_leads:
        # How many are asked again stands in the sentence; that it can be undone, beside it.
        expect(hand.button("Undo")).to_be_visible()
    else:
        find_text(hand, "Published as revision %(number)d. It holds from the next interaction on.")


@everywhere
def test_a_lower_score_is_tried_seen_and_published_and_taken_back(hand, pipeline, scored):
    manager = hand("manager")
    manager.open("Rules", "Qualification")
    manager.press(manager.page.locator("#id_min_score"))
    manager.write("60")
    expect(manager.page.locator("#what-if [data-moving]")).to_have_text("3")
    review(manager)
    manager.press(manager.page.locator("input[name=move][value=allowed]"))
    publish(manager, asks_leads=True)
    assert Qualification.objects.get().min_score == 60
    within("a lower score: who moves, and publish", manager)

    undone(manager, "undo a publication")
    manager.sees(manager.word("Undone: what held before holds again. Leads that were moved stay where they are."))
    assert Qualification.objects.get().min_score == 70
    assert RulesRevision.objects.first().origin == "rolled_back"


@everywhere
def test_a_stage_is_renamed(hand, pipeline):
    manager = hand("manager")
    manager.open("Rules", "Stages")
    manager.press(manager.page.locator("#stages > [data-row]").first.locator("input[name$='-name']"))
    manager.write("PRIMEIRO CONTATO")
    review(manager)
    publish(manager)
    assert Stage.objects.filter(pipeline=pipeline, name="PRIMEIRO CONTATO").exists()
    within("rename a stage", manager)


@everywhere
def test_a_stage_that_works_is_added(hand, account, pipeline):
    """It stands before those where leads end, and in Kommo too once a worker has been at it."""
    manager = hand("manager")
    manager.open("Rules", "Stages")
    manager.press(manager.button("Add a stage", exact=False))
    manager.write("PROPOSTA ENVIADA")
    review(manager)
    manager.press(manager.page.locator("input[name=in_kommo][value=do]"))
    publish(manager)
    within("add a stage that works", manager)
    tasks.do_stage_wishes(account.pk)
    added = Stage.objects.get(pipeline=pipeline, name="PROPOSTA ENVIADA")
    assert added.kommo_status_id
    assert set(Stage.objects.filter(pipeline=pipeline, rank__gt=added.rank).values_list("kind", flat=True)) == {
        "won",
        "lost",
    }


@everywhere
def test_a_criterion_is_added(hand, pipeline):
    before = Criterion.objects.count()
    manager = hand("manager")
    manager.open("Rules", "Qualification")
    manager.press(manager.button("Add a criterion", exact=False))
    row = manager.page.locator("#criteria > [data-row]").last
    # The new row has the focus.
    manager.write(manager.word("bill value"))
    row.locator("select[name$='-operator']").select_option("gte")
    manager.presses += 1
    manager.press(row.locator("input[name$='-value']"))
    manager.write("500")
    review(manager)
    if (leave := manager.page.locator("input[name=move][value='']")).is_visible() and not leave.is_checked():
        manager.press(leave)
    publish(manager)
    assert Criterion.objects.count() == before + 1
    within("add a criterion", manager)


@everywhere
def test_a_step_is_added_to_a_follow_up(hand, pipeline):
    before = Step.objects.filter(sequence__slug="reengagement").count()
    manager = hand("manager")
    manager.open("Rules", "Follow-ups")
    manager.press(manager.page.locator("a[href$='/sequences/reengagement/']"))
    manager.press(manager.button("Add a message", exact=False))
    row = manager.page.locator("#steps > [data-row]").last
    manager.write("4 d")
    manager.press(row.get_by_role("textbox", name=manager.word("Text"), exact=True))
    manager.write("Oi! Ainda posso ajudar?")
    manager.leave(lambda: manager.press(manager.button("Review and publish")))
    looks_at_the_draft(manager)
    publish(manager)
    assert Step.objects.filter(sequence__slug="reengagement").count() == before + 1
    within("add a step to a follow-up", manager)


@everywhere
def test_a_text_that_names_what_there_is_not_is_refused_at_once(hand, pipeline):
    manager = hand("manager", f"/admin/leads/pipeline/{pipeline.pk}/rules/sequences/reengagement/")
    first = manager.page.locator("#steps > [data-row]").first
    first.get_by_role("textbox", name=manager.word("Text"), exact=True).fill("Oi {{ first_nam }}, ainda posso ajudar?")
    manager.press(manager.button("Review and publish"))
    expect(manager.page.get_by_role("alert").first).to_be_visible()
    expect(manager.page.locator(".errorlist").first).to_contain_text("first_nam")
    assert "first_nam }}" not in Step.objects.filter(sequence__slug="reengagement").order_by("position")[0].text


def test_every_job_is_done_here():
    """Each name of `BEST` bounds something."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert not [job for job in BEST if source.count(f'"{job}"') < 2]

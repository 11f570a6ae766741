"""The lead's page tells everything about one lead, and does to it what a service does, by those who may."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bridge import roles
from bridge.admin.leads import staff_actions, timeline
from bridge.models import AgentEvent, Card, RulesRevision
from leads import handoff, stage_moves
from leads.facts_set_in_the_admin import CORRECTABLE
from leads.models import Event, Lead
from tests.bridge.admin.people import client_of
from tests.conftest import drain, lead_of, record
from tests.saying import saying


@pytest.fixture
def lead(account, pipeline):
    record(pipeline, name="Maria Souza", bill_value=4500, context={"objections": ["preço"]})
    drain(account)
    return lead_of()


def url(lead):
    return reverse("admin:leads_lead_change", args=[lead.pk])


def opened(client, lead, query=""):
    answer = client.get(url(lead) + query)
    assert answer.status_code == 200
    return answer


def do(client, lead, what, **values):
    return client.post(reverse("admin:leads_lead_do", args=[lead.pk, what]), values, follow=True)


def test_the_page_shows_where_the_lead_stands_and_links_to_its_card(staff, lead):
    page = opened(staff, lead).content.decode()
    assert f"{lead.card.account.base_url}/leads/detail/{lead.card.kommo_lead_id}" in page
    for text in ("Maria Souza", "NOVO LEAD", "no meeting is booked", "Valor Conta Energia", "objecao_preço"):
        assert text in page, text


def test_a_lead_without_a_card_and_one_that_is_not_there_are_no_errors(staff, pipeline):
    lead = record(pipeline, name="Maria").lead
    assert "its pipeline is connected to no Kommo account" in opened(staff, lead).content.decode()
    missing = staff.get(reverse("admin:leads_lead_change", args=[uuid4()]), follow=True)
    assert "There is no such lead" in missing.content.decode()


def test_the_page_costs_the_same_however_much_happened(staff, lead, account, pipeline):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            opened(staff, lead)
        return len(queries)

    opened(staff, lead)
    few = cost()
    for number in range(20):
        record(pipeline, bill_value=5000 + number, custom={f"fact_{number}": number})
        AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=timezone.now(), due_at=timezone.now())
    drain(account)
    assert cost() == few <= 24


def test_times_are_those_of_the_leads_pipeline(staff, lead, pipeline):
    pipeline.time_zone = "Asia/Tokyo"
    pipeline.save()
    Event.objects.filter(lead=lead).update(at="2026-03-01T20:00:00Z")
    assert "05:00:00" in opened(staff, lead).content.decode()


# --- The timeline


def kinds(client, lead, query=""):
    return [entry.kind for entry in opened(client, lead, query).context["timeline"].entries]


def test_the_timeline_tells_of_messages_decisions_deliveries_people_and_rules(staff, lead, pipeline):
    now = timezone.now()
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="wants a person", now=now)
    AgentEvent.objects.create(lead=lead, type="agent.paused", created_at=now, due_at=now)
    RulesRevision.objects.create(
        pipeline=pipeline, number=99, origin="published", author_name="ada", touched=["everybody"], created_at=now
    )
    found = set(kinds(staff, lead))
    assert {"interaction", "delivery", "handoff", "told to the agent", "rules changed"} <= found


def test_the_timeline_shows_one_kind_at_a_time(staff, lead):
    for show, only in (("conversation", {"interaction"}), ("deliveries", {"delivery"}), ("rules", set())):
        assert set(kinds(staff, lead, f"?show={show}")) == only


def test_what_is_no_filter_and_no_time_shows_everything(staff, lead):
    assert kinds(staff, lead, "?show=secrets&before=yesterday") == kinds(staff, lead)


@pytest.mark.parametrize("at_once", [1, 3, 35, 60])
def test_pages_of_the_timeline_leave_nothing_out_and_repeat_nothing(staff, lead, at_once):
    """A page may not end within a moment, however much happened in it."""
    start = timezone.now() - timedelta(days=9)
    Event.objects.filter(lead=lead).delete()
    for number in range(75):
        at = start + timedelta(minutes=number // at_once)
        Event.objects.create(lead=lead, at=at, kind=Event.Kind.INTERACTION, actor="lead", reason=str(number))
    seen, query = [], ""
    while True:
        shown = opened(staff, lead, query).context["timeline"]
        seen += [entry.title for entry in shown.entries]
        if not shown.older:
            break
        query = f"?before={shown.older.replace('+', '%2B')}"
    assert seen == [str(number) for number in range(74, -1, -1)]


def test_an_edit_says_what_was_there_before():
    event = Event(pk=1, at=timezone.now(), kind="staff_edit", actor="staff", data={"name": {"from": "A", "to": None}})
    assert timeline._of_event(event, Lead(), {}, {}, {}).facts == [("name", "A → –")]


# --- The actions


def test_a_refused_card_is_sent_again(staff, lead):
    Card.objects.update(state=Card.State.DEAD, waiting_reason="refused")
    answer = do(staff, lead, "send")
    lead.card.refresh_from_db()
    assert "The card is sent now" in answer.content.decode()
    assert (lead.card.state, lead.card.waiting_reason) == (Card.State.DUE, "")
    assert saying(lead.events, "sent again by ada")


def test_comparing_takes_over_what_people_changed_in_kommo(staff, lead, kommo):
    assert "Checked: Kommo says the same" in do(staff, lead, "compare").content.decode()
    kommo.post(f"leads/{lead.card.kommo_lead_id}/edit", {"name": "Maria S."})

    answer = do(staff, lead, "compare")

    lead.refresh_from_db()
    assert "taken over: name" in answer.content.decode()
    assert lead.name == "Maria S."


def test_a_comparison_that_kommo_does_not_answer_is_said(staff, lead, kommo):
    kommo.post("faults", {"mode": "500", "count": 5})
    assert "Kommo could not be asked" in do(staff, lead, "compare").content.decode()


def test_a_card_deleted_in_kommo_is_made_anew_or_let_go(staff, lead, account):
    Card.objects.update(state=Card.State.GONE)
    assert "Make a new card" in opened(staff, lead).content.decode()
    do(staff, lead, "recreate")
    drain(account)
    lead.card.refresh_from_db()
    assert lead.card.state == Card.State.IN_SYNC

    do(staff, lead, "close")
    lead.card.refresh_from_db()
    assert (lead.card.state, lead.card.waiting_reason) == (Card.State.CLOSED, "closed by ada")
    assert "closed already" in do(staff, lead, "close").content.decode()
    assert lead.events.filter(kind="card", actor="staff").count() == 2


def test_the_agent_is_paused_with_a_reason_and_given_the_lead_back(staff, lead):
    do(staff, lead, "pause", reason="I know her")
    lead.refresh_from_db()
    assert (lead.handoff_source, lead.handoff_reason) == ("admin", "I know her")
    assert "already" in do(staff, lead, "pause").content.decode()
    do(staff, lead, "resume")
    lead.refresh_from_db()
    assert not lead.in_handoff


def dialogs(page):
    """Return each dialog's deed with the names of the fields it sends, but for the token every form has."""
    found = {}
    for deed, body in re.findall(r'<dialog id="do-([\w-]+)".*?>(.*?)</dialog>', page, re.DOTALL):
        found[deed] = set(re.findall(r'<(?:input|select|textarea)[^>]*\bname="(\w+)"', body)) - {"csrfmiddlewaretoken"}
    return found


@pytest.mark.parametrize("state", Card.State.values)
@pytest.mark.parametrize("place", ["new", "human_handoff"])
def test_a_dialog_asks_for_what_its_deed_needs_and_for_nothing_else(staff, lead, pipeline, place, state):
    stage_moves.move(lead, pipeline.stages.get(key=place), by=Lead.Actor.STAFF, reason="there", now=timezone.now())
    due_at = timezone.now() if state in Card.PENDING else None
    Card.objects.filter(lead=lead).update(state=state, due_at=due_at, pending_since=due_at)
    needs = {
        "pause": {"reason"}, "move": {"stage", "reason"}, "opt-out": set(), "erase": {"sure", "elsewhere"},
        "recreate": set(), "close": set(), "resume": {"stage"},
        "correct": {f"{was}{name}" for name in CORRECTABLE for was in ("", "was_")},
    }  # fmt: skip

    shown = dialogs(opened(staff, lead).content.decode())

    assert {"move", "opt-out", "erase"} <= shown.keys()
    assert shown == {deed: needs[deed] for deed in shown}


def test_given_back_from_a_stage_of_people_the_lead_goes_where_it_came_from(staff, lead, pipeline):
    for place in ("qualifying", "human_handoff"):
        stage_moves.move(
            lead, pipeline.stages.get(key=place), by=Lead.Actor.STAFF, reason="dragged", now=timezone.now()
        )
    page = opened(staff, lead).content.decode()
    dialog = page[page.index('<dialog id="do-resume"') :]
    dialog = dialog[: dialog.index("</dialog>")]
    assert '<option value="qualifying" selected>EM QUALIFICAÇÃO' in dialog
    assert "ATENDIMENTO HUMANO</option>" not in dialog

    do(staff, lead, "resume", stage="qualifying")

    lead.refresh_from_db()
    assert (lead.stage.key, lead.in_handoff) == ("qualifying", False)
    assert lead.events.filter(kind=Event.Kind.RESUMED).count() == 1


@pytest.mark.parametrize("stage", ["", "moon", "human_handoff"])
def test_a_lead_is_not_given_back_into_a_stage_that_silences_the_agent(staff, lead, pipeline, stage):
    there = pipeline.stages.get(key="human_handoff")
    stage_moves.move(lead, there, by=Lead.Actor.STAFF, reason="dragged", now=timezone.now())

    do(staff, lead, "resume", stage=stage)

    lead.refresh_from_db()
    assert (lead.stage.key, lead.in_handoff) == ("human_handoff", True)


def test_many_given_back_at_once_leave_those_whose_stage_needs_a_word(staff, lead, pipeline):
    other = record(pipeline, "+5581977770000", name="Bia").lead
    stage_moves.move(
        lead, pipeline.stages.get(key="human_handoff"), by=Lead.Actor.STAFF, reason="x", now=timezone.now()
    )
    handoff.pause(other, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asked", now=timezone.now())

    rows = {"action": "resume_agent", "_selected_action": [lead.pk, other.pk]}
    page = staff.post(reverse("admin:leads_lead_changelist"), rows, follow=True).content.decode()

    assert "Left as they are, for their stage keeps the agent silent: Maria Souza." in page
    assert [each_lead.in_handoff for each_lead in Lead.objects.order_by("created_at")] == [True, False]


def test_staff_move_a_lead_and_rules_leave_it_there(staff, lead, pipeline):
    do(staff, lead, "move", stage="qualified", reason="talked on the phone")
    lead.refresh_from_db()
    assert (lead.stage.key, lead.stage_set_by, lead.decision_reason) == ("qualified", "staff", "talked on the phone")
    assert "Choose a stage" in do(staff, lead, "move", stage="moon").content.decode()


def test_opting_out_ends_follow_ups_for_good(staff, lead):
    do(staff, lead, "opt-out")
    lead.refresh_from_db()
    assert lead.opted_out_at
    assert "already" in do(staff, lead, "opt-out").content.decode()


def test_what_was_done_is_on_the_record_with_who_did_it(staff, lead):
    do(staff, lead, "pause")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("ada", str(lead.pk))
    assert entry.change_message == "The agent is silent for this lead."


def test_erasing_wants_the_password_when_it_was_given_long_ago(staff, lead, settings):
    settings.ADMIN_CONFIRM_MINUTES = 0
    assert "Your password" in do(staff, lead, "erase", sure="Maria Souza").content.decode()
    assert lead_of().name == "Maria Souza"


def test_erasing_asks_for_the_name_and_then_keeps_nothing(staff, lead):
    assert "Nothing was erased" in do(staff, lead, "erase", sure="Maria").content.decode()
    assert lead_of().name == "Maria Souza"

    do(staff, lead, "erase", sure="Maria Souza")

    page = opened(staff, lead).content.decode()
    assert "personal data erased" in page.lower()
    assert "Maria Souza" not in page


def test_whoever_erases_is_shown_first_who_has_the_same_e_mail_and_stays(staff, lead, pipeline):
    Lead.objects.filter(pk=lead.pk).update(email="casa@souza.example")
    joao = record(pipeline, "+5581988880000", name="João <Souza>", email="CASA@souza.example").lead

    asked = do(staff, lead, "erase", sure="Maria Souza", elsewhere="1")

    page = asked.content.decode()
    assert "João &lt;Souza&gt;" in page and url(joao) in page
    assert lead_of().name == "Maria Souza"
    kept = dict(asked.context["kept"])
    assert (kept["sure"], kept["elsewhere"]) == ("Maria Souza", "1")

    # Somebody who was not shown is shown before anything is erased.
    bia = record(pipeline, "+5581977770000", name="Bia", email="casa@souza.example").lead
    asked = do(staff, lead, "erase", **kept)
    assert url(bia) in asked.content.decode()
    assert lead_of().name == "Maria Souza"

    done = do(staff, lead, "erase", **dict(asked.context["kept"])).content.decode()

    assert "2 other leads may be the same person and stay whole" in done
    assert f"lead {joao.pk} has the same e-mail" in done
    lead.refresh_from_db()
    assert lead.erased_at
    assert {row.name for row in Lead.objects.filter(erased_at=None)} == {"João <Souza>", "Bia"}
    assert "João" not in LogEntry.objects.latest("pk").change_message


def test_whoever_may_only_look_does_nothing(client, lead):
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client.force_login(viewer)
    assert "/do/" not in opened(client, lead).content.decode()
    for what in staff_actions.ACTIONS:
        assert do(client, lead, what, stage="qualified", sure="Maria Souza").status_code == 403, what
    assert lead_of().events.filter(actor="staff").count() == 0


def test_a_get_does_nothing_and_an_unknown_action_is_not_there(staff, lead):
    assert staff.get(reverse("admin:leads_lead_do", args=[lead.pk, "erase"])).status_code == 405
    assert do(staff, lead, "sing").status_code == 404


@pytest.mark.parametrize(
    ("by", "reason", "sentence"),
    [
        (Lead.Actor.STAFF, "moved by ada", "moved by ada, here,"),
        (Lead.Actor.STAFF, "moved in Kommo to WON", "moved by the team, in Kommo,"),
        (Lead.Actor.BRIDGE, "conversation stage “presenting” means NEW", "moved automatically,"),
        (Lead.Actor.KOMMO, "an automation in Kommo moved the card to WON", "moved by an automation in Kommo,"),
    ],
)
def test_the_page_says_who_moved_the_lead(staff, full, by, reason, sentence):
    Lead.objects.filter(pk=full.pk).update(stage_set_by=by, decision_reason=reason)

    assert sentence in staff.get(f"/admin/leads/lead/{full.pk}/change/").content.decode()


# --- Setting facts right


def correct(client, lead, language="en", **typed):
    was = {f"was_{name}": "" for name in CORRECTABLE}
    where = reverse("admin:leads_lead_do", args=[lead.pk, "correct"])
    return client.post(where, {**was, **typed}, follow=True, headers={"accept-language": language}).content.decode()


@pytest.mark.parametrize(
    ("language", "typed", "amount"),
    [("pt-br", "1.350,50", "1350.50"), ("en", "1,350.50", "1350.50"), ("es", "R$ 900", "900"), ("en", "", None)],
)
def test_an_amount_is_read_as_the_language_of_the_page_writes_it(staff, lead, language, typed, amount):
    correct(staff, lead, language, bill_value=typed, was_bill_value="77")
    lead.refresh_from_db()
    assert lead.bill_value == (Decimal(amount) if amount else None)


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("name", "{{first_name}}", "is no name of a person"),
        ("email", "ana(at)example", "is no e-mail address"),
        ("bill_value", "a lot", "is no amount"),
        ("qualification_score", "101", "A score is a number from 0 to 100."),
        ("qualification_score", "NaN", "A score is a number from 0 to 100."),
    ],
)
def test_what_cannot_be_read_changes_nothing_and_says_why(staff, lead, name, typed, sentence):
    before = getattr(lead, name)
    assert sentence in correct(staff, lead, **{name: typed})
    lead.refresh_from_db()
    assert getattr(lead, name) == before


def test_what_stands_as_it_was_shown_says_nothing(staff, lead):
    """Meanwhile the conversation may have brought another value: whoever did not touch it does not undo that."""
    Lead.objects.filter(pk=lead.pk).update(name="Said meanwhile")
    assert "Nothing was changed." in correct(staff, lead, name="Maria", was_name="Maria")
    lead.refresh_from_db()
    assert lead.name == "Said meanwhile"


def test_a_reader_sets_nothing_right(lead):
    reader = client_of(roles.READER)
    assert 'id="do-correct"' not in opened(reader, lead).content.decode()
    assert reader.post(reverse("admin:leads_lead_do", args=[lead.pk, "correct"]), {"name": "X"}).status_code == 403


# --- Who did it


def test_who_moved_a_card_in_kommo_is_told_by_name_where_the_users_are_known(staff, lead, account, kommo):
    drain(account)
    lead.card.refresh_from_db()
    account.catalogue.refresh_from_db()
    user = account.catalogue.users[0]
    stage_moves.move(
        lead,
        lead.pipeline.stages.get(key="qualifying"),
        by=Lead.Actor.STAFF,
        reason="moved in Kommo to EM QUALIFICAÇÃO",
        now=timezone.now(),
        by_whom={"kommo_user_id": user["id"]},
    )
    page = opened(staff, lead).content.decode()
    assert f"moved by {user['name']}, in Kommo," in page
    assert f"{user['name']}, in Kommo</span>" in page

    account.catalogue.users = []
    account.catalogue.save()
    assert "moved by the team, in Kommo," in opened(staff, lead).content.decode()


def test_who_moved_or_paused_here_is_told_by_name_whatever_the_reason(staff, lead):
    do(staff, lead, "move", stage="qualifying", reason="talked on the phone")
    do(staff, lead, "pause", reason="I call her")
    page = opened(staff, lead).content.decode()
    assert "moved by ada, here," in page
    assert page.count("ada, here</span>") == 2


def test_a_value_is_in_the_money_of_the_account(staff, lead, account):
    account.currency = "MXN"
    account.save()
    Lead.objects.filter(pk=lead.pk).update(bill_value=1350)
    assert "MX$\xa01,350" in opened(staff, lead).content.decode()


def test_the_head_of_the_page_is_answered_alone(staff, lead):
    head = staff.get(reverse("admin:leads_lead_header", args=[lead.pk])).content.decode()
    assert "<html" not in head
    assert str(lead) in head
    assert 'name="csrfmiddlewaretoken"' in head
    assert staff.get(reverse("admin:leads_lead_header", args=[uuid4()])).status_code == 404


@pytest.mark.parametrize(
    ("by", "is_told"), [(Lead.Actor.BRIDGE, True), (Lead.Actor.AGENT, True), (Lead.Actor.STAFF, False)]
)
def test_the_first_thing_told_of_an_automatic_move_is_why(staff, full, by, is_told):
    Lead.objects.filter(pk=full.pk).update(stage_set_by=by, decision_reason="qualification_score 82 >= 70")

    head = staff.get(reverse("admin:leads_lead_header", args=[full.pk])).content.decode()

    assert ('<a class="kb-link" href="#why">score 82, minimum 70</a>' in head) is is_told


def test_what_is_asked_for_first_stands_first(staff, full):
    def order():
        return [button.do for button in opened(staff, full).context["buttons"]]

    assert order()[:2] == ["pause", "move"]
    handoff.pause(
        full, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer uma pessoa", now=timezone.now()
    )
    assert order()[0] == "resume"
    Card.objects.filter(lead=full).update(state=Card.State.DEAD)
    assert set(order()[:2]) == {"resume", "send"}


def test_what_the_agent_was_told_is_said_in_words(staff, full):
    AgentEvent.objects.create(lead=full, type="agent.paused", data={}, created_at=timezone.now(), due_at=timezone.now())

    [entry] = opened(staff, full, "?show=agent").context["timeline"].entries

    assert entry.title == "a person has the lead: due"
    assert ("type", "agent.paused") in entry.support

"""Every reason in the code has a sentence and what it speaks of; every sentence is given by some code.

The sources are read, not run: a code is a literal where a reason is made, or stands in a table of its module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from common.reasons.as_stored import PARTS
from common.reasons.sentences import SENTENCES
from tests.repository import ROOT

ROOMS = ("common", "leads", "followups", "bridge")
PLACEHOLDER = re.compile(r"%\(\w+\)s")
TRANSLATED = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext")
# What stands for a value in an f-string while it is held against the sentences.
VALUE = "\x1a"


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts and path.name != "sentences.py":
                yield path.relative_to(ROOT), _tree(path)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _tables(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what a module's names stand for."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _codes(expression: ast.expr, tables: dict[str, ast.expr]) -> set[str]:
    """Return the codes an expression may stand for: its texts, and those of the tables it names; no keys."""
    match expression:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return _codes(expression.body, tables) | _codes(expression.orelse, tables)
        case ast.Subscript():
            return _codes(expression.value, tables)
        case ast.Dict():
            return {code for value in expression.values for code in _codes(value, tables)}
        case ast.Name() if expression.id in tables:
            return _codes(tables[expression.id], {})
    return set()


def _made(tree: ast.Module) -> Iterator[tuple[ast.Call, set[str]]]:
    tables = _tables(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason":
            yield node, _codes(node.args[0], tables)


def wrong(tree: ast.Module) -> Iterator[str]:
    """Yield what is wrong with the reasons a module makes."""
    for call, codes in _made(tree):
        parts = {keyword.arg for keyword in call.keywords}
        if not codes:
            yield f"line {call.lineno}: no code to be read"
        for code in sorted(codes):
            if code not in PARTS:
                yield f"line {call.lineno}: “{code}” has no sentence"
            elif parts != PARTS[code]:
                yield f"line {call.lineno}: “{code}” speaks of {sorted(PARTS[code])}"


# These make a reason of what was stored.
READERS = ("common/reasons/__init__.py", "common/reasons/as_stored.py", "bridge/reasons/__init__.py")


def test_every_reason_has_a_sentence_and_what_it_speaks_of():
    assert [f"{path}, {text}" for path, tree in trees() if str(path) not in READERS for text in wrong(tree)] == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('Reason("no_such_code")', "line 1: “no_such_code” has no sentence"),
        ('Reason("kommo_answered")', "line 1: “kommo_answered” speaks of ['number']"),
        ('Reason("no_answer", number=1)', "line 1: “no_answer” speaks of []"),
        ('Reason("no_answer" if x else "kommo_answered")', "line 1: “kommo_answered” speaks of ['number']"),
        ('Reason(CODES[x])\nCODES = {"a": "no_answer", "b": "gone"}', "line 1: “gone” has no sentence"),
        ("Reason(code)", "line 1: no code to be read"),
    ],
)
def test_what_is_wrong_is_found(source, fault):
    assert list(wrong(ast.parse(source))) == [fault]


def used() -> set[str]:
    return {code for _, tree in trees() for _, codes in _made(tree) for code in codes}


def test_every_sentence_is_given_by_some_code():
    assert SENTENCES.keys() - used() == AS_SENTENCES


# --- A reason that has a code is made by it, wherever it is made


def _texts(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Yield every text in a module, docstrings and what staff read left out; for the values of f-strings, marks."""
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body[:1]
        and isinstance(node.body[0], ast.Expr)
    }
    told |= {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TRANSLATED
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(v.value if isinstance(v, ast.Constant) else VALUE for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within | told:
            yield node, node.value


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(f'[“"]?{VALUE}[”"]?'.join(map(re.escape, PLACEHOLDER.split(sentence))))


# One that is hardly more than a value may be anything.
PATTERNS = {code: _pattern(text) for code, text in SENTENCES.items() if len(PLACEHOLDER.sub("", text).strip()) > 10}


def by_hand(tree: ast.Module) -> Iterator[str]:
    """Yield the codes of the sentences that a module makes as texts although they have codes."""
    made = {id(node) for call, _ in _made(tree) for node in ast.walk(call)}
    for node, text in _texts(tree):
        if id(node) not in made:
            yield from (code for code, pattern in PATTERNS.items() if pattern.fullmatch(text))


def test_a_reason_that_has_a_code_is_made_by_it():
    found = {(str(path), code) for path, tree in trees() for code in by_hand(tree) if code not in AS_SENTENCES}
    assert found == OTHERWISE_MEANT


def test_a_sentence_made_by_hand_is_found():
    source = 'why = f"automatic moves do not leave “{stage}”" if stage else "nothing else is known"'
    assert sorted(by_hand(ast.parse(source))) == ["automatic_moves_do_not_leave", "nothing_else_known"]


# Labels and examples that say the same in another place.
OTHERWISE_MEANT: set[tuple[str, str]] = set()
# Still stored as sentences by whoever gives them, or kept for old rows alone.
AS_SENTENCES = set(
    """
    account_not_active account_not_paid account_waits address_blocked after_our_last_message agent_answer_cut
    agent_answered agent_declined agent_did_not_answer agent_says_number_invalid
    agent_says_number_invalid_or_opted_out agent_says_person_opted_out agent_would_have_to_report
    another_bot_answers another_bot_has_conversation another_lead_of_contact another_pipeline_wrote
    another_program_moved_card_nothing_new answer_does_not_name_lead answer_was_lost
    answered_in_another_pipeline answers_leave_lead_out asked_only_in_conversation_stage asked_through_api
    automatic_moves_do_not_go_back automatic_moves_do_not_leave automation_moved_card before_the_meeting
    began_while_nothing_was_sent booked_and_taken_up bot_may_have_run bot_not_started bot_said_nothing but
    cancelled_by cannot_be_reached card_back card_in_incoming_leads card_in_stage_of_their_own card_left
    card_made_anew_by card_moved_to card_of_another_lead card_of_another_pipeline card_restored_in_kommo
    card_stands_in card_stands_where_agent_goes_on card_stands_where_person_put_it card_stays_there
    card_stood_in_kommo_after_that changed_in_kommo channel_gone chat_closed chat_closed_lead_writes_first
    chats_quota_used_up chatwoot_knows_no_contact check_address closed_by connect_again contact_got_name
    contact_has_chats contact_has_filled_fields contact_has_lead contact_has_more_numbers contact_has_notes
    contact_has_number_as_well contact_has_phone_now contact_has_tags contact_of_another_lead contacts_used
    conversation_stage_means conversation_stage_moves_nothing conversation_stage_not_mapped could_not
    create_leads create_notes create_tasks decided_as_here decided_as_in_kommo decided_by deleted_in_kommo
    deleted_merged_or_hidden deliveries_paused earlier_because earlier_change_may_arrive
    earlier_create_had_succeeded earlier_create_may_arrive earlier_rule_comes_first email_of_contact_stays
    erase_by_hand erased_email_on_contact erased_in_kommo_by_hand erased_name_and_email_of_contact
    erased_name_and_phone_of_contact erased_name_of_contact erased_name_of_lead erased_number_on_contact
    erased_of_contact erased_of_the_contact every_card_refused every_message_given exchange_token fact_above
    fact_at_least fact_at_most fact_below fact_cannot_be_compared fact_differs fact_equals fact_in fact_is_no
    fact_is_yes fact_known fact_neither_yes_nor_no fact_not_in fact_not_known fact_not_known_yet facts_above
    facts_at_least facts_at_most facts_below field_cannot_show field_not_bound field_not_in_kommo
    field_too_short fields_never_read first_comparison_not_through first_message forgotten_and_silent_since
    found_in_kommo found_in_kommo_stage found_in_kommo_with further_along given_back_through_api
    given_up_after_silence handed_over_did_not_arrive held_by holiday hours_allow_nothing hours_do_not_allow_it
    integration_removed joined_by just_reminded known_as_one_lead_now kommo_answer_lost kommo_answered
    kommo_cannot_be_asked kommo_refuses_part lead_booked lead_did_not_come lead_has_answered
    lead_has_filled_fields lead_has_notes lead_has_price lead_has_tags lead_has_tasks lead_merged_into
    lead_not_drawn lead_not_found lead_not_read_before_move lead_seems_to_live_on lead_stands_in
    lead_was_theirs_before_joining lead_wrote lead_wrote_from leads_not_shown leads_used left_in_kommo
    left_shadow_too_late let_go_on_by lies_in_the_past lifted_by linked_to_lead_of_person
    linked_to_lead_of_staff longest_handoff_over looked_for_once_more made_by_staff may_have_asked_to_stop
    meeting_booked meeting_cancelled meeting_does_not_stand meeting_gone_by_without_result meeting_had_begun
    meeting_is_booked meeting_is_cancelled meeting_is_completed meeting_is_gone_by meeting_is_no_show
    meeting_is_rescheduled meeting_is_scheduled meeting_moved meeting_moved_meanwhile meeting_still_booked
    merged_into_card_of_another message_missed_nobody_gives_up message_sender_died more_contacts_with_number
    more_leads_of_contact more_on_timeline move_goes_first moved_by moved_in_kommo moved_in_kommo_by_program
    moved_on_since name_of_contact_stays new_address new_card_needs_stage new_lead_starts_here no_answer
    no_answer_to_messages no_card_with_contact_yet no_card_yet no_chatwoot_conversation no_connection
    no_connection_to_kommo no_contact_with_number no_conversation_stage_asks no_criterion_required
    no_meeting_any_more no_meeting_booked no_message_sent no_message_sent_nobody_gives_up no_messages_on_weekday
    no_name no_number no_room_in_kommo no_rule_leads_here no_such_number no_such_option no_text_field
    no_time_zone no_webhooks_although_leads_change no_whatsapp_address nobody_has_written nobody_reached
    none_is_booked not_computed not_erased_kommo_answers not_erased_more_leads not_erased_probably_same
    not_erased_same_email not_every_message_sent not_every_message_sent_nobody_gives_up not_everything_erased
    not_everything_looked_through not_found_before_move not_found_in_kommo not_given_up note_about_call
    note_about_call_given_up note_at_handoff note_at_handoff_given_up note_names_person nothing_calls_for_a_move
    nothing_changed nothing_else_known nothing_moves_card_back_over_person nothing_to_erase_in_kommo
    null_means_unknown number_invalid number_may_be_written_to_again number_no_whatsapp number_of_contact_stays
    numbers_changed_in_kommo older_than_known older_than_taken_back one_person_by_shared_address
    only_logged_by_channel only_logged_by_this_way only_logged_channel_unusable only_logged_no_agent_url
    only_something_new_moves_it only_template_leaves opt_out_taken_back_by opted_out_before_number_known
    opted_out_by opted_out_by_other_number other_lead_in_nobodys_care our_id_on_card_of_another
    parked_without_outcome past_moves_nobody paused_by paused_by_hand person_asked_to_be_forgotten
    person_has_card_of_another_lead person_has_other_lead person_has_taken_over person_has_written_to_lead
    person_in_incoming_leads person_moved_card person_moved_card_after_that person_moved_card_nothing_new
    person_moved_card_to person_opted_out person_replied_in_chat person_speaks_with_them_elsewhere
    person_wrote_to_lead personal_data_erased persons_lead_not_read pipeline_has_no_channel pipeline_not_bound
    pipeline_not_in_kommo points_elsewhere points_to_login qualification_says_disqualified
    qualification_says_qualified qualification_says_undecided quiet_hours_until read_account read_contacts
    read_events read_lead read_leads read_loss_reasons read_notes read_pipelines read_tasks read_users
    read_webhooks receiver_takes_its_time refused_before refused_by_kommo refused_together
    reminded_and_another_day renamed_meanwhile report_changes_no_card resumed_by rules_applied_by rules_call_for
    run_salesbot said_before_person_changed_it salesbots_refused score_at_least score_below
    score_looks_like_share sender_died sending sent_again_by sent_now_by sequence_ended sequence_switched_off
    sequence_switched_on serves_lead_from_now_on serves_none_with_tag serves_only_new_leads serves_only_with_tag
    shadow_says_nothing shadow_would_have_been_sent skipped_by some_meeting_booked some_meeting_cancelled
    some_meeting_does_not_stand some_meeting_moved stage_bound_to_gone stage_bound_to_incoming
    stage_in_kommo_is_ours_now stage_not_bound stage_not_in_kommo stands_where_automatic_moves_do_not_leave
    step_declined step_did_not_arrive step_dropped step_may_have_been_sent step_missed step_not_delivered
    step_not_sent step_sent step_skipped step_unconfirmed step_would_have_been_sent stood_there_before stopped
    subscribe_webhook taken_in_from_kommo taken_in_from_staff talk_of_a_meeting task_about_call
    task_about_call_given_up task_about_meeting task_about_meeting_given_up task_at_handoff
    task_at_handoff_given_up tells_less text_broken text_not_written text_says_nothing time_had_passed
    time_not_come token_refused told_afterwards too_late tried_by turn_in_next_call unconfirmed undone_by
    update_contacts update_leads user_may_not waits_for_change_under_way waits_for_proof webhook_disabled
    webhook_lost webhook_subscribed_again what_stands_before_did_not_arrive who_writes_again_is_taken_up_here
    window_is_over word_stands_for_nothing wrote_again wrote_again_and_taken_up
    wrote_while_person_has_taken_over
    """.split()  # noqa: SIM905
)

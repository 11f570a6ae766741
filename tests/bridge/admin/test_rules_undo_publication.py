"""A publication is taken back by one press, and never over what was done to the rules since."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.utils import timezone

from bridge.configuration import reevaluation
from bridge.models import Reevaluation, RulesDraft, RulesRevision
from leads.models import Qualification, UnmappedConversationStage
from tests.bridge.admin.people import client_of
from tests.bridge.admin.rules_editing import page, publish, threshold

NOT_UNDONE = "Not undone: the rules or their draft have been changed since."


@pytest.fixture
def manager(pipeline):
    return client_of("manager")


def raised(manager, pipeline, score=80):
    """Publish another threshold; return what the button that takes it back is told."""
    threshold(manager, pipeline, score)
    publish(manager, pipeline)
    return button(manager.get(page("overview", pipeline)))


def button(answer):
    return unescape(re.search(r'name="what" value="([^"]+)"', answer.content.decode())[1])


def undo(client, pipeline, what):
    return client.post(page("undo", pipeline), {"what": what}, follow=True, headers={"accept-language": "en"})


def min_score():
    return Qualification.objects.get().min_score


def test_what_held_before_holds_again_and_is_a_revision_of_its_own(manager, pipeline):
    what = raised(manager, pipeline)
    assert min_score() == 80

    assert "Undone: what held before holds again." in undo(manager, pipeline, what).content.decode()

    assert min_score() == 70
    newest, taken_back, first = RulesRevision.objects.filter(pipeline=pipeline)
    assert (newest.origin, newest.restored, taken_back.origin) == ("rolled_back", first, "published")
    assert not RulesDraft.objects.exists()


def test_pressed_twice_it_is_done_once(manager, pipeline):
    what = raised(manager, pipeline)
    undo(manager, pipeline, what)
    assert NOT_UNDONE in undo(manager, pipeline, what).content.decode()
    assert (min_score(), RulesRevision.objects.count()) == (70, 3)


def test_nothing_is_taken_back_over_a_later_publication(manager, pipeline):
    what = raised(manager, pipeline)
    raised(client_of("manager"), pipeline, score=90)
    assert NOT_UNDONE in undo(manager, pipeline, what).content.decode()
    assert min_score() == 90


def test_nothing_is_taken_back_over_what_was_changed_past_the_drafts(manager, pipeline):
    what = raised(manager, pipeline)
    Qualification.objects.update(min_score=85)
    assert NOT_UNDONE in undo(manager, pipeline, what).content.decode()
    assert min_score() == 85


def test_a_draft_that_somebody_has_begun_since_stays(manager, pipeline):
    what = raised(manager, pipeline)
    threshold(client_of("manager"), pipeline, 95)
    assert NOT_UNDONE in undo(manager, pipeline, what).content.decode()
    assert (min_score(), RulesDraft.objects.count()) == (80, 1)


def test_who_is_still_to_be_asked_by_the_rules_that_are_gone_is_left_alone(manager, pipeline):
    what = raised(manager, pipeline)
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())
    undo(manager, pipeline, what)
    assert Reevaluation.objects.get().ended_at is not None


def test_a_meaning_given_at_once_is_taken_back_too(manager, pipeline):
    now = timezone.now()
    seen = UnmappedConversationStage.objects.create(
        pipeline=pipeline, text="pós-venda", first_seen_at=now, last_seen_at=now
    )
    answer = manager.post(page("map", pipeline), {"unmapped": seen.pk, "does": "nothing"}, follow=True)
    assert pipeline.stage_mappings.filter(conversation_stage="pós-venda").exists()
    undo(manager, pipeline, button(answer))
    assert not pipeline.stage_mappings.filter(conversation_stage="pós-venda").exists()


def test_what_nobody_signed_and_what_is_of_another_pipeline_is_nothing(manager, pipeline):
    assert undo(manager, pipeline, "x").status_code == 404
    what = raised(manager, pipeline)
    pipeline.pk, pipeline.slug, pipeline.is_default = None, "other", False
    pipeline.save()
    assert undo(manager, pipeline, what).status_code == 404
    assert min_score() == 80


@pytest.mark.parametrize("role", ["reader", "seller"])
def test_whoever_may_not_publish_undoes_nothing(manager, pipeline, role):
    what = raised(manager, pipeline)
    assert undo(client_of(role), pipeline, what).status_code == 403
    assert min_score() == 80


def test_a_link_undoes_nothing(manager, pipeline):
    assert manager.get(page("undo", pipeline)).status_code == 405

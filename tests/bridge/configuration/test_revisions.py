"""A draft is felt by nobody, published it holds from the next interaction on, and what held before can come back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from bridge.configuration import compiling, document, drafts, exporting, revisions
from bridge.configuration.file_problems import RefusedError
from bridge.models import RulesDraft, RulesRevision
from leads.models import Pipeline, Qualification, Stage, StageMapping
from leads.rulebook import rulebook
from tests.conftest import record

NOW = timezone.now()
SCORED = {"qualification_score": 60, "context": {"conversation_stage": "qualificação"}}


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada")


def with_score(pipeline: document.Pipeline, score: int) -> document.Pipeline:
    return replace(pipeline, qualification=replace(pipeline.qualification, min_score=Decimal(score)))


def with_mapping(pipeline: document.Pipeline) -> document.Pipeline:
    more = document.StageMapping(conversation_stage="fechamento", move_to="qualified")
    return replace(pipeline, stage_mappings=(*pipeline.stage_mappings, more))


def draft(pipeline, change, author):
    drafts.save(pipeline, change(drafts.prepared(pipeline).wanted), author=author, now=NOW)


def publish(pipeline, author, comment=""):
    seen = drafts.prepared(pipeline).mark
    return revisions.publish(pipeline, author=author, comment=comment, seen=seen, now=NOW)


def test_a_draft_is_felt_by_nobody_until_it_is_published(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)
    assert record(pipeline, "+5581999990001", **SCORED).decision.stage == "disqualified"

    publish(pipeline, ada)

    recorded = record(pipeline, "+5581999990002", **SCORED)
    assert (recorded.decision.stage, recorded.decision.reason) == ("qualified", "qualification_score 60 >= 55")


def test_publishing_keeps_who_when_before_and_after(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)

    done = publish(pipeline, ada, comment="Too strict")

    first, second = RulesRevision.objects.order_by("number")
    assert second == done
    assert (first.origin, second.origin, second.author_name, second.comment) == (
        "first",
        "published",
        "ada",
        "Too strict",
    )
    scores = [drafts.read(draft_row.document).qualification.min_score for draft_row in (first, second)]
    assert scores == [70, 55]
    history = Qualification.objects.get().history.first()
    assert (history.min_score, history.history_change_reason) == (55, "Too strict")
    assert not RulesDraft.objects.exists()


def test_a_revision_knows_the_parts_it_touched(pipeline, ada):
    draft(pipeline, with_mapping, ada)
    publish(pipeline, ada)
    assert list(RulesRevision.objects.order_by("number").values_list("touched", flat=True)) == [
        [],
        ["conversation:fechamento"],
    ]


def test_an_older_revision_comes_back_through_a_draft(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)
    publish(pipeline, ada)
    first = RulesRevision.objects.get(number=1)

    revisions.restore(first, author=ada, now=NOW)
    assert Qualification.objects.get().min_score == 55
    done = publish(pipeline, ada)

    assert Qualification.objects.get().min_score == 70
    assert (done.number, done.origin, done.restored) == (3, "rolled_back", first)


def test_what_was_changed_past_the_drafts_is_a_revision_of_its_own(pipeline, ada):
    revisions.note(pipeline, now=NOW)
    row = Qualification.objects.get()
    row.min_score = 40
    row._history_user, row._change_reason = ada, "by hand"
    row.save()
    assert not revisions.is_noted(pipeline)

    found = revisions.note(pipeline, now=NOW)

    assert (found.number, found.origin, found.author_name, found.comment) == (2, "found", "ada", "by hand")
    assert revisions.note(pipeline, now=NOW) == found


def test_a_draft_does_not_undo_what_others_changed_meanwhile(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)
    Stage.objects.filter(key="new").update(name="RECÉM-CHEGADO")

    assert drafts.prepared(pipeline).conflicts == ()
    publish(pipeline, ada)

    assert Stage.objects.get(key="new").name == "RECÉM-CHEGADO"
    assert Qualification.objects.get().min_score == 55


def test_a_part_both_sides_changed_is_named_and_the_draft_stands(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)
    Qualification.objects.update(min_score=40)

    found = drafts.prepared(pipeline)

    assert (found.conflicts, found.wanted.qualification.min_score) == (("qualification",), 55)


def test_what_was_agreed_to_is_what_is_published(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)
    seen = drafts.prepared(pipeline).mark
    draft(pipeline, lambda rules: with_score(rules, 10), ada)

    with pytest.raises(drafts.StaleDraftError):
        revisions.publish(pipeline, author=ada, comment="", seen=seen, now=NOW)
    assert Qualification.objects.get().min_score == 70


def test_a_page_that_is_out_of_date_does_not_overwrite_another_persons_draft(pipeline, ada):
    opened = drafts.prepared(pipeline)
    draft(pipeline, lambda rules: with_score(rules, 55), ada)

    with pytest.raises(drafts.StaleDraftError):
        drafts.save(pipeline, with_mapping(opened.wanted), author=ada, now=NOW, seen=opened.mark)


def test_a_stage_leads_stand_in_cannot_be_published_away(pipeline, ada):
    record(pipeline)
    draft(pipeline, lambda rules: replace(rules, stages=rules.stages[1:]), ada)

    with pytest.raises(RefusedError, match="1 lead stands in it"):
        publish(pipeline, ada)
    assert RulesDraft.objects.exists() and Stage.objects.filter(key="new").exists()


def test_one_click_holds_at_once_and_in_the_open_draft(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)

    revisions.amend(pipeline, with_mapping, author=ada, comment="mapped", now=NOW)

    assert StageMapping.objects.filter(conversation_stage="fechamento").exists()
    found = drafts.prepared(pipeline)
    assert found.conflicts == () and found.wanted == with_score(found.live, 55)


def test_what_equals_the_rules_that_hold_is_no_draft(pipeline, ada):
    draft(pipeline, lambda rules: with_score(rules, 55), ada)
    draft(pipeline, lambda rules: with_score(rules, 70), ada)
    assert not RulesDraft.objects.exists()


def test_a_document_decides_as_its_rows_do(pipeline):
    from_rows = rulebook(Pipeline.objects.get()).rules
    from_document = compiling.rules(drafts.read(drafts.text_of(exporting.read_pipeline(pipeline))))

    assert [replace(mapping, id=0) for mapping in from_document.mappings] == [
        replace(mapping, id=0) for mapping in from_rows.mappings
    ]
    assert (from_document.stages, from_document.meeting_stage) == (from_rows.stages, from_rows.meeting_stage)
    ours, theirs = from_document.qualification, from_rows.qualification
    assert replace(ours, criteria=()) == replace(theirs, criteria=())
    assert [replace(criterion, id=0) for criterion in ours.criteria] == [
        replace(criterion, id=0) for criterion in theirs.criteria
    ]

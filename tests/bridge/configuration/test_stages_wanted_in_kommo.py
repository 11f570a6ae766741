"""Stages made and renamed in Kommo because staff wanted it: once, at the account's pace, and over nobody's edit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from bridge import due_work, tasks
from bridge.accounts import catalogue as catalogues
from bridge.accounts import stages_renamed_in_kommo
from bridge.accounts.connection import client_for
from bridge.configuration import drafts, exporting, revisions, stages_wanted_in_kommo
from bridge.configuration.stages_wanted_in_kommo import CREATE, RENAME, Wish
from bridge.models import Account, Card, Catalogue, StageInKommo, Trouble
from leads import stage_moves
from leads.models import Lead, Stage
from tests.conftest import drain, record

# Who is no administrator in the sandbox.
SELLER = 11087201


def now():
    return timezone.now()


def in_kommo(kommo, account, pipeline):
    """Return the names of the pipeline's stages in Kommo, in their order there."""
    catalogues.refresh_part(account, client_for(account), "pipelines", now=now())
    found = next(
        each_pipeline
        for each_pipeline in Catalogue.objects.get().pipelines
        if each_pipeline["id"] == pipeline.kommo_pipeline_id
    )
    return [status["name"] for status in sorted(found["statuses"], key=lambda status: status["sort"])]


def with_stages(rules, change):
    return replace(rules, stages=tuple(change(list(rules.stages))))


def publish(pipeline, wanted, wishes, *, agreed=True):
    ada = User.objects.get_or_create(username="ada")[0]
    drafts.save(pipeline, wanted, author=ada, now=now(), in_kommo=wishes)
    seen = drafts.prepared(pipeline).mark
    revisions.publish(pipeline, author=ada, comment="", seen=seen, now=now(), in_kommo=agreed)


def add(rules, name="PROPOSTA ENVIADA", key="proposal", behind=2):
    new = replace(rules.stages[behind], key=key, name=name, kommo_status_id=None, always_visit=False, protected=False)
    return with_stages(rules, lambda all: [*all[: behind + 1], new, *all[behind + 1 :]])


def renamed(rules, key, name):
    return with_stages(rules, lambda all: [replace(stage, name=name) if stage.key == key else stage for stage in all])


@pytest.fixture
def live(account, pipeline):
    # As connecting has left it.
    pipeline.refresh_from_db()
    return exporting.read_pipeline(pipeline)


def test_a_stage_is_made_in_kommo_behind_the_one_before_it_and_bound(account, pipeline, live, kommo):
    publish(pipeline, add(live), {"proposal": Wish(CREATE)})
    assert StageInKommo.objects.get(stage__key="proposal").wished_by == "ada"
    assert ("bridge.tasks.do_stage_wishes", (account.pk,)) in list(due_work._stages_in_kommo(now()))

    tasks.do_stage_wishes(account.pk)

    stage = Stage.objects.get(key="proposal")
    names = in_kommo(kommo, account, pipeline)
    before = pipeline.stages.get(key=live.stages[2].key)
    named = Catalogue.objects.get().status(pipeline.kommo_pipeline_id, before.kommo_status_id)["name"]
    assert names[names.index(named) + 1] == "PROPOSTA ENVIADA"
    assert stage.kommo_status_id and not stages_wanted_in_kommo.accounts_with_wishes()
    assert list(due_work._stages_in_kommo(now())) == []


def test_what_was_made_without_an_answer_is_found_and_not_made_twice(account, pipeline, live, kommo):
    publish(pipeline, add(live), {"proposal": Wish(CREATE)})
    tasks.do_stage_wishes(account.pk)
    Stage.objects.filter(key="proposal").update(kommo_status_id=None)
    StageInKommo.objects.filter(stage__key="proposal").update(wish=CREATE)

    tasks.do_stage_wishes(account.pk)

    assert in_kommo(kommo, account, pipeline).count("PROPOSTA ENVIADA") == 1
    assert Stage.objects.get(key="proposal").kommo_status_id


def test_cards_that_waited_for_the_stage_go_on(account, pipeline, live, kommo):
    publish(pipeline, add(live), {"proposal": Wish(CREATE)})
    lead = record(pipeline, name="Maria").lead
    stage_moves.move(lead, Stage.objects.get(key="proposal"), by=Lead.Actor.STAFF, reason="test", now=now())
    drain(account)
    assert Card.objects.get().state == Card.State.BLOCKED

    tasks.do_stage_wishes(account.pk)

    assert Card.objects.get().state != Card.State.BLOCKED


def test_nothing_is_made_that_nobody_agreed_to(account, pipeline, live, kommo):
    publish(pipeline, add(live), {"proposal": Wish(CREATE)}, agreed=False)
    assert not stages_wanted_in_kommo.accounts_with_wishes()
    assert "PROPOSTA ENVIADA" not in in_kommo(kommo, account, pipeline)


@pytest.mark.parametrize("state", [Account.State.SHADOW, Account.State.PAUSED])
def test_an_account_that_writes_nothing_makes_no_stage_until_it_does(account, pipeline, live, state):
    publish(pipeline, add(live), {"proposal": Wish(CREATE)})
    Account.objects.update(state=state)
    assert list(due_work._stages_in_kommo(now())) == []
    Account.objects.update(state=Account.State.ACTIVE)
    assert list(due_work._stages_in_kommo(now()))


def their_name(account, pipeline, key):
    stage = pipeline.stages.get(key=key)
    return stage, Catalogue.objects.get(account=account).status(pipeline.kommo_pipeline_id, stage.kommo_status_id)[
        "name"
    ]


def test_a_rename_is_carried_to_kommo(account, pipeline, live, kommo):
    _stage, seen = their_name(account, pipeline, "qualified")
    publish(pipeline, renamed(live, "qualified", "LEAD QUENTE"), {"qualified": Wish(RENAME, seen)})

    tasks.do_stage_wishes(account.pk)

    assert their_name(account, pipeline, "qualified")[1] == "LEAD QUENTE"
    assert stages_renamed_in_kommo.renamed(account, catalogues.stored(account)) == [], (
        "what we did ourselves is no news"
    )


def test_a_name_that_a_person_gave_in_kommo_meanwhile_stands_and_is_told(account, pipeline, live, kommo):
    stage, seen = their_name(account, pipeline, "qualified")
    publish(pipeline, renamed(live, "qualified", "LEAD QUENTE"), {"qualified": Wish(RENAME, seen)})
    client_for(account).rename_status(pipeline.kommo_pipeline_id, stage.kommo_status_id, "Quente de verdade")

    tasks.do_stage_wishes(account.pk)

    assert their_name(account, pipeline, "qualified")[1] == "Quente de verdade"
    row = StageInKommo.objects.get(stage=stage)
    assert (row.wish, row.answer) == ("", stages_wanted_in_kommo.OVERTAKEN)
    [rename] = stages_renamed_in_kommo.renamed(account, catalogues.stored(account))
    assert (rename.stage, rename.before, rename.now) == (stage, seen, "Quente de verdade")


def test_a_stage_that_kommo_does_not_have_any_more_is_not_renamed(account, pipeline, live, kommo):
    stage, seen = their_name(account, pipeline, "qualified")
    publish(pipeline, renamed(live, "qualified", "LEAD QUENTE"), {"qualified": Wish(RENAME, seen)})
    Stage.objects.filter(pk=stage.pk).update(kommo_status_id=999_999)
    tasks.do_stage_wishes(account.pk)
    assert StageInKommo.objects.get(stage=stage).answer == stages_wanted_in_kommo.GONE


def test_a_user_who_may_not_make_stages_stops_nothing_else(account, pipeline, live, kommo):
    publish(pipeline, add(live), {"proposal": Wish(CREATE)})
    kommo.post("options", {"token_user_id": SELLER})
    account.access_token = kommo.post("tokens", {"user_id": SELLER})["token"]
    account.save()

    tasks.do_stage_wishes(account.pk)

    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE
    assert Trouble.objects.get(account=account).subject == Trouble.Subject.STAGES
    assert stages_wanted_in_kommo.open_ones([account]).exists(), "it is tried again"
    assert list(due_work._stages_in_kommo(now())) == [], "and rests until then"


def test_a_rename_in_kommo_is_told_once_and_not_once_it_is_ours_too(account, pipeline, live, kommo):
    stage, _seen = their_name(account, pipeline, "qualified")
    client_for(account).rename_status(pipeline.kommo_pipeline_id, stage.kommo_status_id, "Lead quente")
    catalogues.look_again(account, client_for(account), now=now())
    assert [rename.now for rename in stages_renamed_in_kommo.renamed(account, catalogues.stored(account))] == [
        "Lead quente"
    ]

    stages_renamed_in_kommo.is_known(stage, "Lead quente")
    assert stages_renamed_in_kommo.renamed(account, catalogues.stored(account)) == []

    client_for(account).rename_status(pipeline.kommo_pipeline_id, stage.kommo_status_id, "Morno")
    catalogues.look_again(account, client_for(account), now=now())
    assert stages_renamed_in_kommo.renamed(account, catalogues.stored(account))
    publish(pipeline, renamed(live, "qualified", "MORNO"), {})
    assert stages_renamed_in_kommo.renamed(account, catalogues.stored(account)) == []


def test_another_binding_is_no_rename(account, pipeline, live, kommo):
    first, other = pipeline.stages.get(key="new"), pipeline.stages.get(key="qualifying")
    a, b = first.kommo_status_id, other.kommo_status_id
    Stage.objects.filter(pk=first.pk).update(kommo_status_id=None)
    Stage.objects.filter(pk=other.pk).update(kommo_status_id=a)
    Stage.objects.filter(pk=first.pk).update(kommo_status_id=b)
    catalogues.look_again(account, client_for(account), now=now())
    assert stages_renamed_in_kommo.renamed(account, catalogues.stored(account)) == []


def test_a_wish_lapses_with_what_it_was_about(live, pipeline):
    wishes = stages_wanted_in_kommo.stored(
        {"proposal": Wish(CREATE), "qualified": Wish(RENAME, "x"), "won": Wish(RENAME, "y")}
    )
    assert set(stages_wanted_in_kommo.read(wishes, add(live))) == {"proposal", "qualified"}
    assert set(stages_wanted_in_kommo.read(wishes, live)) == {"qualified"}
    bound = with_stages(
        add(live), lambda all: [replace(stage, kommo_status_id=stage.kommo_status_id or 5) for stage in all]
    )
    assert set(stages_wanted_in_kommo.read(wishes, bound)) == {"qualified"}


def test_a_draft_that_only_asks_something_of_kommo_is_one(live, pipeline):
    _stage, seen = their_name(Account.objects.get(), pipeline, "qualified")
    drafts.save(pipeline, live, author=None, now=now(), in_kommo={"qualified": Wish(RENAME, seen)})
    assert drafts.prepared(pipeline).is_changed
    drafts.save(pipeline, live, author=None, now=now(), in_kommo={})
    assert not drafts.prepared(pipeline).is_changed and drafts.prepared(pipeline).row is None

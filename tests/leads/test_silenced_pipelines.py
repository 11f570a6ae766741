from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.accounts import account_state, leaving_shadow
from leads import silenced_pipelines

pytestmark = pytest.mark.django_db


def test_a_pipeline_speaks_unless_its_account_is_in_shadow(account, pipeline):
    assert silenced_pipelines.reason(pipeline) == ""

    account_state.enter_shadow(account, now=timezone.now())

    assert silenced_pipelines.reason(pipeline) == "shadow: nothing is said to anybody"
    assert silenced_pipelines.reasons([pipeline.pk, 0]) == {pipeline.pk: "shadow: nothing is said to anybody"}
    leaving_shadow.leave(account, now=timezone.now())
    assert silenced_pipelines.reason(pipeline) == ""


def test_a_shadow_that_was_paused_is_silent_still(account, pipeline):
    account_state.enter_shadow(account, now=timezone.now())
    account_state.pause(account, reason="by hand", now=timezone.now())

    assert silenced_pipelines.reason(pipeline)


def test_a_pipeline_without_an_account_speaks(pipeline):
    assert silenced_pipelines.reason(pipeline) == ""
    assert silenced_pipelines.reasons([]) == {}

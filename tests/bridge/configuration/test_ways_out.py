"""The keys of a configuration by which messages leave, and steps whose words the agent finds."""

from __future__ import annotations

import pytest

from bridge.channels import managing_channels
from bridge.configuration import yaml_file
from followups.models import Step
from tests.bridge.configuration.bringing import bring, exported, refusal
from tests.bridge.configuration.files import SMALLEST

SPEAKS = (
    SMALLEST
    + """\
    channel: zap
    typing_pauses: true
    sequences:
      - slug: retomada
        starts_on: agent_unanswered
        steps:
          - {delay: PT30M, instruction: "ask {{ first_name }} about the roof"}
          - {delay: PT24H, text: "Ainda aí?"}
"""
)


def test_they_come_in_and_go_out_without_loss(pipeline):
    bring(SPEAKS)

    assert Step.objects.get(position=1).instruction == "ask {{ first_name }} about the roof"
    assert Step.objects.get(position=1).text == ""
    out = exported()
    assert "channel: zap" in out and "typing_pauses: true" in out and "instruction:" in out
    assert yaml_file.parse(out.encode()).pipelines == yaml_file.parse(SPEAKS.encode()).pipelines


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("{delay: PT30M}", "give one of text"),
        ('{delay: PT30M, text: "a", instruction: "b"}', "give one of text"),
        ('{delay: PT30M, instruction: "{{ nonsense }}"}', "cannot be rendered"),
        ('{delay: PT30M, instruction: "{% if %}"}', "cannot be rendered"),
    ],
)
def test_a_step_says_one_thing(pipeline, step, sentence):
    text = SPEAKS.replace('{delay: PT30M, instruction: "ask {{ first_name }} about the roof"}', step)
    assert sentence in refusal(text)


def test_no_name_is_no_channel(pipeline):
    assert "only a-z" in refusal(SPEAKS.replace("channel: zap", 'channel: "meu zap"'))


def test_the_named_one_is_first_then_the_pipelines_own_in_their_order(pipeline):
    for slug in ("um", "dois", "zap"):
        managing_channels.establish("log", slug)
    assert [channel.slug for channel in managing_channels.chain(pipeline)] == ["um", "dois", "zap"]
    pipeline.channel = "zap"
    assert [channel.slug for channel in managing_channels.chain(pipeline)] == ["zap", "um", "dois"]
    pipeline.channel = "nenhum"
    assert [channel.slug for channel in managing_channels.chain(pipeline)] == ["um", "dois", "zap"]

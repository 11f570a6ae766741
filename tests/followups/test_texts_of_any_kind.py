"""Whatever staff write as a text, looking at it and sending it costs a bounded number of steps and little memory.

Generated, with whole numbers of any size, through the page of the preview and through a worker's claim. Steps are
counted as Python's calls, its own and those into C, so that a busy machine changes nothing.
"""

from __future__ import annotations

import copy
import itertools
import sys
import tracemalloc
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from followups import texts
from followups.models import Attempt, Enrollment, SequenceVersion
from tests.followups.conftest import TUESDAY

# A page of the admin and five renderings of a text are some hundred thousand; a text that hangs is millions.
MOST_STEPS = 3_000_000
MOST_BYTES = 40_000_000

NUMBER = st.sampled_from(["0", "3", "-7", "199", "201", "50000", "77777777777", "-88888888888", "custom.n", "9e9", "x"])
VALUE = st.one_of(
    NUMBER, st.sampled_from(["name", "custom.long", "objections", "meeting.link", "'a'", "nil", "all", "f.last"]),
    st.builds("({}..{})".format, NUMBER, NUMBER),
)  # fmt: skip
FILTER = st.builds(
    "{}{}".format,
    st.sampled_from(sorted(texts._environment.filters)),
    st.one_of(st.just(""), st.builds(": {}".format, VALUE), st.builds(": {}, {}".format, VALUE, VALUE)),
)
FILTERED = st.builds(lambda value, filters: " | ".join([value, *filters]), VALUE, st.lists(FILTER, max_size=4))
MORE = st.sampled_from(["", " reversed", " limit: 2", " offset: 88888888", " limit: 99999999 offset: continue"])
LEAF = st.one_of(
    st.builds("{{{{ {} }}}}".format, FILTERED),
    st.builds("{{% assign x = {} %}}".format, FILTERED),
    st.builds("{{% cycle {}, {} %}}".format, VALUE, VALUE),
    st.sampled_from(["oi ", "{% increment x %}", "{% break %}", "{{", "{%", "}}", "{{ x | times: x }}" * 9]),
)


def blocks(inner):
    text = st.lists(inner, min_size=1, max_size=4).map("".join)
    return st.one_of(
        st.builds("{{% for f in {}{} %}}{}{{% endfor %}}".format, VALUE, MORE, text),
        st.builds("{{% tablerow f in {}{} %}}{}{{% endtablerow %}}".format, VALUE, MORE, text),
        st.builds("{{% if {} contains {} %}}{}{{% endif %}}".format, VALUE, VALUE, text),
        st.builds("{{% case {} %}}{{% when {} %}}{}{{% endcase %}}".format, VALUE, VALUE, text),
        st.builds("{{% capture x %}}{}{{% endcapture %}}".format, text),
        st.builds("{{% raw %}}{}{{% endraw %}}".format, text),
        st.builds(lambda part, times: part * times, text, st.integers(2, 40)),
    )


LIQUID = st.recursive(LEAF, blocks, max_leaves=12)
GROWING = "{% assign x = 99999999999999999 %}" + "{% assign x = x | times: x %}" * 11
NASTY = (
    GROWING + "{{ x" + " | times: x" * 320 + " }}",
    "{% for f in (1..99999999999) offset: 99999999990 %}{{ f }}{% endfor %}",
    "{% for f in (1..100000000) reversed %}{{ f }}{% endfor %}",
    "{% for f in (1..199) %}{{ custom.long | replace: 'a', custom.long | replace: 'a', custom.long }}{% endfor %}",
    "{% for f in (1..199) %}{{ custom.long | date: custom.long | date: '%d' }}{% endfor %}",
    "{% if (1..99999999999) contains 'x' %}{% endif %}",
    "{{ (1..99999999999) | join: custom.long | split: '' | uniq | sort | join }}",
    "{{" * 1900,
    "{{ " + "a[" * 1900,
)  # fmt: skip
FACTS = {"n": 10**12, "long": "a" * 4000}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TooMuchError(BaseException):
    """Nothing of ours catches it."""


@contextmanager
def bounded():
    """Fail after so many steps, or when so much memory was taken at once."""
    steps = 0

    def step(frame, event, argument):
        nonlocal steps
        steps += 1
        if steps > MOST_STEPS:
            sys.setprofile(None)
            raise TooMuchError

    before = sys.getprofile()
    tracemalloc.start()
    sys.setprofile(step)
    try:
        yield
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        sys.setprofile(before)
        tracemalloc.stop()
    assert taken < MOST_BYTES


def examples(test):
    for text in NASTY:
        test = example(text=text)(test)
    return test


@pytest.fixture(params=["rules_timeline", "rules_parts"])
def page(request, admin_client, pipeline, conversation):
    conversation.lead_writes(facts={"name": "Maria Souza", "custom": FACTS})
    url = reverse(f"admin:{request.param}", kwargs={"pk": pipeline.pk})
    form = {"steps-TOTAL_FORMS": 1, "steps-INITIAL_FORMS": 0}
    # What is imported and compiled once is not what a text costs.
    admin_client.post(url, {**form, "text": "Oi", "steps-0-text": "Oi"})
    return lambda text: admin_client.post(url, {**form, "text": text, "steps-0-text": text})


@FEW
@examples
@given(text=LIQUID)
def test_looking_at_a_text(page, text):
    with bounded():
        answer = page(text)
    assert answer.status_code == 200
    assert len(answer.content) < 100_000


people = itertools.count(1)


@FEW
@examples
@given(text=LIQUID)
def test_a_workers_claim(conversation, agent, text):
    """As a text stands that was saved before anybody checked it, or that strikes with the facts of one lead alone."""
    conversation.now = TUESDAY
    first, second = (f"+55119{90000000 + next(people)}" for _ in range(2))
    lead = conversation.lead_writes(phone=first, facts={"name": "Maria Souza", "custom": FACTS})
    conversation.agent_writes(phone=first)
    conversation.lead_writes(phone=second)
    other = conversation.agent_writes(phone=second)
    enrollment = Enrollment.objects.select_related("version").get(lead=lead)
    content = copy.deepcopy(enrollment.version.content)
    content["steps"][0]["text"] = text[: texts.LONGEST_TEXT]
    enrollment.version = SequenceVersion.objects.create(
        sequence=enrollment.sequence, digest=uuid4().hex, content=content
    )
    enrollment.save(update_fields=["version"])
    conversation.wait(minutes=31)

    with bounded():
        conversation.tick()

    assert not Enrollment.objects.filter(lead__in=[lead, other], next_at__lte=conversation.now).exists()
    assert all(len(stored_text) <= texts.LONGEST_TEXT for stored_text in Attempt.objects.values_list("text", flat=True))
    # Whose text is good is not kept waiting by whose text is not.
    assert Attempt.objects.get(enrollment__lead=other).state == Attempt.State.SENT

from __future__ import annotations

from string import ascii_lowercase

from hypothesis import given
from hypothesis import strategies as st

from bridge.cards.plan import (
    Desired,
    DesiredField,
    Observed,
    Operation,
    TagFamily,
    apply,
    combine_doubts,
    contested,
    plan,
    unanswered,
)

PIPELINE, NEW, QUALIFIED = 11672895, 89709459, 89709467


def desired(**more):
    base = {
        "lead_id": "l1",
        "name": "Maria",
        "phone": "+5581999990000",
        "email": "",
        "pipeline_id": PIPELINE,
        "status_id": NEW,
    }
    return Desired(**(base | more))


def field(field_id, value):
    return DesiredField(field_id, f"a{field_id}", None if value is None else [{"value": value}], value)


def family(*tags, kommo_tags=None):
    # All of them told a fact of ours once: what nobody here had put there has a test of its own.
    told_tags = frozenset(f"fluxo_{letter}" for letter in ascii_lowercase)
    return TagFamily("fluxo_", "", frozenset(tags), None if kommo_tags is None else frozenset(kommo_tags), told_tags)


def observed(**known):
    return Observed(7, {"name": "Maria", "pipeline_id": PIPELINE, "status_id": NEW} | known)


def test_agreement_needs_no_write():
    assert plan(desired(), observed()).is_empty


def test_a_lead_without_a_card_is_created_with_everything_at_once():
    made = plan(
        desired(
            email="maria@example.com",
            fields=(field(1, "a"), field(2, None)),
            families=(family("fluxo_b", "fluxo_a"),),
            bridge_id_field_id=9,
            unmapped=("“Origem” is not bound",),
        ),
        Observed(None),
    )
    assert (made.operation, made.unmapped) == (Operation.CREATE, ("“Origem” is not bound",))
    assert made.body == {
        "name": "Maria",
        "pipeline_id": PIPELINE,
        "status_id": NEW,
        "request_id": "l1",
        "custom_fields_values": [
            {"field_id": 1, "values": [{"value": "a"}]},
            {"field_id": 9, "values": [{"value": "l1"}]},
        ],
        "_embedded": {
            "contacts": [
                {
                    "name": "Maria",
                    "custom_fields_values": [
                        {"field_code": "PHONE", "values": [{"value": "+5581999990000", "enum_code": "MOB"}]},
                        {"field_code": "EMAIL", "values": [{"value": "maria@example.com", "enum_code": "WORK"}]},
                    ],
                }
            ],
            "tags": [{"name": "fluxo_a"}, {"name": "fluxo_b"}],
        },
    }
    # Whatever is sent is remembered as sent, or it comes back as a person's edit.
    assert made.effect == {
        "name": "Maria",
        "pipeline_id": PIPELINE,
        "status_id": NEW,
        "fields": {"1": "a", "9": "l1"},
        "tags": ["fluxo_a", "fluxo_b"],
    }


def test_a_lead_of_whom_only_the_phone_is_known_goes_by_its_phone():
    made = plan(desired(name=""), Observed(None))
    assert made.body["name"] == made.body["_embedded"]["contacts"][0]["name"] == "+5581999990000"
    assert made.body.keys() == {"name", "pipeline_id", "status_id", "request_id", "_embedded"}
    assert made.body["_embedded"].keys() == {"contacts"}


def test_a_lead_born_in_kommo_without_a_phone_makes_a_contact_by_name():
    contact = plan(desired(phone=""), Observed(None)).body["_embedded"]["contacts"][0]
    assert contact == {"name": "Maria"}


def test_a_new_card_enters_the_first_stage_on_its_way():
    made = plan(desired(status_id=QUALIFIED, statuses_to_visit=(NEW, QUALIFIED)), Observed(None))
    assert made.body["status_id"] == made.effect["status_id"] == NEW


def test_names_are_cut_where_kommo_ends():
    long = "M" * 300
    created = plan(desired(name=long), Observed(None))
    assert len(created.body["name"]) == len(created.body["_embedded"]["contacts"][0]["name"]) == 250
    assert len(plan(desired(name=long), observed()).body["name"]) == 250
    assert plan(desired(name=long), observed(name="M" * 250)).is_empty


def test_two_plans_have_one_fingerprint_exactly_when_they_ask_for_the_same():
    renamed = plan(desired(name="Ana"), observed())
    assert renamed.fingerprint == plan(desired(name="Ana"), observed(price=9)).fingerprint
    assert renamed.fingerprint != plan(desired(name="Bia"), observed()).fingerprint


def test_the_stage_always_goes_with_its_pipeline():
    body = plan(desired(status_id=QUALIFIED), observed()).body
    assert (body["status_id"], body["pipeline_id"]) == (QUALIFIED, PIPELINE)


def test_without_a_place_no_stage_is_sent_at_all():
    body = plan(desired(status_id=None, name="Maria Souza"), observed()).body
    assert body == {"id": 7, "name": "Maria Souza"}


def test_only_what_differs_is_sent():
    body = plan(desired(fields=(field(1, "a"), field(2, "b"))), observed(fields={"1": "a"}, price=900)).body
    assert body == {"id": 7, "custom_fields_values": [{"field_id": 2, "values": [{"value": "b"}]}]}


def test_an_unknown_name_does_not_rename_a_card_that_has_one():
    assert plan(desired(name=""), observed()).is_empty


def test_tags_outside_our_families_are_never_touched():
    made = plan(desired(families=(family("fluxo_a"),)), observed(tags=["vip", "fluxo_b", "fluxograma"]))
    assert made.body == {"id": 7, "tags_to_add": [{"name": "fluxo_a"}], "tags_to_delete": [{"name": "fluxo_b"}]}
    assert "_embedded" not in made.body


def test_a_tag_of_our_family_that_told_no_fact_of_ours_stays():
    wanted = TagFamily("fluxo_", "", frozenset({"fluxo_a"}), said_tags=frozenset({"fluxo_b"}))
    body = plan(desired(families=(wanted,)), observed(tags=["fluxo_b", "fluxo_vip"])).body
    assert body["tags_to_delete"] == [{"name": "fluxo_b"}]


def test_a_family_a_person_changed_stands_until_we_want_something_else():
    theirs = observed(tags=["fluxo_x"])
    assert plan(desired(families=(family("fluxo_a", kommo_tags={"fluxo_a"}),)), theirs).is_empty
    assert not plan(desired(families=(family("fluxo_b", kommo_tags={"fluxo_a"}),)), theirs).is_empty


def test_a_field_that_became_unknown_is_cleared():
    body = plan(desired(fields=(field(1, None),)), observed(fields={"1": "a"})).body
    assert body["custom_fields_values"] == [{"field_id": 1, "values": None}]


def test_what_is_in_doubt_is_sent_again_even_if_it_looks_right():
    doubtful = Observed(7, observed().known, {"name": "Other", "fields": {"1": "x"}, "tags_to_add": ["fluxo_b"]})
    body = plan(desired(fields=(field(1, None),), families=(family(),)), doubtful).body
    assert body["name"] == "Maria"
    assert body["custom_fields_values"] == [{"field_id": 1, "values": None}]
    assert body["tags_to_delete"] == [{"name": "fluxo_b"}]


def test_a_stage_in_doubt_is_sent_again_with_its_pipeline():
    doubtful = Observed(7, observed().known, {"status_id": QUALIFIED})
    made = plan(desired(), doubtful)
    assert (made.operation, made.body) == (Operation.UPDATE, {"id": 7, "pipeline_id": PIPELINE, "status_id": NEW})
    assert made.effect == {"pipeline_id": PIPELINE, "status_id": NEW}


def test_tags_in_doubt_are_sent_again_whichever_way_they_went():
    on_card = observed(tags=["fluxo_a", "fluxo_b"])
    wanted = desired(families=(family("fluxo_a"),))
    maybe_added = Observed(7, on_card.known | {"tags": ["fluxo_a"]}, {"tags_to_add": ["fluxo_a"]})
    assert plan(wanted, maybe_added).body["tags_to_add"] == [{"name": "fluxo_a"}]
    maybe_gone = Observed(7, on_card.known, {"tags_to_delete": ["fluxo_a"]})
    assert plan(wanted, maybe_gone).body["tags_to_add"] == [{"name": "fluxo_a"}]
    assert plan(wanted, on_card).body == {"id": 7, "tags_to_delete": [{"name": "fluxo_b"}]}


def test_what_is_not_bound_is_told_whatever_else_there_is_to_send():
    missing = ("“Origem” is not bound",)
    for wanted, on_card, operation in (
        (desired(unmapped=missing), observed(), Operation.NONE),
        (desired(unmapped=missing, refusal="not bound"), Observed(None), Operation.NONE),
        (desired(unmapped=missing, status_id=QUALIFIED), observed(), Operation.UPDATE),
    ):
        made = plan(wanted, on_card)
        assert (made.operation, made.unmapped) == (operation, missing)


def test_stages_to_visit_go_one_by_one_before_the_lead_s_own():
    made = plan(desired(status_id=QUALIFIED, statuses_to_visit=(89709463,)), observed())
    assert made.body["status_id"] == 89709463


def test_a_loss_reason_goes_with_the_move_or_after_it():
    together = plan(desired(status_id=143, loss_reason_id=8), observed())
    assert together.body["loss_reason_id"] == 8
    first = plan(desired(status_id=143, loss_reason_id=8, loss_reason_after_move=True), observed())
    assert "loss_reason_id" not in first.body
    second = plan(desired(status_id=143, loss_reason_id=8), observed(status_id=143))
    assert second.body == {"id": 7, "loss_reason_id": 8}
    assert second.effect == {"loss_reason_id": 8}
    assert plan(desired(status_id=143, loss_reason_id=8), observed(status_id=143, loss_reason_id=8)).is_empty
    assert "loss_reason_id" not in plan(desired(status_id=QUALIFIED, loss_reason_id=8), observed()).body


def test_held_sends_nothing_and_says_why():
    made = plan(desired(refusal="not bound"), Observed(None))
    assert (made.is_empty, made.refusal) == (True, "not bound")


def test_a_confirmed_write_replaces_what_it_named_and_nothing_else():
    known = {"name": "Maria", "price": 9, "fields": {"1": "a", "2": "b"}, "tags": ["vip", "fluxo_a"]}
    effect = {"name": "Ana", "fields": {"2": "c", "3": None}, "tags_to_add": ["fluxo_b"], "tags_to_delete": ["fluxo_a"]}
    assert apply(known, effect) == {
        "name": "Ana",
        "price": 9,
        "fields": {"1": "a", "2": "c", "3": None},
        "tags": ["fluxo_b", "vip"],
    }
    assert apply({}, {"fields": {"1": "a"}, "tags_to_delete": ["x"]}) == {"fields": {"1": "a"}, "tags": []}
    assert apply({}, {"tags_to_add": ["x"]}) == {"tags": ["x"]}
    assert apply(known, {"status_id": 7}) == known | {"status_id": 7}


def test_doubts_add_up_until_they_are_answered():
    earlier = {"name": "Maria", "fields": {"1": "a"}, "tags_to_add": ["x"]}
    later = {"status_id": 7, "fields": {"2": "b"}, "tags_to_add": ["w"], "tags_to_delete": ["y"]}
    assert combine_doubts(earlier, later) == {
        "name": "Maria",
        "status_id": 7,
        "fields": {"1": "a", "2": "b"},
        "tags_to_add": ["w", "x"],
        "tags_to_delete": ["y"],
    }
    assert combine_doubts({}, {"name": "Ana"}) == {"name": "Ana"}
    assert combine_doubts({"tags_to_delete": ["y"]}, {"fields": {}}) == {"tags_to_delete": ["y"]}


def test_a_reading_answers_what_it_shows():
    doubts = {"name": "Ana", "pipeline_id": 1, "status_id": 142, "fields": {"1": "a", "2": "b"},
              "tags_to_add": ["x", "y"], "tags_to_delete": ["z"]}  # fmt: skip
    on_card = {"name": "Ana", "pipeline_id": 2, "status_id": 142, "fields": {"1": "a"}, "tags": ["x", "z"]}
    place = {"pipeline_id": 1, "status_id": 142}
    assert unanswered(doubts, on_card) == {**place, "fields": {"2": "b"}, "tags_to_add": ["y"], "tags_to_delete": ["z"]}
    assert unanswered(doubts, apply(on_card, doubts)) == {}
    assert unanswered({"name": "Ana"}, {}) == {"name": "Ana"}
    assert unanswered({"fields": {"1": "a"}}, {}) == {"fields": {"1": "a"}}
    # In the right pipeline, in another stage: the place is in doubt as a whole.
    assert unanswered({"pipeline_id": 1, "status_id": 142}, {"pipeline_id": 1, "status_id": 5}) == place


def test_what_somebody_else_changed_during_a_write_is_contested():
    effect = {
        "name": "Ana",
        "status_id": 7,
        "fields": {"1": "a", "2": "b"},
        "tags_to_add": ["x", "y"],
        "tags_to_delete": ["z"],
    }
    before = {"name": "Maria", "status_id": 5, "fields": {"1": "o", "2": "o"}, "tags": ["z"]}
    assert contested(effect, before, before) == {}
    theirs = before | {"name": "Bia", "fields": {"1": "o", "2": "p"}, "tags": ["y", "vip"]}
    assert contested(effect, before, theirs) == {"name": "Ana", "fields": {"2": "b"}}
    assert contested(effect, {}, {"status_id": 9}) == {"status_id": 7}
    again = before | {"tags": ["x"]}
    assert contested(effect, again, again | {"tags": ["z"]}) == {"tags_to_add": ["x"], "tags_to_delete": ["z"]}


def test_our_own_echo_heard_before_the_answer_is_not_contested():
    effect = {"name": "Ana", "status_id": 7, "fields": {"1": "a"}, "tags_to_add": ["x"], "tags_to_delete": ["z"]}
    before = {"name": "Maria", "status_id": 5, "fields": {"1": "o"}, "tags": ["z"]}
    echo = {"name": "Ana", "status_id": 7, "fields": {"1": "a"}, "tags": ["x", "vip"]}
    assert contested(effect, before, echo) == {}


NAMES = st.sampled_from(["", "Maria", "João"])
STATUSES = st.sampled_from([None, NEW, QUALIFIED])
VALUES = st.sampled_from([None, "1", "2"])
TAGS = st.frozensets(st.sampled_from(["fluxo_a", "fluxo_b"]))
DESIRED = st.builds(
    lambda name, status, value, tags: desired(
        name=name, status_id=status, fields=(field(1, value),), families=(family(*tags),)
    ),
    NAMES, STATUSES, VALUES, TAGS,
)  # fmt: skip
OBSERVED = st.builds(
    lambda name, status, value, tags, doubt: Observed(
        7,
        {"name": name, "pipeline_id": PIPELINE, "status_id": status, "fields": {"1": value}, "tags": sorted(tags)},
        doubt,
    ),
    NAMES, st.sampled_from([NEW, QUALIFIED]), VALUES, st.frozensets(st.sampled_from(["fluxo_a", "fluxo_b", "vip"])),
    st.fixed_dictionaries(
        {},
        optional={
            "name": NAMES, "status_id": STATUSES, "fields": st.just({"1": "9"}), "tags_to_add": st.just(["fluxo_a"])
        },
    ),
)  # fmt: skip


@given(DESIRED, OBSERVED)
def test_after_a_confirmed_plan_nothing_is_left_to_write(wanted, on_card):
    made = plan(wanted, on_card)
    after = Observed(7, apply(on_card.known, made.effect), {})
    assert made.is_empty or plan(wanted, after).is_empty


@given(DESIRED, OBSERVED)
def test_no_plan_ever_deletes_a_tag_of_staff(wanted, on_card):
    assert {"name": "vip"} not in plan(wanted, on_card).body.get("tags_to_delete", ())


@given(DESIRED, OBSERVED, DESIRED)
def test_a_lost_answer_never_leaves_kommo_wrong(first, on_card, second):
    """The first plan may or may not have been applied; the second must bring either card to what is wanted."""
    sent = plan(first, on_card)
    doubtful = Observed(7, on_card.known, combine_doubts(on_card.in_doubt, sent.effect))
    final = plan(second, doubtful)
    for reality in (on_card.known, apply(on_card.known, sent.effect)):
        end = apply(reality, final.effect)
        if second.name:
            assert end["name"] == second.name or (not on_card.in_doubt and sent.is_empty)
        if second.status_id:
            assert end["status_id"] == second.status_id or on_card.in_doubt
        assert end["fields"]["1"] == second.fields[0].comparable or on_card.in_doubt
        ours = {tag for tag in end["tags"] if tag.startswith("fluxo_")}
        assert ours == second.families[0].tags or on_card.in_doubt

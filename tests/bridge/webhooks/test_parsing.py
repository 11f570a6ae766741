from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.webhooks import parsing
from bridge.webhooks.parsing import SAID, Parsed, Problem, custom_field_values, number, parse, tag_names


def body(*pairs: tuple[str, object]) -> bytes:
    return urlencode(pairs).encode()


def test_bracket_form_is_read_with_account_entity_action_and_id():
    parsed = parse(
        body(("account[id]", 30000001), ("leads[status][0][id]", 15318175), ("leads[status][0][status_id]", 67548619))
    )
    assert parsed.account_id == 30000001
    assert [(item.entity, item.action, item.kommo_id) for item in parsed.items] == [("lead", "status", 15318175)]
    assert number(parsed.items[0].data["status_id"]) == 67548619


def test_several_entities_and_actions_in_one_body_are_all_read():
    parsed = parse(
        body(
            ("leads[update][0][id]", 1),
            ("leads[update][1][id]", 2),
            ("leads[status][0][id]", 1),
            ("contacts[update][0][id]", 9),
            ("contacts[update][1][id]", 8),
            ("contacts[update][1][type]", "company"),
        )
    )
    assert [(item.entity, item.action, item.kommo_id) for item in parsed.items] == [
        ("lead", "update", 1),
        ("lead", "update", 2),
        ("lead", "status", 1),
        ("contact", "update", 9),
        ("company", "update", 8),
    ]


def test_gaps_in_the_indices_lose_nothing():
    parsed = parse(body(("leads[update][7][id]", 1), ("leads[update][900][id]", 2)))
    assert [item.kommo_id for item in parsed.items] == [1, 2]


def test_a_note_is_nested_twice_and_names_its_lead():
    item = parse(body(("leads[note][0][note][element_id]", 5), ("leads[note][0][note][text]", "olá"))).items[0]
    assert (item.entity, item.action, item.kommo_id, item.data["text"]) == ("lead", "note", 5, "olá")


def test_a_key_that_is_a_value_and_a_parent_does_not_stop_the_reading():
    item = parse(
        body(
            ("leads[note][0][note][note_type]", 3),
            ("leads[note][0][note][note_type][message_uuid]", "x"),
            ("leads[note][0][note][element_id]", 5),
        )
    ).items[0]
    assert item.kommo_id == 5


@pytest.mark.parametrize("action", ["accept", "decline"])
def test_an_incoming_lead_that_is_over_names_the_lead_it_became(action):
    item = parse(
        body(("unsorted[delete][0][action]", action), (f"unsorted[delete][0][{action}_result][leads][0]", 77))
    ).items[0]
    assert (item.entity, item.kommo_id) == ("unsorted", 77)


@pytest.mark.parametrize(
    "pairs", [["leads[update][0]=x", "leads[update][0][id]=5"], ["leads[update][0][id]=5", "leads[update][0]=x"]]
)
def test_an_entity_that_is_a_value_and_a_parent_is_read_as_the_parent(pairs):
    [item] = parse("&".join(pairs).encode()).items
    assert (item.kommo_id, item.data) == (5, {"id": "5"})


def test_pairs_may_be_empty_and_values_may_hold_an_equals_sign():
    first, second = parse(b"&leads[add][0][id]=1&&leads[add][1][id]=2&leads[add][1][name]=a=b").items
    assert (first.kommo_id, second.kommo_id, second.data["name"]) == (1, 2, "a=b")


def test_field_values_come_as_lists_bare_scalars_or_objects():
    start = "leads[update][0][custom_fields]"
    item = parse(
        body(
            ("leads[update][0][id]", 1),
            (f"{start}[0][id]", 10),
            (f"{start}[0][values][0][value]", "Inglês"),
            (f"{start}[0][values][0][enum]", 908107),
            (f"{start}[1][id]", 11),
            (f"{start}[1][values][0]", 1725915600),
            (f"{start}[2][id]", 12),
            (f"{start}[2][values][value]", "sim"),
            (f"{start}[3][id]", 13),
        )
    ).items[0]
    assert custom_field_values(item.data) == {
        10: [{"value": "Inglês", "enum_id": 908107}],
        11: [{"value": "1725915600"}],
        12: [{"value": "sim"}],
        13: [],
    }


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ("x", [{"value": "x"}]),
        (["x", "y", {"0": "z"}], [{"value": "x"}, {"value": "y"}]),
        ({"value": "x", "enum": "4"}, [{"value": "x", "enum_id": 4}]),
        ({"0": "x", "1": {"value": "y"}}, [{"value": "x"}, {"value": "y"}]),
        (None, []),
    ],
)
def test_the_values_of_a_field_are_read_in_every_shape(values, read):
    assert custom_field_values({"custom_fields": [{"id": "1", "values": values}, "nonsense"]}) == {1: read}


def test_tags_are_read_by_name():
    item = parse(
        body(("leads[add][0][id]", 1), ("leads[add][0][tags][0][id]", 5), ("leads[add][0][tags][0][name]", "vip"))
    ).items[0]
    assert tag_names(item.data) == ["vip"]


@pytest.mark.parametrize("text", [" 12 ", "12", 12, {"": "12"}, {"x": {"0": "7"}, "0": "a", "1": "12"}])
def test_ids_may_come_with_spaces_or_under_a_key_of_their_own(text):
    assert number(text) == 12


def test_ids_have_at_most_eighteen_digits():
    assert (number("9" * 18), number("9" * 19)) == (10**18 - 1, None)


@pytest.mark.parametrize("value", ["", "a", "-1", "1.5", 1.5, None, [], {}, {"0": {"0": "7"}}, True, "9" * 30, "¹"])
def test_what_is_no_id_is_none(value):
    assert number(value) is None


@pytest.mark.parametrize(
    "raw", [b"[", b"%ff", b"leads=1", b"leads[status]=1", b"{}", b'{"leads": 1}', b"\x00", b"a" * 3000]
)
def test_bodies_that_tell_nothing_say_so(raw):
    assert parse(raw) == Parsed(problem=Problem.NOTHING_KNOWN)


def test_an_empty_body_says_so():
    assert parse(b" \n") == Parsed(problem=Problem.EMPTY)


def test_a_body_of_the_account_alone_keeps_whose_it_is():
    assert parse(b"account[id]=5&account[subdomain]=77") == Parsed(5, problem=Problem.NOTHING_KNOWN)
    assert parse(b"account[subdomain]=77").account_id is None


@pytest.fixture
def bad(monkeypatch):
    """Two entities at which the library gives up: spelled as Kommo does not, so they are its to decode."""
    decode = parsing.qs_codec.decode

    def choke(text, options):
        if "choke" in text:
            raise ValueError("no form")
        return decode(text, options)

    monkeypatch.setattr(parsing.qs_codec, "decode", choke)
    return b"leads[add][0][na-me]=choke&leads[add][1][na-me]=choke"


def test_one_entity_that_cannot_be_read_costs_no_other(bad):
    assert parse(bad) == Parsed(problem=Problem.UNREADABLE)
    items = parse(bad + b"&leads[add][2][id]=3")
    assert [item.kommo_id for item in items.items] == [3]
    assert not items.is_whole and parse(b"leads[add][2][id]=3").is_whole


def test_of_what_cannot_be_decoded_nothing_stays_when_somebody_is_erased(bad):
    rest = b"leads[add][2][id]=3&leads[add][2][name]=Ana&account[id]=5"

    assert parsing.without(bad + b"&" + rest, lambda item: False) == rest
    assert parsing.without(rest, lambda item: False) == rest
    assert parsing.without(bad, lambda item: False) == b""


def test_nor_of_an_entity_that_nobody_knows_yet():
    widgets = b"widgets[add][0][name]=Ana&note=Zulmira"
    rest = b"leads[add][2][id]=3&leads[add][2][name]=Ana&account[id]=5"

    assert parsing.without(widgets + b"&" + rest, lambda item: "Zulmira" in str(item.data)) == rest
    assert (
        parsing.without(widgets + b"&" + rest, lambda item: item.kommo_id == 3) == b"leads[add][2][id]=3&account[id]=5"
    )
    assert parsing.without(widgets + b"&" + rest, lambda item: False) == widgets + b"&" + rest


def test_every_problem_is_told_in_words():
    assert set(SAID) == set(Problem)


def test_thousands_of_keys_are_read():
    pairs = [(f"leads[update][{i}][custom_fields][{j}][values][0][value]", "x") for i in range(40) for j in range(50)]
    assert len(parse(body(*pairs, *((f"leads[update][{i}][id]", i + 1) for i in range(40)))).items) == 40


KEYS = st.lists(
    st.sampled_from(
        [
            "leads",
            "status",
            "0",
            "id",
            "note",
            "custom_fields",
            "values",
            "",
            "[",
            "]",
            "x",
            "unsorted",
            "accept_result",
        ]
    ),
    max_size=7,
)
PAIRS = st.lists(
    st.tuples(
        KEYS.map(lambda parts: (parts[0] if parts else "") + "".join(f"[{part}]" for part in parts[1:])),
        st.text(max_size=5),
    ),
    max_size=12,
)


def sound(parsed: Parsed) -> bool:
    """Read everything in it; say whether a body tells either something that can be kept, or why it tells nothing."""
    for item in parsed.items:
        assert item.entity in parsing.ENTITIES.values()
        assert item.kommo_id is None or item.kommo_id >= 0
        assert all(isinstance(field_id, int) for field_id in custom_field_values(item.data))
        assert all(isinstance(name, str) for name in tag_names(item.data))
    return bool(parsed.items) != bool(parsed.problem)


@given(PAIRS)
def test_no_form_makes_the_parser_raise(pairs):
    assert sound(parse(urlencode(pairs).encode()))


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(raw):
    assert sound(parse(raw))


@given(st.integers(0, 600))
def test_a_body_cut_anywhere_is_survived(length):
    whole = body(
        ("account[id]", 1), *((f"leads[update][{i}][name]", "João [x]") for i in range(8)), ("leads[update][0][id]", 5)
    )
    parsed = parse(whole[:length])
    assert sound(parsed)
    # Only the last one can be cut.
    names = [item.data["name"] for item in parsed.items if "name" in item.data]
    assert names[:-1] == ["João [x]"] * (len(names) - 1 if names else 0)


SHAPES = {
    # kommo-api §8.2: what each action carries beyond the common block.
    "leads[delete][0][id]": ("lead", "delete"),
    "leads[restore][0][id]": ("lead", "restore"),
    "leads[responsible][0][id]": ("lead", "responsible"),
    "contacts[add][0][id]": ("contact", "add"),
    "task[delete][0][id]": ("task", "delete"),
    "talk[add][0][talk_id]": ("talk", "add"),
    "outgoing_message[add][0][id]": ("message", "add"),
    "add[0][id]": ("message", "add"),
    "unsorted[add][0][lead_id]": ("unsorted", "add"),
    "catalogs[update][0][id]": ("catalog", "update"),
    "customers[responsible][0][id]": ("customer", "responsible"),
}


@pytest.mark.parametrize(("key", "expected"), SHAPES.items())
def test_every_entity_and_action_of_kommo_is_known(key, expected):
    [item] = parse(body((key, 7))).items
    assert (item.entity, item.action, item.kommo_id) == (*expected, 7)


def test_links_keyed_by_their_own_ids_are_kept():
    [item] = parse(body(("contacts[update][0][id]", 1), ("contacts[update][0][linked_leads_id][99][ID]", 99))).items
    assert item.data["linked_leads_id"] == {"99": {"ID": "99"}}


def test_the_account_may_come_last_and_without_an_id():
    pairs = (("leads[add][0][id]", 1), ("account[subdomain]", "acme"), ("account[_links][self]", "https://x"))
    assert (parse(body(*pairs)).account_id, len(parse(body(*pairs)).items)) == (None, 1)
    assert parse(body(("leads[add][0][id]", 1), ("account[id]", 5))).account_id == 5


def test_a_body_of_two_mebibytes_with_a_lead_in_every_pair_is_read_in_one_go():
    # Decoded as one tree it takes minutes: the time grows with the square of the leads.
    assert len(parse(b"&".join(b"leads[update][%d][id]=%d" % (n, n) for n in range(20_000))).items) == 20_000


def test_no_text_holds_a_nul():
    [item] = parse(b"leads[up%00date][0][id]=5&leads[update][0][na%00me]=a%00b&leads[update][0][x][%00]=%00").items
    assert "\0" not in repr(item)
    assert item.data["name"] == "ab"


DEEP = st.recursive(st.text(max_size=4), lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3))


def flat(prefix, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(f"{prefix}[{key}]", inner)
    else:
        yield prefix, value


@given(
    st.dictionaries(st.sampled_from(["leads", "contacts", "task", "talk", "message", "unsorted", "account"]), DEEP),
    st.sampled_from(["add", "update", "status", "delete", "note"]),
)
def test_no_nested_form_makes_the_reading_raise(entities, action):
    pairs = [pair for name, value in entities.items() for pair in flat(f"{name}[{action}][0]", value)]
    assert sound(parse(urlencode(pairs).encode("utf-8", "surrogatepass")))


SHORT_NAMES = st.sampled_from(["a", "b", "0", "1", "id", "values", "é", "a%5D", "x y", ""])
SHORT_VALUES = st.sampled_from(["", "1", "a+b", "%C3%A9", "%C3", "%zz", "a%00b", "=", "a=b", "[x]", "%26", "é"])
SHORT_KEYS = st.lists(SHORT_NAMES, max_size=4).map(lambda names: "".join(f"[{name}]" for name in names))


@given(pairs=st.lists(st.builds("entity{}={}".format, SHORT_KEYS, SHORT_VALUES), min_size=1, max_size=6))
def test_what_is_decoded_quickly_is_what_the_library_makes_of_it(pairs):
    assert parsing._decode(pairs) == parsing._decode_any(pairs)


def test_what_kommo_writes_is_decoded_quickly():
    pairs = ["entity[id]=7", "entity[name]=Maria+S%C3%A1", "entity[custom_fields][0][values][0][value]=a%5Bb"]
    fields = {"0": {"values": {"0": {"value": "a[b"}}}}
    assert parsing._decode_plain(pairs) == {"id": "7", "name": "Maria Sá", "custom_fields": fields}

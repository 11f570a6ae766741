import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import addresses
from leads.addresses import AddressError, Kind, parse


def read(kind, value):
    address = parse(kind, value, region="BR")
    return address.kind, address.value, address.key


@pytest.mark.parametrize(
    ("kind", "value", "known_as"),
    [
        ("phone", "(81) 99999-0000", ("phone", "+5581999990000", "+5581999990000")),
        (
            "phone",
            "558199990000@s.whatsapp.net",
            ("whatsapp", "558199990000@s.whatsapp.net", "+5581999990000"),
        ),
        (
            "whatsapp",
            "558199990000:12@c.us",
            ("whatsapp", "558199990000@c.us", "+5581999990000"),
        ),
        (
            "whatsapp",
            "558199990000",
            ("whatsapp", "558199990000@s.whatsapp.net", "+5581999990000"),
        ),
        ("whatsapp", "987654321@lid", ("lid", "987654321@lid", "lid:987654321@lid")),
        ("phone", "987654321@LID", ("lid", "987654321@lid", "lid:987654321@lid")),
        ("lid", "987654321:7@lid", ("lid", "987654321@lid", "lid:987654321@lid")),
        ("lid", "987654321", ("lid", "987654321@lid", "lid:987654321@lid")),
        ("bsuid", "br.15023aB", ("bsuid", "BR.15023aB", "bsuid:BR.15023aB")),
        ("instagram", "@Maria.Souza", ("instagram", "maria.souza", "instagram:maria.souza")),
        ("instagram", "17841400000000000", ("instagram", "17841400000000000", "instagram:17841400000000000")),
        ("telegram", "@Maria", ("telegram", "maria", "telegram:maria")),
        ("email", "Maria@Example.COM", ("email", "maria@example.com", "email:maria@example.com")),
        ("kommo_contact", "0042", ("kommo_contact", "42", "kommo_contact:42")),
        ("kommo_chat", "AB-cd", ("kommo_chat", "ab-cd", "kommo_chat:ab-cd")),
        ("external", " Crm/7 ", ("external", "Crm/7", "external:Crm/7")),
    ],
)
def test_an_address_is_known_by_one_spelling(kind, value, known_as):
    assert read(kind, value) == known_as


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "value", ["", "  ", "null", "undefined", "undefined@lid", "não informado", "000", "0@s.whatsapp.net", "\x07ab"]
)
def test_what_many_people_may_share_is_nobodys_address(kind, value):
    with pytest.raises(AddressError):
        parse(kind, value, region="BR")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("whatsapp", "120363041234567890@g.us"),
        ("whatsapp", "status@broadcast"),
        ("phone", "120363041234567890@newsletter"),
        ("lid", "120363041234567890@g.us"),
        ("telegram", "-1001234567890"),
        ("bsuid", "1502"),
        ("email", "maria"),
        ("kommo_contact", "maria"),
        ("fax", "+55 81 3333-4444"),
    ],
)
def test_groups_broadcasts_and_other_kinds_are_refused(kind, value):
    with pytest.raises(AddressError):
        parse(kind, value, region="BR")


@given(st.sampled_from(list(Kind)), st.text(max_size=40))
def test_reading_an_address_again_changes_nothing(kind, value):
    try:
        address = parse(kind, value, region="BR")
    except AddressError:
        return
    again = parse(address.kind, address.value, region="US")
    assert (again.kind, again.value, again.key) == (address.kind, address.value, address.key)
    read_again = addresses.of_key(address.key, value=address.value)
    assert read_again.key == address.key


def test_a_whatsapp_id_is_its_number():
    jid, phone = (
        parse(*spelling, region="BR") for spelling in (("whatsapp", "558199990000@c.us"), ("phone", "81 99999-0000"))
    )
    assert jid.key == phone.key
    assert jid.phone == phone.phone

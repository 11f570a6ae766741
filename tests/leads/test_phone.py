"""Two spellings of one number are one person; what is nobody's number is refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.phone import Phone, PhoneError, parse

MARIA = "+5581999990000"


@pytest.mark.parametrize(
    "text",
    [
        "+5581999990000",
        "+55 (81) 99999-0000",
        "+55 81 99999 0000",
        "+55 (081) 99999-0000",
        "55 81 99999-0000",
        "5581999990000",
        "0055 81 99999-0000",
        "(81) 99999-0000",
        "81 99999-0000",
        "081 99999-0000",
        "0 15 81 99999-0000",
        "81.99999.0000",
        "５５８１９９９９９００００",
        "+55\N{NO-BREAK SPACE}81\N{NO-BREAK SPACE}99999-0000",
        "+55 81 99999\N{NON-BREAKING HYPHEN}0000",
        "\N{LEFT-TO-RIGHT EMBEDDING}+55 81 99999-0000\N{POP DIRECTIONAL FORMATTING}",
        "  +5581999990000\n",
        "tel:+5581999990000",
        "whatsapp:+5581999990000",
        "https://wa.me/5581999990000",
    ],
)
def test_every_usual_spelling_is_the_same_number(text):
    assert parse(text, region="BR") == Phone(MARIA, MARIA)


@pytest.mark.parametrize(
    "jid",
    [
        "5581999990000@s.whatsapp.net",
        "5581999990000@c.us",
        "5581999990000:12@s.whatsapp.net",
        "5581999990000.0:12@s.whatsapp.net",
        "558199990000@s.whatsapp.net",
        "5581999990000@S.WHATSAPP.NET",
    ],
)
def test_a_whatsapp_id_is_the_number_in_it(jid):
    assert parse(jid, region="BR").e164 == MARIA


@pytest.mark.parametrize("region", ["BR", "US", "PT"])
def test_digits_with_a_country_code_need_no_plus(region):
    assert parse("5581999990000", region=region).e164 == MARIA
    assert parse("14155552671", region="BR").e164 == "+14155552671"


@pytest.mark.parametrize("without", ["+55 81 9999-0000", "558199990000", "81 9999-0000", "(81) 9999-0000"])
def test_a_brazilian_mobile_number_without_its_ninth_digit_is_the_same_person(without):
    assert parse(without, region="BR") == parse(MARIA, region="BR")


def test_the_area_code_55_is_not_taken_for_the_country():
    assert parse("55 99999-0000", region="BR").e164 == "+5555999990000"
    assert parse("55 9999-0000", region="BR").e164 == "+5555999990000"
    assert parse("555599990000@c.us", region="BR").e164 == "+5555999990000"


def test_a_brazilian_landline_gets_no_ninth_digit():
    assert parse("(81) 3333-4444", region="BR").e164 == "+558133334444"
    assert parse("558133334444@c.us", region="BR").e164 == "+558133334444"


def test_the_ninth_digit_is_brazilian_alone():
    assert parse("+351 912 345 678", region="BR").e164 == "+351912345678"


def test_whatsapps_old_mexican_spelling_is_the_same_person():
    assert parse("5215512345678@s.whatsapp.net", region="BR") == parse("+52 55 1234 5678", region="MX")


@pytest.mark.parametrize(
    "jid",
    ["120363041234567890@g.us", "5581999990000-1600000000@g.us", "123456789@lid", "1@newsletter", "status@broadcast"],
)
def test_ids_that_are_no_person_are_refused_by_name(jid):
    with pytest.raises(PhoneError, match=f"@{jid.split('@')[1]}.*not a person"):
        parse(jid, region="BR")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("\N{LEFT-TO-RIGHT MARK}", "empty"),
        ("maria", "letters"),
        # Read carelessly, this is a number in Japan.
        ("81999990000 maria", "letters"),
        ("+1 800 FLOWERS", "letters"),
        ("123", "country code"),
        ("999990000", "country code"),
        ("+55 81 99999-00000", "country code"),
        # An area code in brackets is no country code.
        ("(81) 29999-0000", "country code"),
        ("81999990000, 81988880000", "country code"),
        ("@s.whatsapp.net", "starts with the digits"),
        ("maria@s.whatsapp.net", "starts with the digits"),
        ("9" * 65, "at most 64"),
    ],
)
def test_what_is_no_number_is_refused_with_a_reason(text, message):
    with pytest.raises(PhoneError, match=message):
        parse(text, region="BR")


NO_NUMBER = "is not a phone number; write it with its country code, like +55 81 99999-0000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the phone is empty"),
        ("maria@s.whatsapp.net", "a WhatsApp id starts with the digits of the phone number"),
        ("123", f"“123” {NO_NUMBER}"),
        ("1234", f"“1234” {NO_NUMBER}"),
        ("12345", f"“…2345” {NO_NUMBER}"),
        ("9" * 64, f"“…9999” {NO_NUMBER}"),
        ("9" * 65, "a phone has at most 64 characters"),
    ],
)
def test_a_refusal_says_what_to_write_instead(text, message):
    with pytest.raises(PhoneError) as refusal:
        parse(text, region="BR")
    assert str(refusal.value) == message


def test_a_whatsapp_id_may_bring_its_plus_sign():
    assert parse("+5581999990000@s.whatsapp.net", region="US").e164 == MARIA
    with pytest.raises(PhoneError, match=r"^“…@lid” is not a person"):
        parse("5581999990000@s.whatsapp.net@lid", region="BR")


def test_the_refusal_does_not_repeat_the_whole_number():
    with pytest.raises(PhoneError) as refusal:
        parse("+55 81 91234-56789", region="BR")

    assert "6789" in str(refusal.value)
    assert "91234" not in str(refusal.value)


REGIONS = st.sampled_from(["BR", "US", "MX", "AR", "PT", "JP", "nowhere", ""])
PHONE_LIKE = st.text(alphabet="0123456789 +-()./@:;,*#xt\N{ARABIC-INDIC DIGIT THREE}\N{SUPERSCRIPT TWO}", max_size=30)


@given(text=st.text() | PHONE_LIKE | st.from_regex(r"\+?[0-9]{8,15}(@c\.us)?", fullmatch=True), region=REGIONS)
def test_any_text_is_a_phone_or_refused(text, region):
    try:
        phone = parse(text, region=region)
    except PhoneError as refusal:
        assert str(refusal)
        return
    # What was kept is read back as the same person, wherever we stand.
    assert parse(phone.e164, region="BR") == phone
    assert phone.e164.startswith("+") and phone.e164[1:].isascii() and phone.e164[1:].isdigit()
    assert len(phone.e164) <= 16


@given(area=st.sampled_from([11, 21, 31, 47, 55, 61, 71, 81, 85, 99]), subscriber=st.integers(60_000_000, 99_999_999))
def test_all_spellings_of_a_brazilian_mobile_number_share_one_key(area, subscriber):
    spellings = [
        f"+55{area}9{subscriber}",
        f"+55{area}{subscriber}",
        f"55{area}9{subscriber}@s.whatsapp.net",
        f"55{area}{subscriber}:3@s.whatsapp.net",
        f"({area}) 9{subscriber}",
        f"0{area} 9{subscriber}",
    ]

    assert len({parse(spelling, region="BR").key for spelling in spellings}) == 1


@pytest.mark.parametrize(
    "spelled", ["5491123456789@c.us", "+54 11 2345-6789", "+54 9 11 2345 6789", "011 15-2345-6789"]
)
def test_an_argentine_number_is_one_person_with_and_without_its_mobile_mark(spelled):
    assert parse(spelled, region="AR").key == "+5491123456789"


def test_numbers_of_two_argentines_stay_two():
    assert parse("+54 11 2345-6789", region="AR").key != parse("+54 11 2345-6788", region="AR").key

"""Reading a phone number in any usual spelling, and telling when two spellings are one person. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import lru_cache

import phonenumbers

MAX_LENGTH = 64
# What WhatsApp appends to a person's number; everything else after "@" is a group, a broadcast or a hidden number.
PERSONAL_JID_HOSTS = frozenset({"s.whatsapp.net", "c.us"})
# How links and other providers introduce a number.
PREFIX = re.compile(r"(?:tel:|whatsapp:|(?:https?://)?wa\.me/)\s*", re.IGNORECASE)
BRAZIL = 55
# Brazilian mobile numbers begin with 6 to 9; from 2012 to 2016 all of them got a ninth digit in front, always a 9.
BRAZILIAN_MOBILE = re.compile(r"(\d{2})([6-9]\d{7})")
# Mexico gave up the 1 that marked mobile numbers in 2019; WhatsApp still writes it.
MEXICAN_MOBILE_MARK = re.compile(r"\+521(?=\d{10}$)")
# Argentina's mobile numbers have a 9 behind the country code when they are called from abroad, and WhatsApp writes it;
# people write the number without. Without it, it is nobody else's: area codes begin with 1, 2 or 3.
ARGENTINE_WITHOUT_MARK = re.compile(r"^\+54(?=[1-3]\d{9}$)")


class PhoneError(ValueError):
    """The text is no phone number of a person."""


@dataclass(frozen=True)
class Phone:
    """A number as it is kept (E.164), and the key that is equal for every spelling of one person's number.

    jid: the WhatsApp id it was read from, in WhatsApp's own spelling; empty for any other text.
    """

    e164: str
    key: str
    jid: str = field(default="", compare=False)


# Whoever is talking now is asked about again and again.
@lru_cache(maxsize=1024)
def parse(text: str, *, region: str) -> Phone:
    """Return the phone number in `text`; numbers without a country code are read as of `region` (ISO 3166, e.g. BR).

    Takes usual spellings, `00` prefixes, WhatsApp JIDs (`5581999990000@s.whatsapp.net`, with or without a device
    suffix) and bare digits that carry a country code. A Brazilian mobile number gets the ninth digit it was written
    without. Raises PhoneError for everything else, also for numbers that no country has given out.
    """
    spelled = _plain(text)
    if not spelled:
        raise PhoneError("the phone is empty")
    if len(spelled) > MAX_LENGTH:
        raise PhoneError(f"a phone has at most {MAX_LENGTH} characters")
    if "@" in spelled:
        digits, host = _parts_of_jid(spelled)
        return replace(_read("+" + digits, region), jid=f"{digits}@{host}")
    spelled = PREFIX.sub("", spelled, count=1)
    if any(character.isalpha() for character in spelled):
        # phonenumbers would dial letters, and skip words: "81999990000 maria" would be a number in Japan.
        raise PhoneError(f"“{_shortened(spelled)}” has letters in it; a phone has digits only")
    return _read(spelled, region)


def _read(spelled: str, region: str) -> Phone:
    e164 = phonenumbers.format_number(_number(spelled, region), phonenumbers.PhoneNumberFormat.E164)
    return Phone(e164=e164, key=key_of(e164))


def key_of(e164: str) -> str:
    """Return what is equal for every spelling of a person's number, from one that is in E.164."""
    return ARGENTINE_WITHOUT_MARK.sub("+549", e164)


def _plain(text: str) -> str:
    """Return the text with full-width digits and odd spaces as plain ones, without the marks a copied number brings."""
    normalized = unicodedata.normalize("NFKC", text)
    return "".join(character for character in normalized if unicodedata.category(character) != "Cf").strip()


def _parts_of_jid(jid: str) -> tuple[str, str]:
    user, _, host = jid.rpartition("@")
    if host.lower() not in PERSONAL_JID_HOSTS:
        raise PhoneError(
            f"“…@{host}” is not a person's WhatsApp number: groups, broadcasts and hidden ids have no phone"
        )
    # A device suffix names one of the person's phones or browsers, not another person.
    digits = re.split(r"[:._]", user)[0].lstrip("+")
    if not digits.isascii() or not digits.isdigit():
        raise PhoneError("a WhatsApp id starts with the digits of the phone number")
    return digits, host.lower()


def _number(spelled: str, region: str) -> phonenumbers.PhoneNumber:
    for reading in _readings(spelled):
        try:
            number = phonenumbers.parse(MEXICAN_MOBILE_MARK.sub("+52", reading), region)
        except phonenumbers.NumberParseException:
            continue
        _add_ninth_digit(number)
        if phonenumbers.is_valid_number(number):
            return number
    raise PhoneError(
        f"“{_shortened(spelled)}” is not a phone number; write it with its country code, like +55 81 99999-0000"
    )


def _readings(spelled: str) -> list[str]:
    """Return what the text may mean, likeliest first: as it is written, or as digits that carry a country code."""
    digits = "".join(str(unicodedata.digit(character)) for character in spelled if character.isdigit())
    if spelled.startswith("+"):
        return ["+" + digits]
    if digits.startswith("00"):
        return ["+" + digits[2:], spelled]
    # An area code in brackets or after a 0 comes first only where no country code does.
    return [spelled] if spelled.startswith(("(", "0")) else [spelled, "+" + digits]


def _add_ninth_digit(number: phonenumbers.PhoneNumber) -> None:
    mobile = BRAZILIAN_MOBILE.fullmatch(str(number.national_number))
    if number.country_code == BRAZIL and mobile:
        number.national_number = int(f"{mobile[1]}9{mobile[2]}")


def _shortened(text: str) -> str:
    return text if len(text) <= 4 else f"…{text[-4:]}"

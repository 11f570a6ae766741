"""Where a person is reached: a kind and a value, read from any usual spelling into the one it is known by. Pure.

A phone is one kind of several. A WhatsApp id with a number in it (`whatsapp`) tells the phone as well; WhatsApp's
hidden ids (`lid`), the ids Meta gives a business for a user name (`bsuid`), Instagram and Telegram never do. An
address is somebody: whatever many people may share (a word for nothing, a group, a broadcast) is none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from leads import phone as phones
from leads.phone import Phone, PhoneError, key_of
from leads.words_for_nothing import USUAL_WORDS, is_nothing

MAX_LENGTH = 200
# A kind, a colon and a value.
LONGEST_KEY = 220
EMAIL = re.compile(r"[^\s@<>,;:\"()]+@[^\s@<>,;:\"()]+\.[^\s@<>,;:\"().]+")
LID = re.compile(r"(\d{3,30})(?:[:._]\d+)?(?:@lid(?:\.whatsapp\.net)?)?", re.IGNORECASE)
JID_HOST = "s.whatsapp.net"
# What a device or a resource appends to an id is not another person.
BSUID = re.compile(r"([A-Za-z]{2})\.((?:ENT\.)?[A-Za-z0-9_-]{3,190})")
USER_NAME = re.compile(r"[\w.-]{2,100}")
CHAT = re.compile(r"[\w.:-]{3,200}")


class Kind(StrEnum):
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    LID = "lid"
    BSUID = "bsuid"
    INSTAGRAM = "instagram"
    TELEGRAM = "telegram"
    EMAIL = "email"
    KOMMO_CONTACT = "kommo_contact"
    KOMMO_CHAT = "kommo_chat"
    EXTERNAL = "external"


class AddressError(ValueError):
    """The value is no address of a person, of this kind."""


@dataclass(frozen=True)
class Address:
    """One address.

    value: as it is shown and written to. key: equal for every spelling of it, and for nobody else's of any kind; a
    WhatsApp id and its number have one key. phone: the number it tells, if any.
    """

    kind: Kind
    value: str
    key: str
    phone: Phone | None = None

    @property
    def as_json(self) -> dict[str, str]:
        return {"kind": self.kind.value, "value": self.value}


def parse(kind: str, value: str, *, region: str) -> Address:
    """Return the address; numbers without a country code are read as of `region`. Raises AddressError.

    A hidden id under the name of a phone or a WhatsApp id is taken for what it is: `1234@lid` is a lid wherever it
    stands.
    """
    try:
        named = Kind(kind)
    except ValueError:
        raise AddressError(f"“{kind[:40]}” is no kind of address; one of: {', '.join(Kind)}") from None
    text = _plain(value)
    if not text:
        raise AddressError("the address is empty")
    if len(text) > MAX_LENGTH:
        raise AddressError(f"an address has at most {MAX_LENGTH} characters")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise AddressError("the address holds a control character")
    if is_nobody(text):
        raise AddressError(f"“{text[:40]}” stands for nobody")
    if named in (Kind.PHONE, Kind.WHATSAPP) and text.lower().partition("@")[2].startswith("lid"):
        named = Kind.LID
    return _READERS[named](text, region)


def of_phone(phone: Phone) -> Address:
    """Return the address a phone is: the WhatsApp id it was read from, else the number."""
    return Address(Kind.WHATSAPP if phone.jid else Kind.PHONE, phone.jid or phone.e164, phone.key, phone)


def of_key(key: str, *, value: str = "") -> Address:
    """Return the address that has this key, as far as the key tells; `value` is how a phone is written."""
    if key.startswith("+"):
        return Address(Kind.PHONE, value or key, key, Phone(value or key, key))
    kind, _, text = key.partition(":")
    return Address(Kind(kind), text, key)


def in_order(keys: Sequence[str], first: str) -> list[Address]:
    """Return the addresses that have these keys: that of `first`, then the one that is named first, then by kind."""
    places = {kind: place for place, kind in enumerate(Kind)}
    own, others = keys[:1], [of_key(key) for key in keys[1:]]
    found = [*map(of_key, own), *sorted(others, key=lambda address: (places[address.kind], address.value))]
    return sorted(found, key=lambda address: address.key != first)


def with_jid(known: Sequence[Address], jid: str, *, own: str) -> list[Address]:
    """Return addresses with a WhatsApp id before its number; `own` is how the first number is written."""
    found = [
        replace(address, value=own) if address.phone and own and key_of(own) == address.key else address
        for address in known
    ]
    if not jid:
        return found
    number = ""
    with suppress(PhoneError):
        number = phones.parse(jid, region="ZZ").key
    place = next((place for place, address in enumerate(found) if address.key == number), len(found))
    return [*found[:place], Address(Kind.WHATSAPP, jid, number), *found[place:]]


def split(text: str) -> tuple[str, str]:
    """Return kind and value of an address as one text: `lid:1234@lid`. Raises AddressError."""
    kind, mark, value = text.partition(":")
    if not mark:
        raise AddressError("write the kind before it, like lid:1234@lid")
    return kind.strip(), value


def is_nobody(text: str) -> bool:
    """Say whether a text under a kind of address stands for no single person: a word for nothing, zeros."""
    user = text.strip().partition("@")[0] or text.lstrip("@")
    digits = [character for character in user if character.isalnum()]
    return is_nothing(user, USUAL_WORDS) or all(character == "0" for character in digits)


def _plain(value: str) -> str:
    normalized = unicodedata.normalize("NFKC", value)
    return "".join(character for character in normalized if unicodedata.category(character) != "Cf").strip()


def _plainly(kind: Kind, value: str) -> Address:
    return Address(kind, value, f"{kind}:{value}")


def _phone(text: str, region: str) -> Address:
    try:
        return of_phone(phones.parse(text, region=region))
    except PhoneError as error:
        raise AddressError(str(error)) from error


def _whatsapp(text: str, region: str) -> Address:
    # Meta's `wa_id` is the same without a host; it always has its country code.
    return _phone(text if "@" in text else f"{phones.PREFIX.sub('', text).strip().lstrip('+')}@{JID_HOST}", region)


def _lid(text: str, region: str) -> Address:
    if match := LID.fullmatch(text):
        return _plainly(Kind.LID, f"{match[1]}@lid")
    raise AddressError("a lid is digits, like 1234567890@lid")


def _bsuid(text: str, region: str) -> Address:
    if match := BSUID.fullmatch(text):
        return _plainly(Kind.BSUID, f"{match[1].upper()}.{match[2]}")
    raise AddressError("a bsuid begins with a country, like BR.1502…")


def _user_name(kind: Kind) -> Callable[[str, str], Address]:
    def read(text: str, region: str) -> Address:
        name = text.lstrip("@").casefold()
        # Telegram's chats of several people have negative ids.
        if USER_NAME.fullmatch(name) and not name.startswith("-"):
            return _plainly(kind, name)
        raise AddressError(f"“{text[:40]}” is neither an id nor a user name of {kind.value.capitalize()}")

    return read


def _email(text: str, region: str) -> Address:
    spelled = text.removeprefix("mailto:").casefold()
    if EMAIL.fullmatch(spelled):
        return _plainly(Kind.EMAIL, spelled)
    raise AddressError("this is no e-mail address")


def _kommo_contact(text: str, region: str) -> Address:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return _plainly(Kind.KOMMO_CONTACT, str(int(text)))
    raise AddressError("a contact of Kommo has a number as its id")


def _kommo_chat(text: str, region: str) -> Address:
    if CHAT.fullmatch(text):
        return _plainly(Kind.KOMMO_CHAT, text.casefold())
    raise AddressError("a chat of Kommo has an id without blanks")


_READERS: dict[Kind, Callable[[str, str], Address]] = {
    Kind.PHONE: _phone,
    Kind.WHATSAPP: _whatsapp,
    Kind.LID: _lid,
    Kind.BSUID: _bsuid,
    Kind.INSTAGRAM: _user_name(Kind.INSTAGRAM),
    Kind.TELEGRAM: _user_name(Kind.TELEGRAM),
    Kind.EMAIL: _email,
    Kind.KOMMO_CONTACT: _kommo_contact,
    Kind.KOMMO_CHAT: _kommo_chat,
    Kind.EXTERNAL: lambda text, region: _plainly(Kind.EXTERNAL, text),
}

"""Where is a person reached, in words: what kinds of addresses are called, and which of theirs wrote last. No query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from leads import addresses
from leads.addresses import Kind
from leads.models import Lead

KINDS: dict[str, Any] = {
    Kind.PHONE: _("phone"),
    Kind.WHATSAPP: "WhatsApp",
    Kind.LID: _("WhatsApp, hidden number"),
    Kind.BSUID: _("WhatsApp, user name"),
    Kind.INSTAGRAM: "Instagram",
    Kind.TELEGRAM: "Telegram",
    Kind.EMAIL: _("e-mail"),
    Kind.KOMMO_CONTACT: _("contact in Kommo"),
    Kind.KOMMO_CHAT: _("chat in Kommo"),
    Kind.EXTERNAL: _("id elsewhere"),
}
ICONS: dict[str, str] = {
    Kind.PHONE: "call",
    Kind.EMAIL: "mail",
    Kind.INSTAGRAM: "photo_camera",
    Kind.TELEGRAM: "send",
    Kind.KOMMO_CONTACT: "contact_page",
    Kind.KOMMO_CHAT: "forum",
    Kind.EXTERNAL: "tag",
}


@dataclass(frozen=True)
class Reached:
    """An address. `link`: what a press on it does; is_last: the person wrote from it last."""

    kind: str
    value: str
    icon: str
    link: str = ""
    is_last: bool = False

    @property
    def words(self) -> str:
        return f"{self.kind} {self.value}"


def reached(lead: Lead) -> list[Reached]:
    """Return a lead's addresses, the one last written from first; its further ones are loaded."""
    has_written = lead.last_inbound_at is not None
    return [
        Reached(
            kind=str(KINDS.get(address["kind"], address["kind"])),
            value=f"@{address['value']}" if _is_user_name(address) else address["value"].partition("@s.whatsapp")[0],
            icon=ICONS.get(address["kind"], "chat"),
            link=_link(address),
            is_last=has_written and place == 0,
        )
        for place, address in enumerate(lead.addresses)
    ]


def of_key(key: str) -> str:
    """Return an address in words, by its key."""
    address = addresses.of_key(key).as_json
    return f"{KINDS.get(address['kind'], address['kind'])} {address['value']}"


def _is_user_name(address: dict[str, str]) -> bool:
    return address["kind"] in (Kind.INSTAGRAM, Kind.TELEGRAM) and not address["value"].isdecimal()


def _link(address: dict[str, str]) -> str:
    if address["kind"] == Kind.PHONE:
        return f"tel:{address['value']}"
    return f"mailto:{address['value']}" if address["kind"] == Kind.EMAIL else ""

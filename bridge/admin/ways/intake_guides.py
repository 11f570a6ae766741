"""What a kind of a way in is called, and what has to be clicked on the other side. What is pasted there is ours.

Where the other side lets us choose the key that proves its calls, the page makes one; a key it makes itself is copied
from there. A snippet does the same as the clicks, for those who prefer it; `{address}` and the keys stand in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from bridge.intakes.source_kinds import SOURCES
from bridge.models import Intake

Kind = Intake.Kind
# Where the documentation has a page for each, beside this repository's own copy of it.
DOCS = "docs/ways-in/{kind}.md"


@dataclass(frozen=True)
class Key:
    """A setting of a kind. ours: the page makes one, to be pasted there; otherwise the other side has it."""

    label: Any
    about: Any
    ours: bool = False


@dataclass(frozen=True)
class Guide:
    """`about`: what one hears by it; `steps`: what to click there; slug: the short name proposed for the first one."""

    kind: str
    about: Any
    steps: tuple[Any, ...]
    slug: str
    keys: dict[str, Key] = field(default_factory=dict)
    snippet: str = ""
    snippet_about: Any = ""

    @property
    def name(self) -> str:
        return str(Kind(self.kind).label)

    @property
    def picture(self) -> str:
        return f"bridge/ways/{self.kind}.svg"

    @property
    def docs(self) -> str:
        return DOCS.format(kind=self.kind)

    @property
    def books(self) -> bool:
        return SOURCES[self.kind].books

    def filled(self, address: str, keys: dict[str, str]) -> str:
        """Return the snippet with this address; a key that is not at hand stands there by its name."""
        shown = self.snippet.replace("{address}", address)
        for name in self.keys:
            shown = shown.replace(f"{{{name}}}", keys.get(name) or name.upper())
        return shown


_CHECKED = _("They sign each call with it, so that nobody else can tell us anything.")

GUIDES: dict[str, Guide] = {
    guide.kind: guide
    for guide in (
        Guide(
            Kind.EVOLUTION,
            _("WhatsApp by a phone that is linked, with or without your own server"),
            (
                _("Open Evolution's manager, choose the instance, then Events, Webhook."),
                _("Switch Enabled on and paste the address into URL."),
                _("Switch MESSAGES_UPSERT, SEND_MESSAGE and MESSAGES_UPDATE on. Webhook Base64 stays off."),
                _("Save. There is no field for the key: the command below sets it. Without it, take the key away."),
            ),
            slug="whatsapp",
            keys={"jwt_key": Key(_("Key for the signature (jwt_key)"), _CHECKED, ours=True)},
            snippet=(
                'curl -X POST "$EVOLUTION/webhook/set/$INSTANCE" -H "apikey: $KEY" -H "Content-Type: application/json" '
                "-d '{\n"
                '  "webhook": {"enabled": true, "url": "{address}", "base64": false,\n'
                '              "headers": {"jwt_key": "{jwt_key}"},\n'
                '              "events": ["MESSAGES_UPSERT", "SEND_MESSAGE", "MESSAGES_UPDATE"]}}\'\n'
            ),
            snippet_about=_("By its API, which does all of it at once:"),
        ),
        Guide(
            Kind.WAHA,
            _("WhatsApp by a phone that is linked, on your own server"),
            (
                _("Open WAHA's dashboard, choose the session, then its settings, and add a webhook."),
                _("Paste the address into URL and choose the events message.any and message.ack."),
                _("Paste the key into HMAC key. Save, and let the session start again."),
            ),
            slug="whatsapp",
            keys={"hmac_key": Key(_("Key for the signature (HMAC key)"), _CHECKED, ours=True)},
            snippet=(
                '{"name": "default", "config": {"webhooks": [{\n'
                '  "url": "{address}",\n'
                '  "events": ["message.any", "message.ack"],\n'
                '  "hmac": {"key": "{hmac_key}"}}]}}\n'
            ),
            snippet_about=_("Or start the session with this:"),
        ),
        Guide(
            Kind.ZAPI,
            _("WhatsApp by a phone that is linked, as a service from Brazil"),
            (
                _("Open Z-API's panel, choose the instance, then Webhooks and general settings."),
                _("Paste the address into On receiving, On sending and Message status."),
                _("Switch “Notify the ones sent by me” on, so that what staff write on the phone is heard too. Save."),
            ),
            slug="whatsapp",
        ),
        Guide(
            Kind.WHATSAPP_CLOUD,
            _("WhatsApp's official API, directly from Meta"),
            (
                _("Open your app at developers.facebook.com, then WhatsApp, Configuration, Webhook, Edit."),
                _("Paste the address into Callback URL and the verify token into Verify token, then Verify and save."),
                _(
                    "Subscribe to the field messages; to smb_message_echoes too where staff write in the WhatsApp "
                    "Business app."
                ),
                _("The app secret stands under App settings, Basic. Enter it here."),
            ),
            slug="whatsapp",
            keys={
                "app_secret": Key(_("App secret"), _("In Meta's app, under App settings, Basic.")),
                "verify_token": Key(_("Verify token"), _("Meta asks for it once, to see that you are you."), ours=True),
            },
        ),
        Guide(
            Kind.CHATWOOT,
            _("All inboxes of Chatwoot: WhatsApp, Instagram, Telegram, the website"),
            (
                _("Open Settings, Integrations, Webhooks, Add new webhook."),
                _("Paste the address into the URL, choose Message created and Message updated, and create it."),
                _("Newer versions then show a secret: enter it here, under Settings. Older ones sign nothing."),
            ),
            slug="chatwoot",
            keys={"secret": Key(_("Secret of the webhook"), _("Chatwoot shows it once the webhook is made."))},
        ),
        Guide(
            Kind.CALCOM,
            _("Meetings that leads book, move and cancel"),
            (
                _("Open Settings, Developer, Webhooks, New."),
                _("Paste the address into Subscriber URL and the secret into Secret."),
                _("Choose Booking created, rescheduled, cancelled, rejected and no-show updated. Save."),
                _("In the rules, set the booking address to your event's page: each lead's link then names the lead."),
            ),
            slug="meetings",
            keys={"secret": Key(_("Secret of the webhook"), _CHECKED, ours=True)},
        ),
        Guide(
            Kind.CALENDLY,
            _("Meetings that leads book, move and cancel"),
            (
                _("Calendly makes webhooks by its API alone, on paid plans: send it the call below."),
                _("Your token is made under Integrations, API and webhooks; it also tells the organization's address."),
                _("In the rules, set the booking address to your event's page: each lead's link then names the lead."),
            ),
            slug="meetings",
            keys={"secret": Key(_("Signing key"), _CHECKED, ours=True)},
            snippet=(
                "curl -X POST https://api.calendly.com/webhook_subscriptions \\\n"
                '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d \'{\n'
                '  "url": "{address}", "scope": "organization", "organization": "$ORGANIZATION",\n'
                '  "events": ["invitee.created", "invitee.canceled", "invitee_no_show.created", '
                '"invitee_no_show.deleted"],\n'
                '  "signing_key": "{secret}"}\'\n'
            ),
            snippet_about=_("The call:"),
        ),
    )
}

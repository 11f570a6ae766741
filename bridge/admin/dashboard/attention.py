"""What needs a person now, the most urgent first: each with what happened, what to do, and the button that does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Min
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from bridge import roles
from bridge.accounts import stages_renamed_in_kommo
from bridge.admin.dashboard.remedies import remedy
from bridge.delivery import handoff_notes
from bridge.doctor.finding import Finding
from bridge.doctor.unread_webhooks import INBOX_LATE_AFTER
from bridge.doctor.waiting_cards import CARD_WAITS_LONG_AFTER
from bridge.kommo import token_expiry
from bridge.models import Account, AgentEvent, Card, Catalogue, Drift, WebhookEvent
from bridge.reasons import in_words
from bridge.selectors import stuck_cards
from bridge.selectors.health_figures import Pulse
from followups.followups_of_a_day import Today
from leads import meetings
from leads.models import Pipeline, ProbablySame, UnmappedConversationStage, UnmappedFlow

DANGER, WARNING, INFO = "danger", "warning", "info"
CAUSES_SHOWN = 6
MEETINGS_SHOWN = 5
# Codes of doctor's findings that are told here with more: the cause, since when, and the button that mends it.
TOLD_HERE = frozenset(
    {
        "account-absent", "account-paused", "agent-events", "backlog", "briefings",
        "cards", "drift", "follow-ups-late", "token",
        "webhook", "webhooks-failed", "webhooks-unread", "worker",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Button:
    """A service to call from the overview: `do` names it, `values` travel with it, and one has to have `needs`."""

    label: str
    do: str
    values: dict[str, Any] = field(default_factory=dict)
    needs: str = roles.OPERATE


# Where a person goes on, of what doctor found.
_WAYS = ((gettext_lazy("Ways in and out"), "admin:bridge_intake_changelist"),)
PAGES = {
    "erasures": ((gettext_lazy("Show them"), "admin:bridge_forgetting_changelist"),),
    "channel-fails": _WAYS,
    "messages-late": _WAYS,
}


@dataclass(frozen=True)
class Concern:
    """One thing to do. `since`: how long it has waited already."""

    severity: str
    icon: str
    title: str
    detail: str = ""
    remedy: str | Promise = ""
    since: datetime | None = None
    links: tuple[tuple[str | Promise, str], ...] = ()
    buttons: tuple[Button, ...] = ()

    @property
    def needs_somebody(self) -> bool:
        """Whether something is wrong; what is only good to know waits for nobody."""
        return self.severity != INFO


def everything(
    accounts: list[Account], beat: Pulse, followups: Today, findings: list[Finding], *, now: datetime
) -> list[Concern]:
    """Return what needs a person, the most urgent first: what we know to mend here, and all else that doctor found.

    The overview and the page of health both ask here, so that what one of them knows the other one says.
    """
    told_here = concerns(accounts, beat, followups, now=now)
    return _by_urgency([*told_here, *plain([finding for finding in findings if finding.code not in TOLD_HERE])])


def plain(findings: list[Finding]) -> list[Concern]:
    """Return what is wrong or advised of what doctor found, in its own words."""
    return [
        Concern(
            DANGER if finding.remedy else WARNING,
            "error",
            f"{finding.title[:1].upper()}{finding.title[1:]}: {finding.message}",
            remedy=finding.remedy or finding.advice,
            links=tuple((word, reverse(page)) for word, page in PAGES.get(finding.code, ())),
        )
        for finding in findings
        if finding.remedy or finding.advice
    ]


def concerns(accounts: list[Account], beat: Pulse, followups: Today, *, now: datetime) -> list[Concern]:
    """Return what needs a person, the most urgent first. Nine queries."""
    found = [
        *_accounts(accounts, now),
        *_worker(beat, now),
        *_backlog(beat, now),
        *_stuck_cards(),
        *_briefings(),
        *_inbox(now),
        *_silenced(),
        *_agent_events(),
        *_drift(),
        *_followups(followups),
        *_meetings(now),
        *_unmapped(),
        *_renamed_stages(),
        *_probably_same(),
    ]
    return _by_urgency(found)


def _by_urgency(found: list[Concern]) -> list[Concern]:
    order = (DANGER, WARNING, INFO)
    # Stable: within one severity the given order stands.
    return sorted(found, key=lambda concern: order.index(concern.severity))


def _accounts(accounts: list[Account], now: datetime) -> Iterator[Concern]:
    if not accounts:
        yield Concern(
            WARNING,
            "link_off",
            _("No Kommo account yet"),
            remedy=_("Set KOMMO_BASE_URL and KOMMO_LONG_LIVED_TOKEN in .env and run manage.py kommo_connect."),
            links=((_("Set up"), reverse("setup")),),
        )
    for account in accounts:
        page = ((_("Open the account"), reverse("admin:bridge_account_change", args=[account.pk])),)
        if account.state == Account.State.PAUSED:
            yield _pause(account, page)
        if account.state == Account.State.SHADOW:
            yield Concern(
                INFO,
                "visibility",
                _("%(account)s only observes") % {"account": account},
                remedy=_(
                    "The bridge shows what it would send, writes nothing and says nothing to leads. "
                    "Leave shadow on the account's page."
                ),
                links=((_("Compare both hands"), f"{reverse('shadow')}?account={account.pk}"), *page),
            )
        yield from _token(account, page, now)
        if account.webhook_problem:
            yield Concern(
                WARNING,
                "webhook",
                _("%(account)s: webhooks do not arrive") % {"account": account},
                in_words(account.webhook_problem),
                _("Until they do, changes made in Kommo are noticed by polling, within five minutes."),
                account.webhook_checked_at,
                page,
            )


def _pause(account: Account, page: Any) -> Concern:
    """Say who stopped it, and whether it goes on by itself."""
    remedy = _("A person paused it: resume it when it may go on. Everything that waits is kept and sent then.")
    if account.paused_by == Account.PausedBy.KOMMO and account.paused_until:
        at = time_format(timezone.localtime(account.paused_until), "H:i:s")
        remedy = _(
            "Kommo refuses us. Fix what is named: it is asked again at %(time)s and goes on by itself once Kommo "
            "answers. Everything that waits is kept and sent then."
        ) % {"time": at}
    resume = Button(_("Resume deliveries"), "resume-account", {"account": account.pk}, needs=roles.MANAGE)
    return Concern(
        DANGER,
        "pause_circle",
        _("%(account)s: nothing is sent") % {"account": account},
        in_words(account.state_reason),
        remedy,
        account.paused_at,
        page,
        (resume,),
    )


def _token(account: Account, page: Any, now: datetime) -> Iterator[Concern]:
    ends = account.token_expires_at
    # A token that refreshes itself always ends soon.
    if ends is None or account.refresh_token or not (ends <= now or token_expiry.warning(ends, now=now)):
        return
    over = ends <= now
    title = _("%(account)s: the token has expired") if over else _("%(account)s: the token expires on %(day)s")
    yield Concern(
        DANGER if over else WARNING,
        "key_off",
        title % {"account": account, "day": date_format(ends, "SHORT_DATE_FORMAT")},
        remedy=_("Make a new long-lived token in Kommo and put it into the account's page."),
        links=page,
    )


def _worker(beat: Pulse, now: datetime) -> Iterator[Concern]:
    if beat.worker_is_silent(now):
        yield Concern(
            DANGER,
            "heart_broken",
            _("No worker is at work"),
            _("Messages are stored, and nothing is sent."),
            _("Start manage.py worker (make run starts it too), and see that its service restarts it."),
            beat.worker_heard_at,
        )


def _backlog(beat: Pulse, now: datetime) -> Iterator[Concern]:
    if beat.pending_since and now - beat.pending_since > CARD_WAITS_LONG_AFTER:
        yield Concern(
            WARNING,
            "hourglass_bottom",
            ngettext("%(count)d card waits too long", "%(count)d cards wait too long", beat.pending)
            % {"count": beat.pending},
            remedy=_("See what they wait for on the cards' page."),
            since=beat.pending_since,
            links=((_("Show them"), _cards(state=Card.State.DUE)), (_("Retrying"), _cards(state=Card.State.RETRYING))),
        )


def _stuck_cards() -> Iterator[Concern]:
    found = stuck_cards.causes()
    for cause in found[:CAUSES_SHOWN]:
        cure = remedy(cause.state, cause.example)
        links: list[tuple[str | Promise, str]] = [(_("Show the leads"), _leads(cause.state))]
        if cure.page:
            links.insert(0, (cure.page_label, cure.url))
        count = {"count": cause.count}
        buttons: tuple[Button, ...] = ()
        if cure.requeue:
            label = ngettext("Send %(count)d card again", "Send %(count)d cards again", cause.count) % count
            values = {"state": cause.state, "cause": cause.text}
            buttons = (Button(label, "requeue", values),)
        titles = {
            Card.State.BLOCKED: ngettext("%(count)d card is blocked", "%(count)d cards are blocked", cause.count),
            Card.State.DEAD: ngettext("%(count)d card was refused", "%(count)d cards were refused", cause.count),
            Card.State.GONE: ngettext(
                "%(count)d card was deleted in Kommo", "%(count)d cards were deleted in Kommo", cause.count
            ),
        }
        severity = WARNING if cause.state == Card.State.GONE else DANGER
        title = titles[Card.State(cause.state)] % count
        yield Concern(severity, "block", title, cause.text, cure.text, links=tuple(links), buttons=buttons)
    if len(found) > CAUSES_SHOWN:
        rest = sum(cause.count for cause in found[CAUSES_SHOWN:])
        title = ngettext(
            "%(count)d more card is stuck for other causes", "%(count)d more cards are stuck for other causes", rest
        )
        yield Concern(WARNING, "more_horiz", title % {"count": rest}, links=((_("Show them"), _cards()),))


def _briefings() -> Iterator[Concern]:
    untold = handoff_notes.given_up().aggregate(count=Count("pk"), since=Min("since"))
    if untold["count"]:
        title = ngettext(
            "%(count)d seller was not told what to do",
            "%(count)d sellers were not told what to do",
            untold["count"],
        )
        about = _(
            "Handoffs: %(handoffs)d. Leads who wrote or booked: %(calls)d. Meetings without a result: %(results)d."
        )
        example = handoff_notes.given_up().values_list("error", flat=True).first() or ""
        yield Concern(
            DANGER,
            "record_voice_over",
            title % untold,
            f"{about % handoff_notes.untold(handoff_notes.given_up())} {in_words(example)}".strip(),
            _("Kommo refuses the note or the task. Tell the seller, fix the cause, then have it tried again."),
            untold["since"],
            buttons=(Button(_("Tell them again"), "tell-sellers-again"),),
        )


def _inbox(now: datetime) -> Iterator[Concern]:
    page = reverse("admin:bridge_webhookevent_changelist")
    # Asked apart: each state has an index of its own.
    failed, unread = (_waiting(state) for state in (WebhookEvent.State.FAILED, WebhookEvent.State.RECEIVED))
    if failed["count"]:
        title = ngettext("%(count)d webhook could not be read", "%(count)d webhooks could not be read", failed["count"])
        replay = Button(_("Read them again"), "replay-webhooks")
        links = ((_("Show them"), f"{page}?state__exact={WebhookEvent.State.FAILED}"),)
        yield Concern(WARNING, "webhook", title % failed, since=failed["oldest"], links=links, buttons=(replay,))
    if unread["count"] and now - unread["oldest"] > INBOX_LATE_AFTER:
        title = ngettext("%(count)d webhook is unread", "%(count)d webhooks are unread", unread["count"])
        cure = _("See that the worker runs and that Kommo answers.")
        yield Concern(WARNING, "inbox", title % unread, remedy=cure, since=unread["oldest"])


def _waiting(state: WebhookEvent.State) -> dict[str, Any]:
    return WebhookEvent.objects.filter(state=state).aggregate(count=Count("pk"), oldest=Min("received_at"))


def _silenced() -> Iterator[Concern]:
    for row in Pipeline.objects.filter(silenced_at__isnull=False).only("name", "silenced_at", "silenced_reason"):
        yield Concern(
            WARNING,
            "voice_over_off",
            _("%(pipeline)s: the agent is silenced") % {"pipeline": row.name},
            row.silenced_reason,
            _("Somebody has stopped it. Let it speak again when it may."),
            row.silenced_at,
            ((_("Let it speak"), reverse("admin:rules_silence", args=[row.pk])),),
        )


def _agent_events() -> Iterator[Concern]:
    dead = AgentEvent.objects.filter(state=AgentEvent.State.DEAD).aggregate(count=Count("pk"), since=Min("created_at"))
    if dead["count"]:
        page = reverse("admin:bridge_agentevent_changelist")
        title = ngettext(
            "%(count)d event never reached the agent", "%(count)d events never reached the agent", dead["count"]
        )
        yield Concern(
            WARNING,
            "campaign",
            title % dead,
            remedy=_("See why the agent refused them, then tell it again."),
            since=dead["since"],
            links=((_("Show them"), f"{page}?state__exact={AgentEvent.State.DEAD}"),),
            buttons=(Button(_("Tell it again"), "replay-agent-events"),),
        )


def _drift() -> Iterator[Concern]:
    drift = Drift.objects.filter(resolution=Drift.Resolution.OPEN).aggregate(count=Count("pk"), since=Min("found_at"))
    if drift["count"]:
        page = reverse("admin:bridge_drift_changelist")
        title = ngettext("%(count)d difference to decide", "%(count)d differences to decide", drift["count"])
        yield Concern(
            WARNING,
            "difference",
            title % drift,
            remedy=_("Kommo and the bridge hold different values, and neither is plainly the newer one."),
            since=drift["since"],
            links=((_("Decide"), f"{page}?resolution__exact={Drift.Resolution.OPEN}"),),
        )


def _followups(followups: Today) -> Iterator[Concern]:
    if followups.late:
        title = ngettext("%(count)d follow-up is late", "%(count)d follow-ups are late", followups.late)
        cure = _("See that the worker runs and that the agent answers.")
        yield Concern(WARNING, "schedule_send", title % {"count": followups.late}, remedy=cure)


def _meetings(now: datetime) -> Iterator[Concern]:
    waiting = list(meetings.without_result(now).select_related("lead")[: MEETINGS_SHOWN + 1])
    if waiting:
        count = len(waiting)
        if count > MEETINGS_SHOWN:
            count = meetings.without_result(now).count()
        title = ngettext(
            "%(count)d meeting has gone by without a result", "%(count)d meetings have gone by without a result", count
        )
        page = "admin:leads_lead_change"
        yield Concern(
            WARNING,
            "event_busy",
            title % {"count": count},
            remedy=_("Say how it went: move the card in Kommo, or have the agent report completed or no_show."),
            since=waiting[0].starts_at,
            links=tuple(
                (str(meeting.lead), reverse(page, args=[meeting.lead_id])) for meeting in waiting[:MEETINGS_SHOWN]
            ),
        )


def _unmapped() -> Iterator[Concern]:
    new = UnmappedConversationStage.objects.aggregate(count=Count("pk"), since=Min("first_seen_at"))
    if new["count"]:
        title = ngettext(
            "%(count)d conversation stage is not mapped yet",
            "%(count)d conversation stages are not mapped yet",
            new["count"],
        )
        remedy = _("The agent used a stage name that has no rule. Say what it means.")
        yield _to_map(title % new, remedy, "conversation", new["since"])
    new = UnmappedFlow.objects.aggregate(count=Count("pk"), since=Min("first_seen_at"))
    if new["count"]:
        title = ngettext("%(count)d flow is not mapped yet", "%(count)d flows are not mapped yet", new["count"])
        remedy = _("The agent uses names that no flow has, and no card shows them. Name a flow so, or fix the agent.")
        yield _to_map(title % new, remedy, "fields", new["since"])


def _renamed_stages() -> Iterator[Concern]:
    renames = [
        rename
        for row in Catalogue.objects.filter(account__connected_at__isnull=False).select_related("account")
        for rename in stages_renamed_in_kommo.renamed(row.account, row)
    ]
    if renames:
        title = ngettext(
            "%(count)d stage was renamed in Kommo", "%(count)d stages were renamed in Kommo", len(renames)
        ) % {"count": len(renames)}
        names = ", ".join(f"“{rename.before}” → “{rename.now}”" for rename in renames[:CAUSES_SHOWN])
        remedy = _("%(names)s. Call it so here too, or leave both names.") % {"names": names}
        link = (_("Look at it"), f"{reverse('admin:rules')}?part=stages")
        yield Concern(INFO, "edit_notifications", title, remedy=remedy, links=(link,))


def _probably_same() -> Iterator[Concern]:
    open_ones = ProbablySame.objects.filter(are_two=False).aggregate(count=Count("pk"), since=Min("first_seen_at"))
    if open_ones["count"]:
        title = ngettext(
            "%(count)d pair of leads is probably one person",
            "%(count)d pairs of leads are probably one person each",
            open_ones["count"],
        )
        remedy = _("Each has a card of its own. Look at the evidence and join them, or say that they are two people.")
        link = (_("Look at them"), reverse("admin:leads_probablysame_changelist") + "?are_two__exact=0")
        yield Concern(WARNING, "group", title % open_ones, remedy=remedy, since=open_ones["since"], links=(link,))


def _to_map(title: str, remedy: str, part: str, since: datetime) -> Concern:
    link = (_("Map them"), f"{reverse('admin:rules')}?part={part}")
    return Concern(INFO, "help", title, remedy=remedy, since=since, links=(link,))


def _cards(**filters: str) -> str:
    query = urlencode({f"{name}__exact": value for name, value in filters.items()})
    return reverse("admin:bridge_card_changelist") + (f"?{query}" if query else "")


def _leads(state: str) -> str:
    return f"{reverse('admin:leads_lead_changelist')}?{urlencode({'card__state__exact': state})}"

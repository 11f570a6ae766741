"""Which buttons a lead's page offers, and what the dialog behind each asks for.

A dialog has the fields its own button names and no others: a page's template may hold any name, and must not lend it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from bridge.models import Card
from followups import unreachable_numbers
from leads.models import Lead, Stage

AWAY = (Card.State.GONE, Card.State.CLOSED)
STUCK = (Card.State.DEAD, Card.State.BLOCKED)


@dataclass(frozen=True)
class StageChoice:
    key: str
    name: str
    pauses_agent: bool = False
    # Where the lead stands already: shown, so that the order is seen, and not to be chosen.
    is_here: bool = False
    is_chosen: bool = False


@dataclass(frozen=True)
class Button:
    """One thing to do. `ask`: what its dialog says first; empty: it is done with one press.

    stages: a stage is asked for, one of these. wants_reason: why, for the timeline. typed: what to type, to be sure.
    option: what may be asked for besides.
    """

    do: str
    icon: str
    label: str
    ask: str = ""
    stages: tuple[StageChoice, ...] = ()
    stage_label: str = ""
    wants_reason: bool = False
    typed: str = ""
    option: str = ""
    is_primary: bool = False
    is_danger: bool = False

    @property
    def confirm(self) -> str:
        """Return what the dialog's own button says: the deed, without the dots that announce a dialog."""
        return self.label.removesuffix(" …")


def buttons(
    lead: Lead,
    card: Card | None,
    stages: list[Stage],
    *,
    came_from: Stage | None,
    may_operate: bool,
    may_erase: bool,
) -> list[Button]:
    """Return what this person may do to the lead now, in the order of the page. Pure.

    came_from: where the lead stood before the stage in which a person has it.
    """
    found: list[Button] = []
    is_known = lead.erased_at is None
    if may_operate and is_known:
        found += _of_the_conversation(lead, stages, came_from)
    if may_operate and card is not None and is_known:
        found += _of_the_card(card)
    if may_operate and is_known:
        found += _of_the_persons_wishes(lead)
    if may_operate and card is not None and card.state == Card.State.GONE:
        ask = _("Nothing is written to Kommo for this lead any more.")
        found.append(Button("close", "archive", _("Do not make it again"), ask, is_danger=True))
    if may_erase and is_known:
        ask = _(
            "Name, phone, messages and everything else that tells who this is are erased here, for good, in every "
            "pipeline. Counts stay, and so does the wish for no follow-ups."
        )
        option = _("In Kommo too: the name of the card, and name, phone and e-mail of the contact that has this phone")
        erase = Button("erase", "delete_forever", _("Erase …"), ask, typed=str(lead), is_danger=True)
        found.append(replace(erase, option=option if card else ""))
    # What is asked for first stands first: on a phone only two or three are seen without scrolling.
    return sorted(found, key=lambda button: not button.is_primary)


def _of_the_card(card: Card) -> Iterator[Button]:
    if card.state in AWAY:
        ask = _("A new lead is created in Kommo for this person, with everything we know.")
        yield Button("recreate", "add_card", _("Make a new card"), ask, is_primary=True)
        return
    if card.state in STUCK:
        yield Button("send", "refresh", _("Send again"), is_primary=True)
    else:
        yield Button("send", "send", _("Send to Kommo now"))
    if card.kommo_lead_id:
        yield Button("compare", "compare_arrows", _("Check against Kommo"))


def _of_the_conversation(lead: Lead, stages: list[Stage], came_from: Stage | None) -> Iterator[Button]:
    if not lead.in_handoff:
        ask = _("The agent stays silent for this lead until somebody gives it back.")
        yield Button("pause", "support_agent", _("Pause the agent"), ask, wants_reason=True)
    elif stands_with_people(lead):
        yield _give_back_from(lead, stages, came_from)
    else:
        yield Button("resume", "smart_toy", _("Give back to the agent"), is_primary=True)
    yield Button(
        "move",
        "drag_pan",
        _("Move …"),
        _("Rules leave the lead there until the conversation brings something newer. The card in Kommo follows."),
        stages=tuple(
            StageChoice(stage.key, stage.name, stage.pauses_agent, is_here=stage.pk == lead.stage_id)
            for stage in stages
        ),
        stage_label=_("Stage"),
        wants_reason=True,
    )


def _of_the_persons_wishes(lead: Lead) -> Iterator[Button]:
    if not lead.opted_out_at:
        ask = _("This person gets no follow-up any more, in any pipeline. The page of opt-outs can take it back.")
        yield Button("opt-out", "do_not_disturb_on", _("Opt out"), ask, is_danger=True)
    else:
        ask = _(
            "Only where it was a mistake, or the person asks for it. Nothing that was stopped begins again by itself."
        )
        yield Button("take-back", "do_not_disturb_off", _("Take the opt-out back"), ask)

    if unreachable_numbers.is_noted(lead):
        ask = _(
            "The agent was told that nothing reaches this number, or that the person wants nothing. Lift it only where "
            "you know better, or the person asks for it."
        )
        yield Button("lift", "phone_enabled", _("Let the number be written to"), ask)


def stands_with_people(lead: Lead) -> bool:
    """Say whether the lead stands where the agent is silent: given back there, it would stand in a contradiction."""
    return lead.stage is not None and lead.stage.pauses_agent


def _give_back_from(lead: Lead, stages: list[Stage], came_from: Stage | None) -> Button:
    words = {"stage": lead.stage.name if lead.stage else ""}
    choices = tuple(
        StageChoice(stage.key, stage.name, is_chosen=came_from is not None and stage.pk == came_from.pk)
        for stage in stages
        if not stage.pauses_agent and stage.kind == Stage.Kind.OPEN
    )
    return Button(
        "resume",
        "smart_toy",
        _("Give back to the agent …"),
        _("The agent answers again. In %(stage)s it would stay silent, so the card moves on.") % words,
        stages=choices,
        stage_label=_("Give back and move to"),
        is_primary=True,
    )

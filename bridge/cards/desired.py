"""What a card should show: the lead and its pipeline's rules, said in the account's own ids."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from bridge.account_traits import form_of
from bridge.cards.ownership import THEIRS, held_against, said_tags
from bridge.cards.plan import LOST_STATUS_ID, MAX_NAME_LENGTH, Desired, DesiredField, TagFamily
from bridge.cards.refused_parts import left_out
from bridge.kommo import custom_field_values
from bridge.models import Account, Card, Catalogue
from common.name_spellings import name_key
from common.reasons import Reason
from leads.flows import is_unmapped
from leads.models import FieldMapping, Lead, TagRule
from leads.rulebook import Rulebook
from leads.which_fact_stands import taken_back

MAX_TAG_LENGTH = 250


INCOMING = 1  # a status' type: the one stage nobody may move a lead into


@dataclass
class Gaps:
    """What the configuration cannot say in Kommo's words, a sentence each."""

    sentences: list[str] = field(default_factory=list)
    # An id of ours is not in our copy of the account, which may be older than it.
    knows_too_little: bool = False


def desired(card: Card, book: Rulebook, account: Account, catalogue: Catalogue | None) -> Desired:
    """Return what the card should show. The card's lead, its pipeline and its objections are loaded already."""
    lead = card.lead
    facts = shown_facts(lead, book)
    gaps = Gaps()
    form = form_of(account)
    mappings = shown_mappings(lead, book)
    field_values = wanted_fields(mappings, facts, catalogue, gaps, form, taken_back=taken_back(lead))
    name = shown_name(lead.name, form)
    status_id, refusal = _place(card, book, catalogue, gaps)
    wanted = Desired(
        lead_id=str(lead.pk),
        name="" if _stands(card, "name", name) else name,
        phone=lead.phone or "",
        email=lead.email,
        pipeline_id=lead.pipeline.kommo_pipeline_id,
        status_id=status_id,
        loss_reason_id=_loss_reason(card, catalogue) if status_id == LOST_STATUS_ID else None,
        fields=tuple(
            field_value
            for field_value in field_values
            if not _stands(card, f"field:{field_value.field_id}", field_value.comparable)
        ),
        families=tuple(_family(rule, facts, card) for rule in shown_tags(lead, book)),
        bridge_id_field_id=proof_field(account, catalogue),
        statuses_to_visit=_visits(card, catalogue),
        unmapped=tuple(gaps.sentences),
        refusal=refusal,
        loss_reason_after_move=card.loss_reason_after_move,
        knows_too_little=gaps.knows_too_little,
        phone_kind=_kind(catalogue, "PHONE", ("MOB", "WORK")),
        email_kind=_kind(catalogue, "EMAIL", ("WORK", "PRIV")),
    )
    return left_out(wanted, card.refused_parts, catalogue, card.observed)


def shown_facts(lead: Lead, book: Rulebook) -> dict[str, Any]:
    """Return what is known of a lead, in the words that options and tags are named by."""
    facts = dict(lead.facts())
    facts["objections"] = [objection.name for objection in lead.objections.all()]
    facts["channel"] = lead.channel
    facts["chosen_flow"] = book.flows.get(name_key(lead.chosen_flow), facts["chosen_flow"])
    return facts


def shown_mappings(lead: Lead, book: Rulebook) -> list[FieldMapping]:
    """Return the fields that show something of the lead: not that of a flow which is none, and it stays as it is."""
    hidden = _hidden(lead, book)
    return [field_mapping for field_mapping in book.field_mappings if field_mapping.attribute not in hidden]


def shown_tags(lead: Lead, book: Rulebook) -> list[TagRule]:
    hidden = _hidden(lead, book)
    return [tag_rule for tag_rule in book.tag_rules if tag_rule.attribute not in hidden]


def _hidden(lead: Lead, book: Rulebook) -> Container[str]:
    return ("chosen_flow",) if is_unmapped(lead, book.flows) else ()


def proof_field(account: Account, catalogue: Catalogue | None) -> int | None:
    """Return the id of “Bridge ID”, if the account has it still: without it a lead is known by its phone alone."""
    field_id = account.bridge_id_field_id
    is_there = catalogue is None or any(lead_field["id"] == field_id for lead_field in catalogue.lead_fields)
    return field_id if is_there else None


def _kind(catalogue: Catalogue | None, code: str, wanted: tuple[str, ...]) -> str:
    """Return the kind of phone or e-mail to say: the first wanted one that the account has; empty when it has none."""
    for contact_field in catalogue.contact_fields if catalogue else ():
        if contact_field.get("code") == code and contact_field.get("enums"):
            has = {str(enum["value"]).upper() for enum in contact_field["enums"]}
            return next((kind for kind in wanted if kind in has), "")
    return wanted[0]


def _stands(card: Card, subject: str, wanted: Any) -> bool:
    """Say whether a person's value stands there, because we call for nothing we did not call for then."""
    is_held, ours = held_against(card.ownership, subject)
    return is_held and card.kommo_lead_id is not None and ours == wanted


def _place(card: Card, book: Rulebook, catalogue: Catalogue | None, gaps: Gaps) -> tuple[int | None, str]:
    """Return the status the card should stand in, and why nothing at all may be sent, if so."""
    lead = card.lead
    if lead.pipeline.kommo_pipeline_id is None:
        return None, Reason("pipeline_not_bound", a=f"“{lead.pipeline.name}”")
    if _stands_in_incoming(card, catalogue):
        # Any write would move it out of there, which is a person's decision.
        return None, Reason("card_in_incoming_leads")
    stage = book.stages_by_id.get(lead.stage_id) if lead.stage_id else None
    if stage is None:
        # A person put the card into a stage of their own: its place is theirs, the rest still goes.
        return None, "" if card.kommo_lead_id else Reason("new_card_needs_stage")
    status_id = stage.kommo_status_id
    missing = _missing_place(stage.name, lead.pipeline.kommo_pipeline_id, status_id, catalogue)
    if not missing:
        return status_id, ""
    gaps.knows_too_little |= status_id is not None
    if card.kommo_lead_id is None:
        return None, missing
    if status_id is None or card.observed.get("status_id") != status_id:
        gaps.sentences.append(missing)
    return None, ""


def _missing_place(name: str, pipeline_id: int, status_id: int | None, catalogue: Catalogue | None) -> str:
    """Return why a card cannot be moved to a stage of ours; empty when it can. Never another stage instead."""
    if status_id is None:
        return Reason("stage_not_bound", a=f"“{name}”")
    if catalogue is None:
        return ""
    status = catalogue.status(pipeline_id, status_id)
    if status is None:
        return Reason("stage_bound_to_gone", a=f"“{name}”")
    if status["type"] == INCOMING:
        return Reason("stage_bound_to_incoming", a=f"“{name}”")
    return ""


def _visits(card: Card, catalogue: Catalogue | None) -> tuple[int, ...]:
    """Return the stages still to be entered, without those that Kommo does not have any more: nothing happens there."""
    pipeline_id = card.lead.pipeline.kommo_pipeline_id
    return tuple(
        status_id for status_id in card.stages_to_visit if catalogue is None or catalogue.status(pipeline_id, status_id)
    )


def _stands_in_incoming(card: Card, catalogue: Catalogue | None) -> bool:
    if catalogue is None or card.kommo_lead_id is None:
        return False
    status = catalogue.status(card.observed.get("pipeline_id"), card.observed.get("status_id"))
    return bool(status and status["type"] == INCOMING)


def _loss_reason(card: Card, catalogue: Catalogue | None) -> int | None:
    is_held, _ours = held_against(card.ownership, "loss_reason_id")
    # Corrected by a person, theirs stands until a move of ours brings the card there anew.
    stands = is_held and card.observed.get("status_id") == LOST_STATUS_ID
    return None if stands else loss_reason(card.lead, catalogue)


def loss_reason(lead: Lead, catalogue: Catalogue | None) -> int | None:
    """Return why a lead is lost, in Kommo's words, where its stage says so; None for no reason of ours."""
    # A person who lost the deal gave their own reason, or none.
    ours = lead.stage is not None and lead.stage_set_by not in THEIRS
    wanted = name_key(lead.stage.loss_reason) if lead.stage and ours else ""
    if not wanted or catalogue is None:
        return None
    return next((reason["id"] for reason in catalogue.loss_reasons if name_key(reason["name"]) == wanted), None)


def wanted_fields(
    mappings: Iterable[FieldMapping],
    facts: dict[str, Any],
    catalogue: Catalogue | None,
    gaps: Gaps,
    form: custom_field_values.Form = custom_field_values.CAREFUL,
    *,
    taken_back: Container[str],
) -> list[DesiredField]:
    """Return what the mapped fields should hold, in Kommo's words.

    A fact nobody knows wants nothing of its field; it wants it empty only where the conversation has taken it back.
    """
    wanted = []
    for mapping in mappings:
        value = facts.get(mapping.attribute)
        if value in (None, []) and mapping.attribute not in taken_back:
            continue
        if mapping.kommo_field_id is None:
            if value is not None:
                gaps.sentences.append(Reason("field_not_bound", a=f"“{mapping.kommo_field}”"))
            continue
        if value == []:
            value = None
        if catalogue is not None and _options(mapping, catalogue) is None:
            gaps.knows_too_little = True
            if value is not None:
                gaps.sentences.append(Reason("field_not_in_kommo", a=f"“{mapping.kommo_field}”"))
            continue
        enum_ids: list[int] = []
        if value is not None and mapping.type in (FieldMapping.Type.SELECT, FieldMapping.Type.MULTISELECT):
            chosen = value if isinstance(value, list) else [value]
            found = [enum_id(mapping, str(chosen_value), catalogue) for chosen_value in chosen]
            if None in found:
                option = mapping.options.get(str(chosen[found.index(None)]), chosen[found.index(None)])
                gaps.knows_too_little = True
                gaps.sentences.append(Reason("no_such_option", a=f"“{mapping.kommo_field}”", b=f"“{option}”"))
                continue
            enum_ids = [bound for bound in found if bound is not None]
        type_ = field_type(mapping, catalogue)
        try:
            values = custom_field_values.to_kommo(type_, value, enum_ids, form)
        except ValueError as error:
            shown = f"{value!r}: {error}"
            gaps.sentences.append(Reason("field_cannot_show", a=f"“{mapping.kommo_field}”", value=shown))
            continue
        comparable = custom_field_values.from_kommo(type_, values, form.zone)
        wanted.append(DesiredField(mapping.kommo_field_id, mapping.attribute, values, comparable, type_, form))
    return wanted


def enum_id(mapping: FieldMapping, value: str, catalogue: Catalogue | None) -> int | None:
    """Return the id of the option that shows our value: the bound one, else the one of that name.

    Names differ between the two sides, so a value is mapped to its option's name first (`mapping.options`).
    """
    options = _options(mapping, catalogue) or {}
    bound = mapping.enum_ids.get(value)
    if bound is not None and (catalogue is None or bound in options.values()):
        return int(bound)
    return options.get(name_key(mapping.options.get(value, value)))


def _options(mapping: FieldMapping, catalogue: Catalogue | None) -> dict[str, int] | None:
    """Return the options of the mapping's field by normalised name; None for a field the account does not have."""
    field = _field(mapping, catalogue)
    return field and {name_key(option["value"]): option["id"] for option in field.get("enums") or ()}


def field_type(mapping: FieldMapping, catalogue: Catalogue | None) -> str:
    """Return the type in which a mapping is written: that of the account's field, if it can show ours at all."""
    theirs = str((_field(mapping, catalogue) or {}).get("type") or "")
    return theirs if custom_field_values.same_kind(mapping.type, theirs) else mapping.type


def _field(mapping: FieldMapping, catalogue: Catalogue | None) -> dict[str, Any] | None:
    fields_there = catalogue.lead_fields if catalogue else ()
    return next((kommo_field for kommo_field in fields_there if kommo_field["id"] == mapping.kommo_field_id), None)


def _family(rule: TagRule, facts: dict[str, Any], card: Card) -> TagFamily:
    prefix, _, suffix = rule.template.partition("{value}")
    value = facts.get(rule.attribute)
    values = value if isinstance(value, list) else [] if value is None else [value]
    is_held, ours = held_against(card.ownership, f"tags:{rule.template}")
    return TagFamily(
        prefix=prefix,
        suffix=suffix,
        tags=frozenset(tag(rule.template, shown_value) for shown_value in values),
        held_against=frozenset(ours) if is_held else None,
        said_tags=frozenset(said_tags(card, [rule])),
    )


def shown_name(name: str, form: custom_field_values.Form) -> str:
    """Return a lead's name as its card shows it."""
    return (name if form.keeps_emoji else custom_field_values.without_emoji(name))[:MAX_NAME_LENGTH]


def tag(template: str, value: object) -> str:
    """Return the tag for a value: lower case, spaces as `_`, accents kept, no emoji."""
    text = "_".join(custom_field_values.without_emoji(str(value)).lower().split())
    return template.replace("{value}", text)[:MAX_TAG_LENGTH]


def wanted_tags(lead: Lead, book: Rulebook) -> list[str]:
    """Return the tags the rules call for, sorted, as the API shows them."""
    facts = shown_facts(lead, book)
    unowned = Card()
    return sorted({name for rule in shown_tags(lead, book) for name in _family(rule, facts, unowned).tags})

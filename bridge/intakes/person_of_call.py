"""Whom is it about? From the addresses that a source names to a person of ours."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from bridge.intakes import source_news
from bridge.models import Intake
from leads.addresses import Address, AddressError, of_key, parse
from leads.interaction_values import Interaction
from leads.models import Lead, Pipeline


def pipeline_of(intake: Intake) -> Pipeline | None:
    """Return the pipeline a way in leads to, as it is now."""
    if intake.pipeline_id:
        return Pipeline.objects.filter(pk=intake.pipeline_id).first()
    return Pipeline.objects.filter(is_default=True).first()


def addresses_of(named: Iterable[source_news.Address], pipeline: Pipeline) -> tuple[Address, ...]:
    """Return those of a source's addresses that are somebody's, each once."""
    found: dict[str, Address] = {}
    for named_address in named:
        with suppress(AddressError):
            address = parse(named_address.kind, named_address.value, region=pipeline.phone_region)
            # A WhatsApp id and its number are one; the id is what one writes to.
            if address.key not in found or address.kind == "whatsapp":
                found[address.key] = address
    return tuple(found.values())


def speak_of(lead: Lead | None, booking: source_news.Booking, pipeline: Pipeline, **news: Any) -> Interaction | None:
    """Return an interaction about a lead, or about whoever books and is none yet; None where nobody can be named."""
    phones = addresses_of((source_news.Address("phone", phone) for phone in booking.phones), pipeline)
    if lead is not None:
        own = of_key(lead.phone_key, value=lead.phone or "") if lead.phone_key else None
        # Somebody who has no number yet tells it by booking.
        named = (*([own] if own else ()), *(() if lead.phone else phones))
    else:
        named = phones or addresses_of((source_news.Address("email", email) for email in booking.emails), pipeline)
    return Interaction(phone=None, addresses=named, **news) if named else None

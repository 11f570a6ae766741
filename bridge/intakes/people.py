"""Whom is it about? From the addresses that a source names to a person of ours."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.intakes.told import Address
from bridge.models import Intake
from leads.models import Pipeline
from leads.phone import Phone, PhoneError, parse

# Kinds of addresses that are, or hold, a phone number.
NUMBERS = ("whatsapp", "phone")


def pipeline_of(intake: Intake) -> Pipeline | None:
    """Return the pipeline a way in leads to, as it is now."""
    if intake.pipeline_id:
        return Pipeline.objects.filter(pk=intake.pipeline_id).first()
    return Pipeline.objects.filter(is_default=True).first()


def phone_of(addresses: Iterable[Address], pipeline: Pipeline) -> Phone | None:
    for address in addresses:
        if address.kind in NUMBERS:
            try:
                return parse(address.value, region=pipeline.phone_region)
            except PhoneError:
                continue
    return None

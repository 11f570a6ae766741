"""Amounts as whoever reads them writes them, in the money of the account that holds a pipeline's cards."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.utils.translation import get_language, to_locale

from bridge.models import AccountPipeline
from leads import money
from leads.models import Pipeline

# Kept with the pipeline in memory: a page shows hundreds of amounts of one.
KEPT = "_currency"


def currency_of(pipeline: Pipeline) -> str:
    """Return the currency as Kommo tells it; that of the pipeline's country until it has. One query a pipeline."""
    if KEPT not in pipeline.__dict__:
        learn([pipeline])
    return str(pipeline.__dict__[KEPT])


def learn(pipelines: Iterable[Pipeline]) -> None:
    """Look up the currencies of several pipelines, for `currency_of` to know. One query."""
    of = {known_pipeline.pk: known_pipeline for known_pipeline in pipelines}
    rows = AccountPipeline.objects.filter(pipeline__in=list(of)).values_list("pipeline_id", "account__currency")
    known = dict(rows)
    for pk, pipeline in of.items():
        pipeline.__dict__[KEPT] = known.get(pk) or money.of_region(pipeline.phone_region)


def written(amount: Decimal, pipeline: Pipeline, *, with_cents: bool | None = None) -> str:
    """Return an amount in the active language, with cents where there are any; or always, or never."""
    if with_cents is None:
        with_cents = amount != amount.to_integral_value()
    locale = to_locale(get_language() or "pt-br")
    return money.written(amount, locale=locale, currency=currency_of(pipeline), with_cents=with_cents)

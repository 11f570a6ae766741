"""Follow-ups by the pipelines' own channels: the same way as everything else that is said."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from bridge.channels import managing_channels, queueing_messages
from bridge.models import Card, Channel, Outgoing
from leads.models import Lead, Pipeline


class ByTheirChannels:
    """See followups.channels.Road."""

    def pipelines(self, pipeline_ids: Collection[int]) -> Collection[int]:
        if not Channel.objects.filter(is_active=True).exists():
            return ()
        found = managing_channels.chains(Pipeline.objects.filter(pk__in=pipeline_ids))
        return [pk for pk, chain in found.items() if chain]

    def speaks(self, pipeline_id: int) -> bool:
        chain = managing_channels.chain(Pipeline.objects.get(pk=pipeline_id))
        return bool(chain) and chain[0].kind != Channel.Kind.LOG

    def take(self, attempt_id: UUID, lead: Lead, text: str, *, template_id: str, now: datetime) -> str:
        if Outgoing.objects.filter(attempt_id=attempt_id).exists():
            return ""
        card = Card.objects.select_related("account").filter(lead=lead).first()
        try:
            with transaction.atomic():
                queueing_messages.take(
                    lead,
                    text,
                    pipeline=lead.pipeline,
                    card=card,
                    template_id=template_id,
                    attempt_id=attempt_id,
                    now=now,
                )
        except queueing_messages.NoWayError as error:
            reason: str = error.args[0]
            return reason
        except IntegrityError:
            # Another process has handed it over at this moment.
            pass
        return ""

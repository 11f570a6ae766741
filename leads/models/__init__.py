from leads.models.lead import ATTRIBUTES, Event, Lead, Objection
from leads.models.pipeline import (
    Criterion,
    FieldMapping,
    Flow,
    Pipeline,
    Qualification,
    Stage,
    StageMapping,
    TagRule,
    UnmappedConversationStage,
)
from leads.models.stay import Stay

__all__ = [
    "ATTRIBUTES",
    "Criterion",
    "Event",
    "FieldMapping",
    "Flow",
    "Lead",
    "Objection",
    "Pipeline",
    "Qualification",
    "Stage",
    "StageMapping",
    "Stay",
    "TagRule",
    "UnmappedConversationStage",
]

from leads.models.further import FurtherAddress
from leads.models.joining import JoinedLead, ProbablySame
from leads.models.lead import ATTRIBUTES, Event, Lead, Objection
from leads.models.meeting import Meeting
from leads.models.message import Message, MessagePart
from leads.models.milestone import Milestone
from leads.models.person import Forgotten, ForgottenReport, OptOut, PseudonymKey
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
    UnmappedFlow,
)
from leads.models.stay import Stay
from leads.models.word import NameWord

__all__ = [
    "ATTRIBUTES",
    "Criterion",
    "Event",
    "FieldMapping",
    "Flow",
    "Forgotten",
    "ForgottenReport",
    "FurtherAddress",
    "JoinedLead",
    "Lead",
    "Meeting",
    "Message",
    "MessagePart",
    "Milestone",
    "NameWord",
    "Objection",
    "OptOut",
    "Pipeline",
    "ProbablySame",
    "PseudonymKey",
    "Qualification",
    "Stage",
    "StageMapping",
    "Stay",
    "TagRule",
    "UnmappedConversationStage",
    "UnmappedFlow",
]

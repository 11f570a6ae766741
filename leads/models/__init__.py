from leads.models.conversation_words import Flow, StageMapping, UnmappedConversationStage, UnmappedFlow
from leads.models.criteria import Criterion, Qualification
from leads.models.further import FurtherAddress
from leads.models.joining import JoinedLead, ProbablySame
from leads.models.lead import ATTRIBUTES, Event, Lead, Objection
from leads.models.meeting import Meeting
from leads.models.message import Message, MessagePart
from leads.models.milestone import Milestone
from leads.models.person import Forgotten, ForgottenReport, OptOut, PseudonymKey
from leads.models.pipeline import Pipeline
from leads.models.shown_on_cards import FieldMapping, TagRule
from leads.models.stage import Stage
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

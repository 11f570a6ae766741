from bridge.models.account import Account, AccountPipeline, CallSlot, Catalogue
from bridge.models.agent import AgentEvent, ApiKey, IdempotencyRecord
from bridge.models.alert import Alert
from bridge.models.card import Briefing, Card, CardContact, Delivery, Drift, Forgetting
from bridge.models.channel import Channel, Outgoing
from bridge.models.figure import Figure
from bridge.models.heartbeat import Heartbeat
from bridge.models.intake import Intake, IntakeCall, IntakeItem
from bridge.models.lease import WorkLease
from bridge.models.rules import Reevaluation, RulesDraft, RulesRevision
from bridge.models.saved_view import SavedView
from bridge.models.second_factor import SecondFactor
from bridge.models.stage_in_kommo import StageInKommo
from bridge.models.trouble import Trouble
from bridge.models.unread_lead import UnreadLead
from bridge.models.webhook import WebhookEvent, WebhookItem
from bridge.models.weekly import WeeklyMail

__all__ = [
    "Account",
    "AccountPipeline",
    "AgentEvent",
    "Alert",
    "ApiKey",
    "Briefing",
    "CallSlot",
    "Card",
    "CardContact",
    "Catalogue",
    "Channel",
    "Delivery",
    "Drift",
    "Figure",
    "Forgetting",
    "Heartbeat",
    "IdempotencyRecord",
    "Intake",
    "IntakeCall",
    "IntakeItem",
    "Outgoing",
    "Reevaluation",
    "RulesDraft",
    "RulesRevision",
    "SavedView",
    "SecondFactor",
    "StageInKommo",
    "Trouble",
    "UnreadLead",
    "WebhookEvent",
    "WebhookItem",
    "WeeklyMail",
    "WorkLease",
]

from django.urls import path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from bridge.api import base, description, messages, person, reading, reporting, results, switching

urlpatterns = [
    path("v1/interactions/", reporting.Interactions.as_view(), name="interactions"),
    path("v1/interactions/batch/", reporting.InteractionBatch.as_view(), name="interaction-batch"),
    path("v1/leads/", reading.Leads.as_view(), name="leads"),
    path("v1/leads/<uuid:lead_id>/", reading.LeadDetail.as_view(), name="lead"),
    path("v1/leads/<uuid:lead_id>/timeline/", reading.Timeline.as_view(), name="timeline"),
    path("v1/leads/<uuid:lead_id>/messages/", messages.Messages.as_view(), name="messages"),
    path("v1/messages/<uuid:message_id>/", messages.MessageDetail.as_view(), name="message"),
    path("v1/leads/<uuid:lead_id>/handoff/", person.Handoff.as_view(), name="handoff"),
    path("v1/leads/<uuid:lead_id>/opt-out/", person.OptOut.as_view(), name="opt-out"),
    path("v1/leads/<uuid:lead_id>/personal-data/", person.PersonalData.as_view(), name="personal-data"),
    path("v1/agent/may-reply/", person.MayReply.as_view(), name="may-reply"),
    path("v1/agent/silence/", switching.Silence.as_view(), name="silence"),
    path("v1/results/", results.Results.as_view(), name="results"),
    path("schema/", description.Description.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    # Before Django would redirect: a POST does not survive that.
    re_path(r"^v1/.*$", base.NoSuchAddress.as_view()),
]

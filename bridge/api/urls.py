from django.urls import path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from bridge.api import (
    base,
    interaction_views,
    lead_views,
    message_views,
    person_views,
    results_views,
    schema_view,
    switch_view,
)

urlpatterns = [
    path("v1/interactions/", interaction_views.Interactions.as_view(), name="interactions"),
    path("v1/interactions/batch/", interaction_views.InteractionBatch.as_view(), name="interaction-batch"),
    path("v1/leads/", lead_views.Leads.as_view(), name="leads"),
    path("v1/leads/<uuid:lead_id>/", lead_views.LeadDetail.as_view(), name="lead"),
    path("v1/leads/<uuid:lead_id>/timeline/", lead_views.Timeline.as_view(), name="timeline"),
    path("v1/leads/<uuid:lead_id>/messages/", message_views.Messages.as_view(), name="messages"),
    path("v1/messages/<uuid:message_id>/", message_views.MessageDetail.as_view(), name="message"),
    path("v1/leads/<uuid:lead_id>/handoff/", person_views.Handoff.as_view(), name="handoff"),
    path("v1/leads/<uuid:lead_id>/opt-out/", person_views.OptOut.as_view(), name="opt-out"),
    path("v1/leads/<uuid:lead_id>/personal-data/", person_views.PersonalData.as_view(), name="personal-data"),
    path("v1/agent/may-reply/", person_views.MayReply.as_view(), name="may-reply"),
    path("v1/agent/silence/", switch_view.Silence.as_view(), name="silence"),
    path("v1/results/", results_views.Results.as_view(), name="results"),
    path("schema/", schema_view.Description.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    # Before Django would redirect: a POST does not survive that.
    re_path(r"^v1/.*$", base.NoSuchAddress.as_view()),
]

"""Addresses of the steps, below /admin/setup/."""

from django.urls import path

from bridge.admin.setup import trade, trial, views

urlpatterns = [
    path("", views.start, name="setup"),
    path("connect/", views.connect, name="setup-connect"),
    path("pipeline/", views.pipeline, name="setup-pipeline"),
    path("trade/", trade.trade, name="setup-trade"),
    path("bind/", views.bind, name="setup-bind"),
    path("webhook/", views.webhook, name="setup-webhook"),
    path("ways/", views.ways, name="setup-ways"),
    path("key/", views.key, name="setup-key"),
    path("trial/", trial.trial, name="setup-trial"),
    path("trial/state/", trial.state, name="setup-trial-state"),
]

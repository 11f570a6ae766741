from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from django.views.i18n import set_language

# ruff: noqa: E402
# The pages of other applications come before ours, which take the place of some.
admin.autodiscover()

from bridge import health, oauth
from bridge.admin import (
    advanced,
    dashboard,
    invitations,
    registered,  # noqa: F401
    results_page,
    search_box,
    second_factor_page,
    shadow_page,
)
from bridge.admin import health_page as health_page
from bridge.admin.dashboard import overview_buttons
from bridge.admin.leads import by_card, undo_on_lead
from bridge.api import error_answers
from bridge.intakes import views as intakes
from bridge.mcp.views import Mcp
from bridge.webhooks import views as webhooks

handler500 = error_answers.server_error

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/overview/live/", admin.site.admin_view(dashboard.live), name="overview-live"),
    path("admin/overview/<slug:do>/", admin.site.admin_view(overview_buttons.act), name="overview-act"),
    path("admin/health/", admin.site.admin_view(health_page.health), name="health"),
    path("admin/shadow/", admin.site.admin_view(shadow_page.page), name="shadow"),
    path("admin/results/", admin.site.admin_view(results_page.page), name="results-page"),
    path("admin/results/weekly/", admin.site.admin_view(results_page.weekly), name="results-weekly"),
    path("admin/results/<slug:name>/", admin.site.admin_view(results_page.leads), name="results-leads"),
    path("admin/leads/undo/", admin.site.admin_view(undo_on_lead.page), name="lead-undo"),
    path("admin/leads/card/<int:kommo_lead_id>/", admin.site.admin_view(by_card.page), name="lead-by-card"),
    path("admin/advanced/", admin.site.admin_view(advanced.page), name="advanced"),
    path("admin/second-factor/", admin.site.admin_view(second_factor_page.page), name="second-factor"),
    # In the place of the search for tables that the admin's theme has.
    path("admin/search/", admin.site.admin_view(search_box.page)),
    path("admin/welcome/<uidb64>/<token>/", invitations.Welcome.as_view(), name="invited"),
    path("admin/language/", set_language, name="set_language"),
    path("admin/setup/", include("bridge.admin.setup.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("bridge.api.urls")),
    # People forget the last slash, and a POST does not survive a redirect.
    path("mcp/", Mcp.as_view(), name="mcp"),
    path("mcp", Mcp.as_view()),
    path("webhooks/kommo/<str:secret>/", webhooks.receive, name="kommo-webhook"),
    # Evolution can add an event's name at the end, and people forget the last slash.
    re_path(r"^intake/(?P<slug>[^/]+)/(?P<secret>[^/]+)(?:/.*)?$", intakes.receive, name="intake"),
    path("oauth/kommo/callback/", oauth.consented, name="kommo-callback"),
    path("oauth/kommo/uninstalled/", oauth.uninstalled, name="kommo-uninstalled"),
    path("metrics", health.metrics),
]

"""What a browser may load and run: a policy for pages, and nothing at all for answers that are data."""

from __future__ import annotations

from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Never shown as a page. A policy built for each of these answers cost a tenth of what storing a webhook does.
DATA = ("/api/v1/", "/webhooks/", "/intake/", "/mcp")
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class ContentPolicy(CSPMiddleware):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path_info.startswith(DATA):
            response["Content-Security-Policy"] = NOTHING
            return response
        return super().process_response(request, response)

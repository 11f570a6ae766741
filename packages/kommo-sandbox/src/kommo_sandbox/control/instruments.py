"""The sandbox itself: faults to order, options, the journal, tokens and webhooks."""

from __future__ import annotations

from kommo_sandbox import names
from kommo_sandbox.answers import Answer, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.control.bodies import answer


def list_faults(call: Call) -> Answer:
    return answer({"faults": [fault.as_json() for fault in call.sandbox.faults.orders]})


def order_fault(call: Call) -> Answer:
    return answer(call.sandbox.faults.order(call.body).as_json(), 201)


def clear_faults(call: Call) -> Answer:
    call.sandbox.faults.clear()
    return nothing()


def get_options(call: Call) -> Answer:
    return answer(call.options.as_json())


def set_options(call: Call) -> Answer:
    call.options.update(call.body)
    return answer(call.options.as_json())


def get_authority(call: Call) -> Answer:
    """Answer the certificate to trust for https://<name>.kommo.com, new with each start."""
    try:
        return Answer(names.authority().decode(), content_type="application/x-pem-file")
    except names.NoCertificates as error:
        raise Refusal.control("there is no certificate", str(error), 501) from None


def get_journal(call: Call) -> Answer:
    """Answer the requests from index `since` on (0), at most `limit`; `next` is where to go on."""
    since, limit = call.query.get("since", "0"), call.query.get("limit", "")
    if not str(since).isdigit() or (limit and not str(limit).isdigit()):
        raise Refusal.control("since and limit must be whole numbers", "use ?since=<next of the last answer>")
    journal = call.sandbox.journal
    entries = journal.since(int(since), int(limit) if limit else None)
    return answer({"next": entries[-1]["index"] + 1 if entries else journal.count, "entries": entries})


def get_statistics(call: Call) -> Answer:
    sandbox = call.sandbox
    statistics = sandbox.journal.statistics()
    return answer(
        {
            **statistics,
            "max_requests_in_any_second": sandbox.limiter.most_in_a_second,
            "leads": sum(not lead.is_deleted for lead in call.store.leads.by_id.values()),
            "contacts": sum(not contact.is_deleted for contact in call.store.contacts.by_id.values()),
            "webhooks": {
                "pending": sandbox.hooks.pending,
                "delivered": sandbox.hooks.delivered,
                "failed": sandbox.hooks.failed,
                "dropped": sandbox.hooks.dropped,
            },
        }
    )


def reset(call: Call) -> Answer:
    call.sandbox.reset()
    return nothing()


def issue_token(call: Call) -> Answer:
    """Mint a long-lived token: a JWT for `user_id` (the administrator) that ends after `expires_in` seconds."""
    body = call.body if isinstance(call.body, dict) else {}
    seconds = body.get("expires_in", 5 * 365 * 86_400)
    if not isinstance(seconds, int | float):
        raise Refusal.control("expires_in must be seconds", 'send {"expires_in": 86400}')
    token = call.sandbox.tokens.issue_access(
        host=call.base_url.partition("//")[2], seconds=seconds, user_id=body.get("user_id")
    )
    return answer({"token": token}, 201)


def expire_tokens(call: Call) -> Answer:
    call.sandbox.tokens.expire_all()
    return nothing()


def revoke_tokens(call: Call) -> Answer:
    call.sandbox.tokens.revoke_all()
    return nothing()


def issue_code(call: Call) -> Answer:
    return answer({"code": call.sandbox.tokens.issue_code()}, 201)


def get_webhooks(call: Call) -> Answer:
    """Answer the subscriptions and what was sent to them, oldest first."""
    hooks = call.sandbox.hooks
    known = call.store.subscriptions.values()
    return answer(
        {
            "subscriptions": [
                {
                    "destination": subscription.destination,
                    "settings": subscription.settings,
                    "disabled": subscription.disabled,
                }
                for subscription in known
            ],
            "pending": hooks.pending,
            "sent": list(hooks.sent),
        }
    )


def disable_webhooks(call: Call) -> Answer:
    """Switch subscriptions off as Kommo does after too many bad answers: one destination, or all."""
    wanted = call.body.get("destination") if isinstance(call.body, dict) else None
    disabled = [s for s in call.store.subscriptions.values() if wanted in (None, s.destination)]
    for subscription in disabled:
        subscription.disabled = True
    return answer({"disabled": [subscription.destination for subscription in disabled]})


ROUTES: list[Route] = [
    ("GET", "/_sandbox/faults", list_faults),
    ("POST", "/_sandbox/faults", order_fault),
    ("DELETE", "/_sandbox/faults", clear_faults),
    ("GET", "/_sandbox/options", get_options),
    ("POST", "/_sandbox/options", set_options),
    ("GET", "/_sandbox/ca.pem", get_authority),
    ("GET", "/_sandbox/journal", get_journal),
    ("GET", "/_sandbox/statistics", get_statistics),
    ("POST", "/_sandbox/reset", reset),
    ("POST", "/_sandbox/tokens", issue_token),
    ("POST", "/_sandbox/tokens/expire", expire_tokens),
    ("POST", "/_sandbox/tokens/revoke", revoke_tokens),
    ("POST", "/_sandbox/oauth/code", issue_code),
    ("GET", "/_sandbox/webhooks", get_webhooks),
    ("POST", "/_sandbox/webhooks/disable", disable_webhooks),
]

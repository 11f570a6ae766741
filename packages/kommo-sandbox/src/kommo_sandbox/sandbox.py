"""One sandbox: the account, what limits and disturbs it, and the record of what it was asked."""

from __future__ import annotations

import threading
from dataclasses import replace

from kommo_sandbox import reference
from kommo_sandbox.faults import Faults
from kommo_sandbox.hooks import Hooks
from kommo_sandbox.journal import Journal
from kommo_sandbox.limits import Limiter
from kommo_sandbox.options import Options
from kommo_sandbox.store import Store
from kommo_sandbox.tokens import Tokens

ACCOUNT_ID = 30000001


class Sandbox:
    """Holds everything a request meets.

    `lock` guards the account; `door` guards the count of arrivals, apart, so that a slow write does
    not make requests that came one after another look like a burst.
    """

    def __init__(
        self, *, account_id: int = ACCOUNT_ID, subdomain: str = "sandbox", options: Options | None = None
    ) -> None:
        self.account_id = account_id
        self.subdomain = subdomain
        self.options = options or Options()
        self._initial = replace(self.options)
        self.lock = threading.RLock()
        self.door = threading.Lock()
        # Set when the server stops: whoever waits inside a slow answer wakes up.
        self.closing = threading.Event()
        self._start_over()
        self.hooks = Hooks(self.store, self.options, self.faults, self.lock)

    def reset(self, store: Store | None = None) -> None:
        """Go back to the reference account, the options at start, an empty journal, no faults, no webhooks.

        A `store` is taken in the place of the reference account's.
        """
        with self.lock, self.door:
            self.options.update(self._initial.as_json())
            self._start_over(store)
            self.hooks.store, self.hooks.faults = self.store, self.faults
            self.hooks.forget()

    def close(self) -> None:
        self.closing.set()
        self.faults.clear()
        self.hooks.close()

    def _start_over(self, store: Store | None = None) -> None:
        self.store = store or Store(self.account_id, self.subdomain)
        if store is None:
            reference.load(self.store)
        self.limiter = Limiter(self.options)
        self.journal = Journal(self.options.journal_limit)
        self.faults = Faults(self.options.seed)
        self.tokens = Tokens(self.options, account_id=self.account_id, admin_id=self.store.admin_id)

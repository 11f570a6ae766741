"""One request to the API: what handlers read from it and how they answer lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from kommo_sandbox import brackets
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.faults import ERROR_244
from kommo_sandbox.news import News
from kommo_sandbox.sandbox import Sandbox
from kommo_sandbox.validation import MOST_ITEMS, Errors, request_id_of

T = TypeVar("T")

DEFAULT_LIMIT = 50


@dataclass
class Call:
    """A request under way; handlers run under the sandbox's lock."""

    sandbox: Sandbox
    method: str
    path: str
    args: list[tuple[str, str]]
    body: Any
    base_url: str
    user_id: int
    headers: Any
    # Share of a batch that is applied when the fault `partial` strikes; None: all of it.
    share: float | None = None
    # A person acts, on the screen, which takes more than the API does.
    by_hand: bool = False
    # What the call tells webhook subscribers once it has succeeded.
    news: list[News] = field(default_factory=list)
    lead_ids: list[int] = field(default_factory=list)
    query: Json = field(default_factory=dict)
    # What the caller's token may do.
    scopes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.store = self.sandbox.store
        self.options = self.sandbox.options
        self.query = brackets.parse(self.args)

    @property
    def author_id(self) -> int:
        """Return whom `updated_by` names for what this call changes."""
        return 0 if self.options.writes_are_by == "robot" and not self.by_hand else self.user_id

    def refuse_when_full(self, kind: str) -> None:
        """Raise Refusal when the account takes no further lead or contact, or this user may make none."""
        if not self.by_hand and not self.is_admin() and self.options.lists("denied_rights", f"{kind}.add"):
            raise Refusal.problem(403, "Access denied")
        limit = {"leads": self.options.leads_limit, "contacts": self.options.contacts_limit}.get(kind, 0)
        is_full = (
            bool(limit) and sum(not entity.is_deleted for entity in self.store.table(kind).by_id.values()) >= limit
        )
        status = self.options.full_account_status or (402 if is_full else 0)
        if not status or self.by_hand:
            return
        if status == 400:
            raise Refusal.problem(400, ERROR_244)
        raise Refusal.problem(status, "The limit of the plan is reached")

    def require_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refusal.problem(403, "Access denied")

    def tell(self, setting: str, root: str, action: str, item: Callable[[], Json]) -> None:
        """Note news for webhook subscribers; `item` is built only when somebody listens."""
        if self.sandbox.hooks.wants(setting):
            self.news.append(News(setting, root, action, item()))

    def filter(self, name: str) -> Any:
        return self.filters().get(name)

    def filters(self) -> Json:
        """Return the filters of a list, without those this account ignores."""
        given = self.query.get("filter")
        named = given if isinstance(given, dict) else {}
        return {name: value for name, value in named.items() if not self.options.lists("ignored_filters", name)}

    def with_(self) -> set[str]:
        asked = brackets.members(self.query.get("with"))
        return {word for word in asked if not self.options.lists("ignored_with", word)}

    def link(self, path: str) -> Json:
        return {"self": {"href": f"{self.base_url}{path}"}}

    def is_admin(self) -> bool:
        user = self.store.users.get(self.user_id)
        return user is not None and user.is_admin

    def require_admin(self) -> None:
        if not self.is_admin():
            raise Refusal.problem(403, "Only an administrator may do this")

    # --- Lists

    def page(self, entities: Iterable[T], name: str, show: Callable[[T], Json], **extra: Any) -> Answer:
        """Answer one page of a list, 204 when it is empty; raises Refusal for a limit over 250."""
        page = self._number("page", 1)
        limit = self._number("limit", DEFAULT_LIMIT)
        if limit > MOST_ITEMS:
            raise Refusal.problem(422, f"Limit {MOST_ITEMS} per page")
        start = (page - 1) * limit
        # One more than asked for tells if there is a next page.
        found = list(islice(entities, start, start + limit + 1))
        if not found:
            return nothing()
        links = {"self": {"href": self._page_url(page)}}
        if len(found) > limit or self.options.endless_next:
            links["next"] = {"href": self._page_url(page + 1)}
        if page > 1:
            links["first"] = {"href": self._page_url(1)}
            links["prev"] = {"href": self._page_url(page - 1)}
        shown = [show(entity) for entity in found[:limit]]
        return Answer({"_page": page, "_links": links, **extra, "_embedded": {name: shown}})

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name)
        return int(text) if isinstance(text, str) and text.isdigit() and int(text) > 0 else default

    def _page_url(self, page: int) -> str:
        pairs = [(key, value) for key, value in self.args if key != "page"]
        return f"{self.base_url}{self.path}?{urlencode([*pairs, ('page', str(page))])}"

    # --- Batches

    def batch(
        self,
        items: list[Json],
        read: Callable[[Json, Errors], T | None],
        apply: Callable[[T, str], Json],
    ) -> list[Json]:
        """Read every item, then apply them all, or none when one is refused; return what the answer names.

        `read` notes errors, or returns None for an item to leave out. With partial batches the good
        items are applied and the others left out of the answer; a batch without a good item is refused.
        """
        accepted: list[tuple[T, str]] = []
        refused: list[Json] = []
        by_entity: dict[int, str] = {}
        for index, item in enumerate(items):
            request_id = request_id_of(item, index)
            errors = Errors()
            try:
                change = read(item, errors)
            except EntityRefusal as refusal:
                by_entity[refusal.entity_id] = refusal.detail
                continue
            if errors:
                refused.append({"request_id": request_id, "errors": errors.found})
            elif change is not None:
                accepted.append((change, request_id))
        is_partial = self.options.partial_batches or self.share is not None
        if (refused or by_entity) and not (is_partial and accepted):
            raise Refusal.validation(refused) if refused else Refusal.by_entity(by_entity)
        if self.share is not None:
            accepted = accepted[: max(1, round(len(accepted) * self.share))]
        return [apply(change, request_id) for change, request_id in accepted]


class EntityRefusal(Exception):
    """One entity of a batch is refused in the shape that is keyed by entity id."""

    def __init__(self, entity_id: int, detail: str) -> None:
        super().__init__(detail)
        self.entity_id = entity_id
        self.detail = detail


# A route: method, Werkzeug rule, handler(call, **path arguments).
Route = tuple[str, str, Callable[..., Answer]]

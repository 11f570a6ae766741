"""One request to the API: what handlers read from it and how they answer lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from bridge.sandbox import brackets
from bridge.sandbox.answers import Answer, Json, Refusal, nothing
from bridge.sandbox.hook_bodies import News
from bridge.sandbox.validation import MOST_ITEMS, Errors, request_id_of

if TYPE_CHECKING:
    from bridge.sandbox.sandbox import Sandbox

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
    # What the call tells webhook subscribers once it has succeeded.
    news: list[News] = field(default_factory=list)
    lead_ids: list[int] = field(default_factory=list)
    query: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = self.sandbox.store
        self.options = self.sandbox.options
        self.query = brackets.parse(self.args)

    def tell(self, setting: str, root: str, action: str, item: Callable[[], Json]) -> None:
        """Note news for webhook subscribers; `item` is built only when somebody listens."""
        if self.sandbox.hooks.wants(setting):
            self.news.append(News(setting, root, action, item()))

    def filter(self, name: str) -> Any:
        filters = self.query.get("filter")
        return filters.get(name) if isinstance(filters, dict) else None

    def with_(self) -> set[str]:
        return set(brackets.members(self.query.get("with")))

    def link(self, path: str) -> Json:
        return {"self": {"href": f"{self.base_url}{path}"}}

    def require_admin(self) -> None:
        user = self.store.users.get(self.user_id)
        if user is None or not user.is_admin:
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
        if len(found) > limit:
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

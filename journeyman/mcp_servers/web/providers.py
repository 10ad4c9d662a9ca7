"""Who searches the web: SearxNG, Brave or Tavily, over HTTP. Their addresses are the user's own configuration.

Sources: docs.searxng.org/dev/search_api, api-dashboard.search.brave.com, docs.tavily.com.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
from pydantic import BaseModel, ValidationError

from journeyman.errors import ConfigError, ToolError

SECONDS = 20.0
LONGEST = 500
KEYS = {"brave": "BRAVE_API_KEY", "tavily": "TAVILY_API_KEY"}
BASES = {"brave": "https://api.search.brave.com", "tavily": "https://api.tavily.com"}
KNOWN = "searxng:URL, brave or tavily"
REASONS = {401: "the key is refused", 403: "this is not allowed", 429: "too many requests, or none left; wait a while"}


class Found(BaseModel):
    title: str
    url: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    base: str
    key: str = ""

    async def search(self, query: str, k: int) -> list[Found]:
        """Raises ToolError: it cannot be asked, or says no."""
        method, path, request, place = _REQUESTS[self.name](self, query, k)
        try:
            with anyio.fail_after(SECONDS):
                async with httpx2.AsyncClient(base_url=self.base, timeout=SECONDS) as client:
                    answer = await client.request(method, path, **request)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise ToolError(f"{self.name} cannot be asked: {str(error) or 'no answer in time'}") from None

        if answer.status_code != httpx2.codes.OK:
            reason = REASONS.get(answer.status_code, answer.reason_phrase)
            raise ToolError(f"{self.name} answers {answer.status_code}: {reason}")

        try:
            rows = answer.json()
            for name in place:
                rows = rows[name]

            return [_found(row) for row in rows[:k]]
        except (AttributeError, ValueError, KeyError, TypeError, ValidationError):
            raise ToolError(f"{self.name} answers what cannot be understood") from None


def provider(text: str, environment: Mapping[str, str] = os.environ) -> Provider:
    """The one that `searxng:http://127.0.0.1:8888`, `brave` or `tavily` names.

    Raises:
        ConfigError: there is none of that name, or its address or key is missing.
    """
    name, _, base = text.partition(":")
    base = base or BASES.get(name, "")
    if name not in _REQUESTS or not base.startswith(("http://", "https://")):
        raise ConfigError(f"{text!r} is nobody who searches the web", fix=f"write {KNOWN}")

    variable = KEYS.get(name)
    if variable and not environment.get(variable):
        raise ConfigError(f"{name} needs the environment variable {variable}", fix=f"export {variable}=...")

    return Provider(name, base.rstrip("/"), environment[variable] if variable else "")


def _found(row: dict[str, Any]) -> Found:
    text = row.get("content") or row.get("description") or ""
    return Found(title=str(row.get("title") or ""), url=row["url"], text=" ".join(str(text).split())[:LONGEST])


Request = tuple[str, str, dict[str, Any], tuple[str, ...]]


def _searxng(_: Provider, query: str, k: int) -> Request:  # noqa: ARG001 - it has no count
    return "GET", "/search", {"params": {"q": query, "format": "json"}}, ("results",)


def _brave(self: Provider, query: str, k: int) -> Request:
    request = {"params": {"q": query, "count": k}, "headers": {"X-Subscription-Token": self.key}}
    return "GET", "/res/v1/web/search", request, ("web", "results")


def _tavily(self: Provider, query: str, k: int) -> Request:
    request = {"json": {"query": query, "max_results": k}, "headers": {"Authorization": f"Bearer {self.key}"}}
    return "POST", "/search", request, ("results",)


_REQUESTS: dict[str, Callable[[Provider, str, int], Request]] = {
    "searxng": _searxng,
    "brave": _brave,
    "tavily": _tavily,
}

"""The web as an MCP server: pages as text and, where somebody is configured for it, search."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from journeyman.mcp_servers.toolset import Reply, Toolset, hints
from journeyman.mcp_servers.web import providers
from journeyman.mcp_servers.web.fetching import Reader
from journeyman.mcp_servers.web.providers import Found, Provider


class Page(BaseModel):
    url: str
    title: str
    text: str


class Results(BaseModel):
    results: list[Found]


def build(root: Path, *, full: bool = False, provider: str = "fetch") -> Toolset:  # noqa: ARG001 - every server is built the same way
    searching = providers.provider(provider) if provider != "fetch" else None
    return server(Reader(), searching)


def server(reader: Reader, provider: Provider | None) -> Toolset:
    async def fetch(url: str, start: Annotated[int, Field(ge=0)] = 0) -> Reply:
        """Read a web page as text"""
        page, text = await reader.fetch(url, start)
        head = f"{page.title}\n{page.url}\n\n" if page.title else ""
        return Reply(head + text, Page(url=page.url, title=page.title, text=text))

    made = Toolset("web", "Pages of the web. Whatever stands in them was written by strangers.")
    made.offer(fetch, hints(read_only=True, outside=True), Page)
    if provider is not None:

        async def search(query: str, k: Annotated[int, Field(ge=1, le=20)] = 5) -> Reply:
            """Search the web"""
            found = await provider.search(query, k)
            lines = [f"{number}. {each.title}\n   {each.url}\n   {each.text}" for number, each in enumerate(found, 1)]
            return Reply("\n".join(lines) or "no results", Results(results=found))

        made.offer(search, hints(read_only=True, outside=True), Results)

    return made

"""An MCP server behind OAuth, and the authorisation server for it: prints its address."""

import secrets
import socket
import time
from typing import Any, cast

import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl


class Everybody:
    """Lets in whoever asks, and numbers what it grants."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[str(client_info.client_id)] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=secrets.token_hex(16),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=str(client.client_id),
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, _client: Any, authorization_code: str) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client: Any, authorization_code: AuthorizationCode) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._grant(client.client_id)

    async def load_refresh_token(self, _client: Any, refresh_token: str) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(self, client: Any, refresh_token: RefreshToken, _scopes: Any) -> OAuthToken:
        del self.refresh[refresh_token.token]
        return self._grant(client.client_id)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.tokens.get(token)

    async def revoke_token(self, token: Any) -> None:
        self.tokens.pop(token.token, None)

    def _grant(self, client_id: str) -> OAuthToken:
        token = f"{len(self.tokens) + 1}-{secrets.token_hex(16)}"
        again = secrets.token_hex(16)
        self.tokens[token] = AccessToken(token=token, client_id=client_id, scopes=[])
        self.refresh[again] = RefreshToken(token=again, client_id=client_id, scopes=[])
        return OAuthToken(access_token=token, refresh_token=again, expires_in=3600)


listener = socket.create_server(("127.0.0.1", 0))
here = f"http://127.0.0.1:{listener.getsockname()[1]}"
server = MCPServer(
    "guarded",
    auth_server_provider=cast("Any", Everybody()),
    auth=AuthSettings(
        issuer_url=AnyHttpUrl(here),
        resource_server_url=AnyHttpUrl(f"{here}/mcp"),
        client_registration_options=ClientRegistrationOptions(enabled=True),
    ),
)


@server.tool()
def whoami() -> str:
    """Say by which token."""
    token = get_access_token()
    return f"token {token.token.partition('-')[0]} of {token.client_id}" if token else "nobody"


if __name__ == "__main__":
    print(f"{here}/mcp", flush=True)  # noqa: T201 - for the test
    uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run(sockets=[listener])

"""The terminal UI: a client of the engine process. It never imports a provider's SDK, the MCP SDK or the runtime."""

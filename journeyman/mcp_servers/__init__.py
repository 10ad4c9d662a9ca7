"""Four MCP servers that come with journeyman: each a core that can be imported and a thin server over it.

`build(name, root)` makes one, for use in process or by `serve`. Nothing of the MCP SDK is imported before that.
"""

from journeyman.mcp_servers.registry import SERVERS as SERVERS
from journeyman.mcp_servers.registry import build as build

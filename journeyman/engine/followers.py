"""The clients that follow one session. All of them hear the same, who comes in the middle of a turn too."""

from typing import Any

from journeyman.engine import wire
from journeyman.engine.peer import Peer, join
from journeyman.engine.wire import OURS
from journeyman.safe import safe

Json = dict[str, Any]


class Followers:
    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self.peers: list[Peer] = []
        self.coming = 0
        """Clients that are being told what was said before."""
        self.live: list[Json] = []
        """The updates of the turn under way."""

    def __bool__(self) -> bool:
        return bool(self.peers or self.coming)

    def join(self, peer: Peer) -> None:
        if not (peer in self.peers or peer.gone.is_set()):
            self.peers.append(peer)

    def leave(self, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)

    def catch_up(self, peer: Peer) -> None:
        """What the turn under way has said so far."""
        for update in self.live:
            peer.update(self._session_id, update)

    def happened(self, update: Json, asker: Peer | None) -> None:
        """Part of the turn that `asker` asked for, who knows their own words."""
        self._keep(update)
        self.hear(update, asker)

    def hear(self, update: Json, asker: Peer | None = None) -> None:
        echo = update["sessionUpdate"] == "user_message_chunk"
        for peer in self.peers:
            if not echo or peer.notes or peer is not asker:
                peer.update(self._session_id, update)

    def note(self, kind: str, text: str) -> None:
        self.tell(wire.NOTE, {"kind": kind, "text": safe(text, lines=True)})

    def tell(self, method: str, params: Json) -> None:
        """Something of ours, to those who know it."""
        for peer in self.peers:
            if peer.notes:
                peer.tell(method, {"sessionId": self._session_id, **params})

    def _keep(self, update: Json) -> None:
        last = self.live[-1] if self.live else None
        joined = last and (update if _is_newer(last, update) else join(last, update))
        if joined:
            self.live[-1] = joined
        else:
            self.live.append(update)


def _is_newer(last: Json, update: Json) -> bool:
    """Both say how far the same call is; the second one says it all."""
    passing = all(
        each["sessionUpdate"] == "tool_call_update" and "seq" not in each["_meta"][OURS] for each in (last, update)
    )
    return passing and last["toolCallId"] == update["toolCallId"]

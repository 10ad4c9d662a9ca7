"""What happens in a session's turns, told to its followers as it happens."""

from journeyman.engine.followers import Followers
from journeyman.engine.peer import Peer
from journeyman.engine.questions import Questions
from journeyman.engine.servers import Calls
from journeyman.engine.updates import Updates
from journeyman.traces.events import (
    BudgetRaised,
    BudgetWarned,
    Compacted,
    Event,
    ModelDelta,
    ModelResponded,
    RunResumed,
)
from journeyman.traces.transcript import told

UNKNOWN = "a call was under way when this run was cut off; it may or may not have happened"


class Tale:
    def __init__(self, followers: Followers, questions: Questions) -> None:
        self._followers = followers
        self._questions = questions
        self.updates = Updates()
        """Of what happens now; `Record` says what happened before."""
        self.calls = Calls()

    def hear(self, event: Event, at: float, asker: Peer | None) -> None:
        """`at` is seconds since 1970; `asker` asked for the turn."""
        self.calls.hear(event)
        match event:
            case ModelResponded():
                self._questions.stepped(event.message.calls)
            case ModelDelta(kind="status"):
                self._followers.note("status", event.text)
            case BudgetWarned():
                self._followers.note("budget", f"{event.used:g} of {event.limit:g} {event.what} used")
            case BudgetRaised():
                self._followers.note("budget", f"{event.limit:g} {event.what} from here on")
            case Compacted():
                self._followers.note("compacted", told(event))
            case RunResumed() if event.unfinished:
                self._followers.note("resumed", UNKNOWN)

        for update in self.updates.of(event, at):
            self._followers.happened(update, asker)

from textual import events
from textual.app import App, ComposeResult

from journeyman.tui.prompt import Prompt


class Room(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def compose(self) -> ComposeResult:
        yield Prompt()

    def on_prompt_submitted(self, event: Prompt.Submitted) -> None:
        self.heard.append(event.text)


async def test_what_is_typed_faster_than_it_is_drawn_is_said_whole() -> None:
    app = Room()
    async with app.run_test() as pilot:
        for key in "hi there":
            app.post_message(events.Key("space" if key == " " else key, key))

        app.post_message(events.Key("enter", "\r"))
        await pilot.pause()
        await pilot.pause()

    assert app.heard == ["hi there"]

"""A screen with a transcript, in which keys move and unfold."""

from typing import TypeVar

from textual.screen import Screen

from journeyman.tui.transcript import Transcript

R = TypeVar("R")


class Folding(Screen[R]):
    def action_select(self, step: int) -> None:
        self.query_one(Transcript).select(step)

    def action_fold(self) -> None:
        self.query_one(Transcript).fold()

    def action_thoughts(self) -> None:
        self.query_one(Transcript).fold_thoughts()

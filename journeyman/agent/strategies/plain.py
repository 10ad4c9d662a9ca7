"""One plain run, as it would be without a strategy."""

from typing import ClassVar

from journeyman.agent.strategies.strategy import Single


class Plain(Single):
    name: ClassVar[str] = "plain"

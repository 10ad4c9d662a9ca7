"""What a strategy is: a way to spend more thinking on one question than a single plain run does.

A strategy is a value, written `vote(8)` or `route(direct, vote(5))`. One that is `single` only changes how a run is
ordered; any other makes several runs by way of a `Search` and says which of them to believe.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.traces.messages import Value

if TYPE_CHECKING:
    from journeyman.agent.strategies.search import Candidate, Search


PARALLEL = 8
"""Places of a local engine at most: each takes memory for a whole window."""


class Strategy(Value):
    name: ClassVar[str]
    """As it is written."""
    single: ClassVar[bool] = False
    """It is one run."""

    def __str__(self) -> str:
        """As it is read back: what differs from the defaults."""
        fields = list(type(self).model_fields.items())
        given = [(name, value) for name, field in fields if (value := getattr(self, name)) != field.default]
        words = [_written(name, value, first=name == fields[0][0]) for name, value in given]
        return f"{self.name}({', '.join(words)})" if words else self.name

    @property
    def lone(self) -> bool:
        """It is one run, on whichever model: nothing tells how sure its answer is."""
        return self.single

    @property
    def models(self) -> frozenset[str]:
        """Specs of the models that it asks beside the run's own."""
        return frozenset().union(*(value.models for _, value in self if isinstance(value, Strategy)))

    @property
    def width(self) -> int:
        """Runs that it would have under way at once."""
        return 1

    def order(self, order: Order) -> Order:
        """The run that a single one makes of an order."""
        return order

    async def solve(self, search: "Search", order: Order) -> "Candidate":
        """The candidate to believe.

        Raises:
            JourneymanError: there is none.
        """
        return await search.attempt(self.order(order), self)

    def needs(self, order: Order, able: Capabilities) -> None:
        """See that it can do its work.

        Raises:
            UsageError: something is missing, such as a verifier.
        """


class Single(Strategy):
    single: ClassVar[bool] = True


class Direct(Single):
    """One plain run, without a thought where the model can do so."""

    name: ClassVar[str] = "direct"

    def order(self, order: Order) -> Order:
        return sampled(order, think="off")


def sampled(order: Order, **update: Any) -> Order:
    """The order with its sampling changed."""
    return replace(order, sampling=order.sampling.model_copy(update=update))


def _written(name: str, value: object, *, first: bool) -> str:
    quoted = isinstance(value, str) and not value.isidentifier()
    shown = f"{value:g}" if isinstance(value, float) else repr(value) if quoted else str(value)
    return shown if first else f"{name}={shown}"

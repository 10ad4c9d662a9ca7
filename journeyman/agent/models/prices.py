"""What a provider's tokens cost, by the price list that comes with `genai-prices`; nothing is looked up online."""

from typing import Any, NamedTuple, Self

from journeyman.traces.messages import Usage


class Price(NamedTuple):
    """One model of one provider, as the list has it."""

    model: Any
    provider: Any

    @classmethod
    def find(cls, name: str, provider: str | None, url: str) -> Self | None:
        """The price of the model `name` of a provider, which its id or its API's address names; None if it has none.

        The first call reads the list, which takes a third of a second: not in the event loop.
        """
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - most runs are local

        try:
            found, model = get_snapshot().find_provider_model(name, None, provider, None if provider else url)
        except LookupError:
            return None

        price = cls(model, found)
        return None if price.cost(Usage(prompt_tokens=1)) is None else price

    @property
    def context(self) -> int | None:
        """Tokens that fit the model's window, where the list knows."""
        return self.model.context_window

    def cost(self, usage: Usage, cache_written: int = 0) -> float | None:
        """Dollars for one call now; `cache_written` of its prompt's tokens were put into the provider's cache.

        None where the list has no price for it.
        """
        from datetime import UTC, datetime  # noqa: PLC0415

        from genai_prices import Usage as Counted  # noqa: PLC0415

        counted = Counted(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=cache_written,
            output_tokens=usage.completion_tokens,
        )
        try:
            found = self.model.calc_price(counted, self.provider, genai_request_timestamp=datetime.now(UTC))
        except (LookupError, ValueError):
            return None

        return float(found.total_price) if vars(found.model_price) else None

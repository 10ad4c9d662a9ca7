"""What goes wrong with a provider, as one of our errors, and whether it is worth asking again.

Providers say the same in different ways: by a status, by a type or code in the body, or only in words. What is told in
an event of a stream has status 200 and goes by its type alone.
"""

import random
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from journeyman.errors import (
    ContextOverflow,
    KeyRefused,
    ModelError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Refusal,
    Unreachable,
)

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may well be answered."""
UNPAID = 402
STATUS = {
    "authentication_error": 401, "invalid_api_key": 401, "billing_error": 402, "insufficient_quota": 402,
    "billing_hard_limit_reached": 402, "enforced_spend_limit_reached": 402, "permission_error": 403,
    "not_found_error": 404, "model_not_found": 404, "request_too_large": 413, "rate_limit_error": 429,
    "rate_limit_exceeded": 429, "api_error": 500, "server_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""What a type or a code says, whatever the status beside it."""
OVERFLOW = (
    "exceed_context_size", "context_length_exceeded", "context length", "context size", "context window",
    "prompt is too long",
)  # fmt: skip
"""Words by which servers say that a prompt is too long."""
REFUSED = ("invalid_prompt", "content_policy", "content_filter", "policy_violation", "bio_policy", "content policy")
SAYS: Mapping[int, tuple[type[ModelError], str, str]] = {
    400: (ModelError, "does not take the request", "Change what it names, or the model."),
    401: (KeyRefused, "refuses the key", "Set {key} to a key that it accepts."),
    UNPAID: (RateLimited, "wants to be paid first", "Look at your plan and its limits there."),
    403: (KeyRefused, "does not allow it", "Set {key} to a key that may do this."),
    404: (ModelNotFound, "does not have it", "Check the address and the model's name."),
    413: (ContextOverflow, "cannot read so much at once", "Start a new run, or read less at a time."),
    422: (ModelError, "does not take the request", "Change what it names, or the model."),
    429: (RateLimited, "allows no more requests now", "{wait}, or check your plan."),
    500: (ModelError, "could not answer", "Look at the server's log, or try again."),
    503: (Overloaded, "cannot serve the model now", "{wait} and try again."),
}
"""What a status means: the error, what is said of the provider, and what to do."""
LONGEST = 60.0
"""Seconds that are waited at most because a provider asks for it."""


class Where(NamedTuple):
    """Who was asked, as its errors name it."""

    name: str
    """Its address, or the provider's name."""
    api: str
    """The format it should speak."""
    key: str
    """The variable its key is in."""
    check: str
    """What to do where it cannot be reached."""


class Said(Exception):
    """What a provider says is wrong in an event of its stream."""

    def __init__(self, code: str | None, text: str) -> None:
        super().__init__(text)
        self.code = code


class Failed(Exception):
    """`error` is what the user is told; `again`: asking again may help, after `after` seconds where it said so."""

    def __init__(
        self, error: ModelError, *, again: bool = False, after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(str(error))
        self.error, self.again, self.after, self.status = error, again, after, status

    def pause(self, attempt: int) -> float:
        """Seconds to wait before the next attempt: as long as it was asked for, else longer each time."""
        spread = random.random()  # noqa: S311 - so that many who failed together do not come back together
        if self.after is not None:
            return self.after * (1 + spread / 4)

        return min(8.0, 0.5 * 2 ** (attempt - 1)) * (1 - spread / 4)


@contextmanager
def typed(sdk: Any, where: Where) -> Generator[None]:
    """Errors of an SDK and its transport as `Failed`."""
    import httpx2  # noqa: PLC0415 - imported already, with the SDK

    try:
        yield
    except Said as said:
        raise _refusal(where, 200, {said.code or ""}, str(said), {}) from said
    except (sdk.APITimeoutError, httpx2.TimeoutException) as error:
        early = isinstance(error.__cause__ or error, httpx2.ConnectTimeout)
        slow = Unreachable(f"{where.name} does not answer in time.", fix="Look at the server, or try again.")
        raise Failed(slow, again=early) from error
    except (sdk.APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
        cause = error.__cause__ or error
        why = str(cause) or type(cause).__name__
        nobody = isinstance(cause, httpx2.ConnectError)
        what = f"Nothing answers at {where.name}" if nobody else f"The connection to {where.name} broke"
        raise Failed(Unreachable(f"{what}: {why.rstrip('.')}.", fix=where.check), again=True) from error
    except sdk.APIError as error:
        raise _of_sdk(where, error) from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:  # what this format never has
        why = str(error).partition("\n")[0]
        wrong = ModelError(f"{where.name} does not speak {where.api}: {why}.", fix=where.check)
        raise Failed(wrong) from error


def _of_sdk(where: Where, error: Any) -> Failed:
    body = _mapping(error.body)
    told = _mapping(body.get("error")) or body
    details = _mapping(told.get("details"))
    codes = {str(each) for each in (told.get("type"), told.get("code"), details.get("error_code")) if each}
    text = told.get("message")
    response = getattr(error, "response", None)
    headers = response.headers if response is not None else {}
    status = getattr(error, "status_code", 200)
    return _refusal(where, status, codes, text if isinstance(text, str) and text else error.message, headers)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _refusal(where: Where, status: int, codes: set[str], text: str, headers: Mapping[str, str]) -> Failed:
    meant = sorted({STATUS[code] for code in codes if code in STATUS}, key=lambda each: each != UNPAID)
    status = meant[0] if meant else status
    words = " ".join([text, *codes]).lower()
    after = retry_after(headers)
    if any(each in words for each in OVERFLOW):
        error: ModelError = ContextOverflow(
            f"The conversation does not fit the model's window: {text}.",
            fix="Start a new run, read less at a time, or serve the model with a larger context.",
        )
        return Failed(error, status=status)

    if any(each in words for each in REFUSED):
        return Failed(Refusal(f"{where.name} refuses to answer: {text}.", fix="Ask in other words."), status=status)

    again = {"true": True, "false": False}.get(headers.get("x-should-retry", ""), status in PASSING)
    waiting = after is None or after <= LONGEST
    return Failed(_by_status(where, status, text, after), again=again and waiting, after=after, status=status)


def _by_status(where: Where, status: int, text: str, after: float | None) -> ModelError:
    kind, what, fix = SAYS[503] if status in PASSING - {429} else SAYS.get(status, SAYS[500])
    wait = f"Wait {after:.0f} seconds" if after and after >= 1 else "Wait a minute"
    return kind(f"{where.name} {what}: {text.rstrip('.')}.", fix=fix.format(key=where.key, wait=wait))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to be left alone; None where it does not."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue

    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None

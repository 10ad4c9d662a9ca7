"""Methods of a policy that may be called on the class too: `Policy.allow("add")` begins with the default policy."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec

if TYPE_CHECKING:
    from journeyman.policies.policy import Policy

P = ParamSpec("P")


class Either(Generic[P]):
    """A method that starts from the default policy where it is called on the class."""

    def __init__(self, method: "Callable[Concatenate[Policy, P], Policy]") -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, policy: "Policy | None", owner: "type[Policy]") -> "Callable[P, Policy]":
        start = owner.preset("ask") if policy is None else policy
        return lambda *args, **kwargs: self._method(start, *args, **kwargs)

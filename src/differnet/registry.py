"""Registries: what there is to choose from of one kind, by name and in order."""

from __future__ import annotations

from typing import Protocol, TypeVar

from differnet.errors import SettingsError

__all__ = ["Named", "Registry"]


class Named(Protocol):
    """What a registry holds: a thing that knows its name."""

    @property
    def name(self) -> str:
        """By which users and files choose it."""
        ...


_T = TypeVar("_T", bound=Named)


class Registry(dict[str, _T]):
    """Members by name, in the order in which they were registered.

    Args:
        what: What a member is called in messages: ``format``.
        *members: Those that are there from the start.

    Raises:
        SettingsError: If two members have one name.
    """

    def __init__(self, what: str, *members: _T) -> None:
        super().__init__()
        self._what = what
        for member in members:
            self.register(member)

    def register(self, member: _T) -> None:
        """Add a member at the end, for this process.

        Raises:
            SettingsError: If there is one of its name.
        """
        if member.name in self:
            raise SettingsError(f"There is a {self._what} '{member.name}' already; choose another name.")
        self[member.name] = member

    def find(self, name: str) -> _T:
        """Look up a member.

        Raises:
            SettingsError: If there is none of that name.
        """
        if name not in self:
            raise SettingsError(f"There is no {self._what} '{name}'; choose one of {', '.join(self)}.")
        return self[name]

"""From the name of a method of localization to the method."""

from __future__ import annotations

from importlib import import_module

from differnet.errors import SettingsError
from differnet.localization.method import LocalizationMethod
from differnet.settings import LocalizationSettings
from differnet.settings.localization_methods import LOCALIZATION_METHODS

__all__ = ["build_method", "exportable_methods", "method_class"]


def method_class(name: str) -> type[LocalizationMethod]:
    """Look a method up by name.

    Raises:
        SettingsError: If there is none of that name.
    """
    if name not in LOCALIZATION_METHODS:
        raise SettingsError(f"There is no map by '{name}'; choose one of {', '.join(LOCALIZATION_METHODS)}.")
    method = LOCALIZATION_METHODS[name].method
    if isinstance(method, str):
        module, _, attribute = method.partition(":")
        method = getattr(import_module(module), attribute)
    if not issubclass(method, LocalizationMethod):
        raise TypeError(f"{method} is registered as '{name}' and is no LocalizationMethod")
    return method


def build_method(settings: LocalizationSettings, name: str | None = None) -> LocalizationMethod:
    """Make the method of settings.

    Args:
        settings: Of localization.
        name: Of another method than the settings' own.

    Raises:
        SettingsError: If there is none of that name.
    """
    return method_class(settings.method if name is None else name)(settings)


def exportable_methods() -> list[str]:
    """The names of the methods whose maps can be exported."""
    return [name for name in LOCALIZATION_METHODS if method_class(name).can_export]

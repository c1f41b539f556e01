"""Which corruptions there are, and how one is added."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import CONTROL, FAMILIES, SEVERITIES, Family
from benchc_metrics.messages import quoted
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.random_draws import Key

__all__ = [
    "CONTROLS",
    "CORRUPTIONS",
    "Category",
    "Corruption",
    "arrange",
    "corruption",
    "register",
    "unregister",
]

Category: TypeAlias = Family | Literal["control"]
Parameters = Mapping[str, Any]
Together = Callable[[Key, Picture, Sequence[Parameters]], list[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Corruption:
    """One corruption: what it is called, and how it makes pixels.

    Attributes
    ----------
    name : str
        Its name in conditions, tasks and reports.
    category : {"noise", "blur", "weather", "digital", "control"}
        The family in which the papers list it; "control" for changes that no person sees.
    function : callable
        ``function(picture, **parameters)``, or ``function(picture, draws, **parameters)`` if it is random, returns the
        corrupted pixels, uint8 (H, W, 3). It is pure: it keeps nothing, and whatever is random comes in as `draws`.
    parameters : tuple of mappings
        The arguments of `function` at severity 1, ..., 5.
    draws : callable or None
        ``draws(key, picture, **parameters)`` makes the random numbers. It names only those parameters on which they
        depend, so that conditions that share a seed share the draws; None where nothing is random.
    together : callable or None
        ``together(key, picture, parameters)`` makes several severities at once, faster than one by one: `parameters`
        is the sequence of their arguments of `function`, and the list that it returns has the pixels of each, to the
        bit those of `function` with the draws of that key. None where severities share nothing but the draws.
    """

    name: str
    category: Category
    function: Callable[..., NDArray[np.uint8]]
    parameters: tuple[Parameters, ...]
    draws: Callable[..., Any] | None = None
    together: Together | None = None

    def __post_init__(self) -> None:
        """Refuse a corruption that could not be listed or run."""
        categories = (*FAMILIES, CONTROL)
        if self.category not in categories:
            raise ValueError(
                f"Corruption {quoted(self.name)} has category {quoted(self.category)}: choose one of "
                f"{', '.join(categories)}."
            )
        if len(self.parameters) != len(SEVERITIES):
            raise ValueError(
                f"Corruption {quoted(self.name)} has parameters for {len(self.parameters)} severities: "
                f"give one set for each of the {len(SEVERITIES)}."
            )

    @property
    def is_random(self) -> bool:
        """Whether it draws random numbers, so that its pixels depend on the seed."""
        return self.draws is not None

    def draw(self, picture: Picture, severity: int, seed: int) -> Any:
        """Make the random numbers of one condition.

        Parameters
        ----------
        picture : Picture
            The clean image.
        severity : int
            1..5.
        seed : int
            Any integer.

        Returns
        -------
        object
            What `function` takes as `draws`; None if nothing is random.
        """
        if self.draws is None:
            return None
        return self.draws(Key.of(seed, self.name), picture, **self.draw_parameters(severity))

    def draw_parameters(self, severity: int) -> dict[str, Any]:
        """Return those parameters at a severity on which the random numbers depend.

        Parameters
        ----------
        severity : int
            1..5.

        Returns
        -------
        dict
            The arguments of `draws` beside the key and the picture.
        """
        wanted = _arguments(self.draws) if self.draws is not None else ()
        return {name: value for name, value in self.parameters[severity - 1].items() if name in wanted}

    def apply(self, picture: Picture, severity: int, draws: Any) -> NDArray[np.uint8]:
        """Make the corrupted pixels of one condition.

        Parameters
        ----------
        picture : Picture
            The clean image.
        severity : int
            1..5.
        draws : object
            What `draw` returned, or random numbers of another source in the same form.

        Returns
        -------
        ndarray of uint8, shape (H, W, 3)
            The corrupted image.
        """
        arguments = self.parameters[severity - 1]
        return self.function(picture, draws, **arguments) if self.is_random else self.function(picture, **arguments)

    def apply_together(self, picture: Picture, severities: Sequence[int], seed: int) -> list[NDArray[np.uint8]]:
        """Make the corrupted pixels at several severities with the same seed.

        Parameters
        ----------
        picture : Picture
            The clean image.
        severities : sequence of int
            1..5 each. Without `together`, those for which the random numbers are the same.
        seed : int
            Any integer.

        Returns
        -------
        list of ndarray of uint8, shape (H, W, 3)
            What `apply` returns, for each severity.
        """
        if self.together is None or len(severities) == 1:
            draws = self.draw(picture, severities[0], seed)
            return [self.apply(picture, severity, draws) for severity in severities]
        parameters = [self.parameters[severity - 1] for severity in severities]
        return self.together(Key.of(seed, self.name), picture, parameters)


@lru_cache(maxsize=64)
def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's arguments."""
    return tuple(inspect.signature(function).parameters)


_REGISTRY: dict[str, Corruption] = {}

CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(_REGISTRY)
"""All corruptions by name, in the order in which the papers list them; added ones follow."""

_CONTROLS: dict[str, Corruption] = {}

CONTROLS: Mapping[str, Corruption] = MappingProxyType(_CONTROLS)
"""Changes that no person sees, by name; `corrupt` makes them too, and no list of corruptions has them."""


def register(added: Corruption) -> Corruption:
    """Add a corruption to `CORRUPTIONS`, for `corrupt`, the tasks and the reports; a control to `CONTROLS`.

    Parameters
    ----------
    added : Corruption
        Its name must be new.

    Returns
    -------
    Corruption
        `added`.
    """
    if added.name in _REGISTRY or added.name in _CONTROLS:
        raise ValueError(f"There is a corruption named {quoted(added.name)} already: choose another name.")
    (_CONTROLS if added.category == "control" else _REGISTRY)[added.name] = added
    return added


def arrange(names: Sequence[str]) -> None:
    """Put the registered corruptions in an order.

    Parameters
    ----------
    names : sequence of str
        The names, each once.
    """
    arranged = {name: _REGISTRY[name] for name in names}
    _REGISTRY.clear()
    _REGISTRY.update(arranged)


def unregister(name: str) -> None:
    """Take a corruption out of `CORRUPTIONS` again.

    Parameters
    ----------
    name : str
        Its name.
    """
    del _REGISTRY[name]


Function = Callable[..., NDArray[np.uint8]]


def corruption(
    category: Category,
    *,
    draws: Callable[..., Any] | None = None,
    together: Together | None = None,
    **parameters: tuple[Any, ...],
) -> Callable[[Function], Function]:
    """Register the decorated function as the corruption of that name.

    Parameters
    ----------
    category : {"noise", "blur", "weather", "digital"}
        The family it belongs to.
    draws : callable, optional
        What makes its random numbers: ``draws(key, picture, **parameters)``.
    together : callable, optional
        What makes several severities at once: ``together(key, picture, parameters)``, see `Corruption`.
    **parameters : tuple
        Each argument of the function, with its five values from severity 1 to 5.

    Returns
    -------
    callable
        A decorator that leaves the function as it is.

    Examples
    --------
    >>> @corruption("digital", levels=(32, 16, 8, 4, 2))  # doctest: +SKIP
    ... def posterize(picture: Picture, levels: int) -> NDArray[np.uint8]:
    ...     step = 256 // levels
    ...     return picture.pixels // step * step
    """
    uneven = [name for name, values in parameters.items() if len(values) != len(SEVERITIES)]

    def decorate(function: Function) -> Function:
        if uneven:
            raise ValueError(
                f"{function.__name__}: give {quoted(uneven[0])} one value for each severity, {len(SEVERITIES)}."
            )
        by_severity = tuple(
            MappingProxyType({name: values[i] for name, values in parameters.items()}) for i in range(len(SEVERITIES))
        )
        register(Corruption(function.__name__, category, function, by_severity, draws, together))
        return function

    return decorate

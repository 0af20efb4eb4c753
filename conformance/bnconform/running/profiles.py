"""How many examples a law gets: Hypothesis profiles, chosen by `--hypothesis-profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import Phase, settings
from hypothesis.errors import InvalidArgument

if TYPE_CHECKING:  # the plugin asks here in other people's runs, which need no NumPy for it
    from bnconform_adapters.claims import Cost

# Phase.explain prints the insides of NumPy and roughly doubles the cost of a failure.
_PHASES = (Phase.explicit, Phase.generate, Phase.target, Phase.shrink)

EXAMPLES = {"quick": 12, "default": 60, "ci": 60, "thorough": 1000}
"""Examples per law of a cheap implementation."""

SHARE: dict[Cost, float] = {"cheap": 1.0, "compiles per shape": 0.7, "interpreted": 0.1}
"""What part of them costlier implementations get."""

LEAST = 5
"""Examples that a law gets whatever an implementation costs, unless a budget chooses."""

CI_SEED = 0
"""The ci profile's seed: a pipeline must not turn red by luck."""


def why_unknown(profile: str) -> str | None:
    """Why there is no such profile and what to do, or None where it is one of the suite's or was registered."""
    if profile in EXAMPLES:
        return None
    try:
        settings.get_profile(profile)
    except InvalidArgument:
        known = f"pass one of {', '.join(EXAMPLES)}, or one that your conftest.py registers"
        return f"unknown profile {profile!r}; {known}"
    return None


def examples_of(profile: str, cost: Cost) -> int | None:
    """Examples of a law of an implementation of this cost; None for a profile that the user registered."""
    return max(LEAST, round(EXAMPLES[profile] * SHARE[cost])) if profile in EXAMPLES else None


def usual_examples(share: float, least: int) -> int:
    """Examples that the default profile gives a law of this share, see :class:`bnconform.judging.law.Law`."""
    return max(least, round(EXAMPLES["default"] * share))


def settings_for(profile: str, cost: Cost, parts: int = 1, examples: int | None = None) -> settings:
    """The settings of a law's run, or of one of its parts.

    Parameters
    ----------
    profile : str
        A profile of another name is one that the user registered; it is taken as it is.
    cost : str
        That of the implementation.
    parts : int
        Runs that share the examples.
    examples : int or None
        Takes the place of the profile's number.
    """
    if profile not in EXAMPLES and examples is None:
        return settings.get_profile(profile)
    number = EXAMPLES.get(profile, 0) * SHARE[cost] if examples is None else examples
    return settings(
        max_examples=max(LEAST if examples is None else 1, round(number / parts)),
        deadline=None,
        database=None,
        phases=_PHASES,
        print_blob=False,
        report_multiple_bugs=False,
    )

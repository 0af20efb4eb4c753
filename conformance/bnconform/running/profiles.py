"""Hypothesis profiles: the number of examples of a law, chosen by `--hypothesis-profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import Phase, settings
from hypothesis.errors import InvalidArgument

if TYPE_CHECKING:  # the plugin uses this module in other people's runs, without NumPy
    from bnconform_adapters.claims import Cost

# Phase.explain prints the insides of NumPy and roughly doubles the cost of a failure.
_PHASES = (Phase.explicit, Phase.generate, Phase.target, Phase.shrink)

EXAMPLES = {"quick": 12, "default": 60, "ci": 60, "thorough": 1000}
"""Number of examples per law for a cheap implementation."""

SHARE: dict[Cost, float] = {"cheap": 1.0, "compiles per shape": 0.7, "interpreted": 0.1}
"""Share of EXAMPLES that an implementation gets, by its cost."""

LEAST = 5
"""Smallest number of examples of a law at any cost, unless a budget chooses."""

CI_SEED = 0
"""Seed of the ci profile: it is fixed, so that a pipeline never fails by luck."""


def why_unknown(profile: str) -> str | None:
    """Return why a profile is unknown and what to pass; None for a profile of the suite or a registered one."""
    if profile in EXAMPLES:
        return None
    try:
        settings.get_profile(profile)
    except InvalidArgument:
        known = f"pass one of {', '.join(EXAMPLES)}, or one that your conftest.py registers"
        return f"unknown profile {profile!r}; {known}"
    return None


def examples_of(profile: str, cost: Cost) -> int | None:
    """Return the number of examples of a law at this cost; None for a profile that the user registered."""
    return max(LEAST, round(EXAMPLES[profile] * SHARE[cost])) if profile in EXAMPLES else None


def usual_examples(share: float, least: int) -> int:
    """Return the default profile's number of examples for a law; see :class:`bnconform.judging.law.Law`."""
    return max(least, round(EXAMPLES["default"] * share))


def settings_for(profile: str, cost: Cost, parts: int = 1, examples: int | None = None) -> settings:
    """Return the Hypothesis settings of a law's run, or of one of its parts.

    Parameters
    ----------
    profile : str
        Profile of the suite, or one that the user registered, which is used unchanged.
    cost : str
        Cost of the implementation.
    parts : int
        Number of runs that share the examples.
    examples : int or None
        Number of examples; None takes the profile's.
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

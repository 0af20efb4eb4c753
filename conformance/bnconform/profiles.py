"""How many examples a law gets: Hypothesis profiles, chosen by `--hypothesis-profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import Phase, settings
from hypothesis.errors import InvalidArgument

if TYPE_CHECKING:  # the plugin asks here in other people's runs, which need no NumPy for it
    from bnconform_adapters.contract import Cost

# Phase.explain prints the insides of NumPy and roughly doubles the cost of a failure.
_PHASES = (Phase.explicit, Phase.generate, Phase.target, Phase.shrink)

EXAMPLES = {"quick": 12, "default": 60, "ci": 60, "thorough": 1000}
"""Examples per law of a cheap implementation."""

SHARE: dict[Cost, float] = {"cheap": 1.0, "compiles per shape": 0.7, "interpreted": 0.1}
"""What part of them costlier implementations get."""

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


def settings_for(profile: str, cost: Cost, parts: int = 1) -> settings:
    """The settings of a law's run, or of one of its parts.

    A profile of another name is one that the user registered; it is taken as it is.
    """
    if profile not in EXAMPLES:
        return settings.get_profile(profile)
    return settings(
        max_examples=max(5, round(EXAMPLES[profile] * SHARE[cost] / parts)),
        deadline=None,
        database=None,
        phases=_PHASES,
        print_blob=False,
        report_multiple_bugs=False,
    )

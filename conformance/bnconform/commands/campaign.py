"""`bnconform campaign`: search for hours, on many processes."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnconform.commands.arguments import SPEC, count, minutes, seconds

HELP = "search for hours, on many processes; if it is killed, the same command continues"
DESCRIPTION = "Search for hours. Pass --cases, --minutes or --until-dry: the first limit reached ends the campaign."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to judge, when to end, and where to run."""
    parser.add_argument("--adapter", action="append", default=[], metavar=SPEC, help="default: all installed")
    parser.add_argument("--requirement", action="append", default=[], metavar="ID", help="default: all")
    parser.add_argument("--cases", type=count, metavar="N", help="end after about N cases, at least one round")
    parser.add_argument("--minutes", type=minutes, metavar="M", help="end after M minutes")
    parser.add_argument("--until-dry", action="store_true", help="end when rounds find nothing new any more")
    parser.add_argument("--processes", type=count, metavar="N", help="on this machine; default: one per core")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="judge on the Dask cluster of this scheduler instead")
    parser.add_argument("--database", metavar="DIR|URL", help="example database, redis://... or github:OWNER/REPO")
    parser.add_argument("--seed", type=int, metavar="N", help="equal seeds give equal cases")
    parser.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="time for one call of a file")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder, new or of a campaign")


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Begin the campaign in the folder, or continue it."""
    from bnconform.campaign.begin import CampaignOptions, campaign
    from bnconform.campaign.loop import Budget
    from bnconform_adapters.errors import UserError

    if parsed.cases is None and parsed.minutes is None and not parsed.until_dry:
        raise UserError("the campaign needs a limit: pass --cases N, --minutes M or --until-dry")
    budget = Budget(parsed.cases, parsed.minutes and 60 * parsed.minutes, parsed.until_dry)
    given = ("adapter", "requirement", "out", "processes", "scheduler", "database", "seed", "time_limit")
    return campaign(CampaignOptions(budget=budget, **{name: getattr(parsed, name) for name in given}))

"""`bnconform campaign`: search for hours, on many processes."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnconform.commands.arguments import SPEC, count, minutes, seconds

HELP = "search for hours, on many processes; if it is killed, the same command continues"
DESCRIPTION = "Search for hours. Pass --cases, --minutes or --until-dry: whichever comes first ends it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is judged, when to end, and who judges."""
    parser.add_argument("--adapter", action="append", default=[], metavar=SPEC, help="default: all installed")
    parser.add_argument("--requirement", action="append", default=[], metavar="ID", help="default: all")
    parser.add_argument("--cases", type=count, metavar="N", help="end after about so many, and one round at least")
    parser.add_argument("--minutes", type=minutes, metavar="M", help="end after so many")
    parser.add_argument("--until-dry", action="store_true", help="end when nothing new comes up any more")
    parser.add_argument("--processes", type=count, metavar="N", help="on this machine; default: one for each core")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, which judges instead")
    parser.add_argument("--database", metavar="DIR|URL", help="example database, redis://... or github:OWNER/REPO")
    parser.add_argument("--seed", type=int, metavar="N", help="equal seeds give equal cases")
    parser.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="for one call of a file")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="its folder, new or begun")


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Begin the campaign in the folder, or continue it."""
    from bnconform.campaign.begin import CampaignOptions, campaign
    from bnconform.campaign.loop import Budget
    from bnconform_adapters.contract import UserError

    if parsed.cases is None and parsed.minutes is None and not parsed.until_dry:
        raise UserError("when is it to end? pass --cases N, --minutes M or --until-dry")
    budget = Budget(parsed.cases, parsed.minutes and 60 * parsed.minutes, parsed.until_dry)
    given = ("adapter", "requirement", "out", "processes", "scheduler", "database", "seed", "time_limit")
    return campaign(CampaignOptions(budget=budget, **{name: getattr(parsed, name) for name in given}))

"""The finding as a badge: a JSON document that shields.io's endpoint reads."""

from __future__ import annotations

import json

from bnconform_reports.headline import new
from bnconform_reports.together import Together


def badge(found: Together) -> str:
    """The document, https://shields.io/badges/endpoint-badge."""
    broken, fresh = len(found.broken), new(found.broken)
    if not found.judged:
        message, color = "not judged", "lightgrey"
    elif fresh:
        message, color = f"breaks {fresh} of {found.judged}", "red"
    elif unjudged := found.counts["not judged"]:
        message, color = f"{unjudged} not judged", "lightgrey"
    elif broken:
        message, color = f"{broken} known of {found.judged}", "yellow"
    else:
        message, color = f"{found.judged} met", "brightgreen"
    return json.dumps({"schemaVersion": 1, "label": "batch norm", "message": message, "color": color}, indent=1) + "\n"

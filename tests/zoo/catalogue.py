"""The catalogue as a page: every law with its level, source, test, and the specimens that it is there to catch.

``python tests/zoo/catalogue.py`` writes conformance/CATALOGUE.md; a test holds the page against the code, and the
zoo's own test holds every specimen against the laws named for it.
"""

from __future__ import annotations

from pathlib import Path

from hunt import specimens

from bnconform.requirements import CATALOGUE
from bnconform.running.all_laws import laws

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "conformance" / "CATALOGUE.md"
_LEVELS = {
    "core": "the definition",
    "numerics": "quality of arithmetic",
    "robust": "behaviour at the edges, side effects",
    "more": "beyond one call, one device and first derivatives",
}
_HEAD = """\
# The catalogue of requirements

<!-- Written by `python tests/zoo/catalogue.py`; do not edit. -->

Ids are stable: tests, reports and the ledger of known deviations key on them. The last column names the faulty batch
norms of the [zoo](../tests/zoo/) that the law is there for; the suite's own tests set it on each of them. Notation: n
values per channel, m the weight of the new batch, xhat = (x - mean) / sqrt(var + eps).

"""


def page() -> str:
    """The page, as the code has it now."""
    counts = {level: sum(r.level == level for r in CATALOGUE) for level in _LEVELS}
    levels = "; ".join(f"{level}: {what} ({counts[level]})" for level, what in _LEVELS.items() if counts[level])
    rows = [f"{len(CATALOGUE)} requirements. Levels: {levels}.", ""]
    rows += ["| id | the law | level | source | test | faults that it must catch |", "|---|---|---|---|---|---|"]
    for requirement in CATALOGUE:
        function = laws()[requirement.id].function
        module = function.__module__.rpartition(".")[2]
        test = f"[{function.__name__}](bnconform/laws/{module}.py)"
        statement = requirement.statement.replace("|", "\\|")
        caught = ", ".join(row.name for _, row in specimens() if requirement.id in row.laws)
        told = f"| {requirement.id} | {statement} | {requirement.level} | {requirement.source} | {test} | {caught} |"
        rows.append(told)
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())

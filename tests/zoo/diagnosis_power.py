"""How good the lines under "probably" are: right, wrong or absent, for every specimen in every form.

Run as ``python tests/zoo/diagnosis_power.py OUT.json``. A form is a way in and what is claimed there. Each specimen is
diagnosed anew in each form, in this process, as `bnconform vet` does it; with ``--witnesses`` it also gets the cases
that break the laws it is there for, which takes minutes a form. ``causes.py`` says which lines are right. For a correct
implementation every line is wrong.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import causes
from hunt import ZOO, correct_names, file_of, specimens, subject
from specimen import Specimen

from bnconform.diagnosis import diagnose
from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case, Layer
from bnconform_adapters.worker.client import WorkerAdapter

FORMS: dict[str, dict[str, Any]] = {
    "functions": {},
    "KernelBench": {
        "fixed_eps": 1e-5,
        "fixed_momentum": 0.1,
        "ranks": (4,),
        "parameters": ("both",),
        "dtypes": ("float32",),
        "layouts": ("contiguous", "channels_last"),
    },
    "KernelBench, forward only": {
        "fixed_eps": 1e-5,
        "fixed_momentum": 0.1,
        "ranks": (4,),
        "parameters": ("both",),
        "gradients": (),
        "dtypes": ("float32",),
        "layouts": ("contiguous",),
    },
    "module without momentum": {"fixed_momentum": 0.1, "parameters": ("both", "neither")},
    "module without eps": {"fixed_eps": 1e-5, "parameters": ("both", "neither")},
    "eps fixed at 1e-3, momentum at 0.01": {"fixed_eps": 1e-3, "fixed_momentum": 0.01},
    "eps and momentum not small": {"eps_min": 0.01, "momentum_min": 0.5},
    "float16": {"dtypes": ("float16",)},
    "bfloat16": {"dtypes": ("bfloat16",)},
    "all dtypes": {"dtypes": ("float32", "float64", "float16", "bfloat16")},
    "rank 2": {"ranks": (2,)},
    "rank 5": {"ranks": (5,)},
    "weight only": {"parameters": ("weight",)},
    "without weight and bias": {"parameters": ("neither",)},
    "inference only": {"modes": ("inference",), "gradients": ("inference",)},
    "training only": {"modes": ("training",), "gradients": ("training",)},
}
"""What each form claims otherwise than the specimen itself; what the specimen cannot do stays out."""
FRESH = ("blind_",)
"""Modules whose specimens are objects: they are imported anew, so that none remembers another form's calls."""
PROFILE = "quick"


@dataclass(frozen=True)
class Told:
    """What was said of a specimen in a form.

    Attributes
    ----------
    form, family, name : str
        The family is "correct" where nothing is wrong.
    named : bool
        Whether the diagnosis has a sentence for the fault, and the form claims a law that the specimen is there for.
    right, wrong : tuple of str
        Lines.
    """

    form: str
    family: str
    name: str
    named: bool
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def narrowed(claims: Claims, form: str) -> Claims:
    """What is claimed in a form: of what it lists, what the specimen claims, too."""
    changed = dict(FORMS[form])
    for field in ("modes", "gradients", "layouts"):
        if field in changed:
            changed[field] = tuple(one for one in changed[field] if one in getattr(claims, field))
    return replace(claims, **changed)


def fresh(path: Path, name: str, form: str) -> Adapter:
    """A specimen without memory, as a form."""
    for module in [module for module in sys.modules if module.startswith(FRESH)]:
        del sys.modules[module]
    adapter: Any = subject(path, name)
    adapter.claims = narrowed(adapter.claims, form)
    return adapter if isinstance(adapter, WorkerAdapter) else _Form(adapter)


class _Form:
    """A specimen that has its own eps and momentum where its form fixes them, whatever a case asks for."""

    def __init__(self, specimen: Adapter) -> None:
        self.name, self.claims = specimen.name, specimen.claims
        self._specimen = specimen

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        built = self._specimen.layer(self._fixed(case))
        return lambda step: built(self._fixed(step))

    def _fixed(self, case: Case) -> Case:
        eps, momentum = self.claims.fixed_eps, self.claims.fixed_momentum
        return replace(
            case, eps=case.eps if eps is None else eps, momentum=case.momentum if momentum is None else momentum
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._specimen, name)


def told(form: str, family: str, name: str, *, witnesses: bool = False) -> Told:
    """Diagnose one specimen in one form."""
    path = ZOO / "correct.py" if family == "correct" else file_of(family)
    adapter = fresh(path, name, form)
    try:
        cases = tuple(_witnesses(path, family, name, form)) if witnesses and family != "correct" else ()
        lines = diagnose(adapter, cases) if adapter.claims.modes else []
    finally:
        if isinstance(adapter, WorkerAdapter):
            adapter.close()
    right = tuple(line for line in lines if causes.right(name, line))
    wrong = tuple(line for line in lines if line not in right)
    return Told(form, family, name, causes.named(name) and _judged(family, name, adapter.claims), right, wrong)


def _judged(family: str, name: str, claims: Claims) -> bool:
    return any(laws()[id].source.why_not(claims) is None for id in _row(family, name).laws)


def _row(family: str, name: str) -> Specimen:
    return next(row for where, row in specimens() if (where, row.name) == (family, name))


def _witnesses(path: Path, family: str, name: str, form: str) -> Iterator[Case]:
    """Single calls that break the laws which a specimen is there for."""
    for id in _row(family, name).laws:
        law, adapter = laws()[id], fresh(path, name, form)
        if law.source.why_not(adapter.claims) is None:
            settings = settings_for(PROFILE, adapter.claims.cost)
            spec = f"{path}:{name}"
            broken = search(law, adapter, adapter.claims, tally=Tally(), settings=settings, seed=0, spec=spec)
            if broken is not None and len(broken.steps) == 1:
                yield broken.steps[0]
        if isinstance(adapter, WorkerAdapter):
            adapter.close()


def everything() -> list[tuple[str, str]]:
    """Family and name of every faulty specimen and of every correct one."""
    return [(family, row.name) for family, row in specimens()] + [("correct", name) for name in correct_names()]


def summary(found: list[Told]) -> str:
    """A table with a row for each form."""
    rows = [
        "| form | specimens | lines | wrong | with a name | of them right | wrong on correct ones |",
        "|---|---|---|---|---|---|---|",
    ]
    for form in (*dict.fromkeys(one.form for one in found), ""):
        own = [one for one in found if form in ("", one.form)]
        faulty = [one for one in own if one.family != "correct"]
        lines, wrong = sum(len(one.right) + len(one.wrong) for one in own), sum(len(one.wrong) for one in own)
        named = [one for one in faulty if one.named]
        hits, alarms = sum(bool(one.right) for one in named), sum(len(one.wrong) for one in own if one not in faulty)
        share = f"{wrong} ({wrong / max(lines, 1):.1%})"
        rows.append(f"| {form or 'all'} | {len(own)} | {lines} | {share} | {len(named)} | {hits} | {alarms} |")
    return "\n".join(rows)


def _one(asked: tuple[str, tuple[str, str]], *, witnesses: bool) -> Told:
    form, (family, name) = asked
    return told(form, family, name, witnesses=witnesses)


def main() -> None:
    """Diagnose, write what was said, and print the table and every wrong line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, metavar="OUT.json")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS), metavar="FORM")
    parser.add_argument("--every", type=int, default=1, help="only one in so many of the specimens")
    parser.add_argument("--witnesses", action="store_true", help="also give it cases that break laws")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    asked = [(form, one) for form in arguments.forms for one in everything()[:: arguments.every]]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        found = list(pool.map(partial(_one, witnesses=arguments.witnesses), asked, chunksize=8))
    arguments.path.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    for one in found:
        for line in one.wrong:
            print(f"{one.form}: {one.family} {one.name}: {line}")
    print(summary(found))


if __name__ == "__main__":
    main()

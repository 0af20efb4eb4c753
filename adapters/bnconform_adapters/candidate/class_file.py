"""Candidate files with any class whose objects are called on arrays; the file's dict LAYER names the parts.

All keys of LAYER are optional::

    build            class, or function that returns an object; default: the class that PATH.py:NAME names.
                     It gets the number of channels, if it has an argument without a default, and those of eps (or
                     epsilon), momentum (or decay), affine, bias, track_running_stats, dtype, device that it has.
    weight, bias, running_mean, running_var
                     names of the object's parts: "gamma", "bn.gamma", or "params.gamma" of a dict; None: it has none.
                     The usual names are found without it. Each part has C values, of any shape. A tuple names copies:
                     the first is read, all are written.
    shape            shape of a part that is no array before the first call, such as (1, -1, 1, 1)
    lazy             True: parts are made at the first call
    mode             "train()": methods train and eval; ".NAME": an attribute; "NAME=": an argument of forward;
                     "grad": training where gradients are recorded. With other values than True and False:
                     (".NAME", "train", "test"). The usual ones are found without it.
    forward          name of the method; default: forward, or else the call itself. It returns y, or (y, *saved).
    backward         name of the method backward(dy, *saved); it returns dx, or (dx, dweight, dbias)
    dweight, dbias   names of the parts that have the gradients after a backward method that returns only dx
    zero_grad        name of the method that clears gradients which backward adds up
    counters         values of counters in a layer that was trained before, {"step": 1000}; as a tuple, the value in a
                     new layer first, {"step": (0, 1000)}

Without a method backward, torch's autograd or jax.vjp differentiates y. ``ARRAYS`` states the kind of arrays, and
``CHANNEL_AXIS = -1`` that x has shape (N, *spatial, C).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import Arrays, arrays_of
from bnconform_adapters.candidate.module_file import CHANNELS, built
from bnconform_adapters.candidate.module_state import USUAL, always_present, with_fixed_momentum
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.candidate.tried_ranks import with_tried_ranks
from bnconform_adapters.claims import Claims, Mode
from bnconform_adapters.errors import AdapterError
from bnconform_reference.dialect import Dialect

KEYS = (
    *("build", "weight", "bias", "running_mean", "running_var", "shape", "lazy", "mode", "forward", "backward"),
    *("dweight", "dbias", "zero_grad", "counters"),
)


def class_candidate(title: str, where: str, stated: Statements) -> Candidate:
    """Return the adapter of a file with LAYER.

    Raises
    ------
    AdapterError
        The object cannot be built, a part is missing, or a statement of the file is wrong.
    """
    table = stated.mapping("LAYER")
    stated.refuse_unknown("LAYER", KEYS)
    if not callable(table.get("build", stated.tested)):
        raise AdapterError(f"LAYER in {stated.path} has no build; add 'build': the class, or pass PATH.py:CLASS")
    arrays = arrays_of(stated)
    plain_code = f"plain.candidate_class_{arrays.kind}"
    form = import_module(f"bnconform_adapters.{plain_code}")
    called = import_module("bnconform_adapters.plain.called_object")
    layer = built(lambda: form.Layer(called.trial(CHANNELS), file=stated), f"{where}: a layer of {CHANNELS} channels")
    for key in ("weight", "bias", "running_mean", "running_var"):
        if table.get(key) is not None and key not in layer.names:
            raise AdapterError(f"LAYER in {stated.path} has {key} = {table[key]!r}, but the object has no such part")
    takes = called.settings_of(called.builder(stated))[1]
    claims = _base_claims(arrays.claims, layer, takes, explicit=callable(layer.method("backward")), arrays=arrays)
    stated_claims = stated.mapping("CLAIMS")
    claims = stated.claims(claims, arrays.layouts)
    for name, found in _fixed(layer.object, takes).items():
        if f"fixed_{name}" not in stated_claims:
            claims = replace(claims, fixed_eps=found) if name == "eps" else with_fixed_momentum(claims, found)
    remarks: tuple[str, ...] = ()
    if "ranks" not in stated_claims:
        claims, remarks = with_tried_ranks(claims, partial(_called, form.Layer, stated))
    stated.refuse_contradictions(claims)
    return Candidate.of(title, claims, plain_code, stated, f"objects of {type(layer.object).__name__}", remarks)


def _called(layer: Any, stated: Statements, rank: int, mode: Mode) -> tuple[Any, Any]:
    """Call a new object on a small x of some rank; return the shapes of x and y."""
    from bnconform_adapters.plain.called_object import trial

    case = trial(CHANNELS, rank, training=mode == "training")
    return case.x.shape, layer(case, file=stated).forward(case)()["y"].shape


def _base_claims(claims: Claims, layer: Any, takes: dict[str, str], *, explicit: bool, arrays: Arrays) -> Claims:
    """Return what follows from the object: its parts, its settings and its backward method."""
    names, always = layer.names, always_present(layer.names)
    both = layer.mode()[0] and "running_mean" in names
    modes: tuple[Mode, ...] = ("training", "inference") if both else ("training",)
    gradients: tuple[Mode, ...] = ("training",)
    if not explicit and arrays.kind == "numpy":
        gradients = ()
    elif not explicit and layer.mode()[0] != "grad":
        gradients = modes
    return replace(
        claims,
        dialect=Dialect(cumulative=False),
        modes=modes,
        gradients=gradients,
        parameters=(always, "neither") if "affine" in takes and always == "both" else (always,),
        untracked="track_running_stats" in takes,
        tracked="running_mean" in names,
        parameter_gradients=not _constant(layer),
        interleaved=not explicit,
        checks_arguments=False,  # the suite sets the object's vectors itself, so no call passes wrong ones
        strided_statistics=False,
        bitwise=False,
    )


def _constant(layer: Any) -> bool:
    """Return True if weight is a buffer of a torch module, as in a frozen layer."""
    buffers = dict(layer.object.named_buffers()) if hasattr(layer.object, "named_buffers") else {}
    return layer.names.get("weight") in buffers


def _fixed(built_object: Any, takes: dict[str, str]) -> dict[str, float]:
    """Return eps and momentum of an object whose builder does not take them: its attribute, or else torch's default."""
    from bnconform_adapters.plain.called_object import SETTINGS, part_or_none

    found = {}
    for name, usual in SETTINGS.items():
        if name not in takes:
            own = [part_or_none(built_object, one) for one in usual]
            numbers = [float(one) for one in own if isinstance(one, int | float) and not isinstance(one, bool)]
            found[name] = numbers[0] if numbers else USUAL[name]
    return found

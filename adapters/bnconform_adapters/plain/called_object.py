"""Call an object of a file's class, by the names that the file's LAYER gives to its parts."""

import inspect
import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np

from bnconform_adapters.plain.called_functions import values
from bnconform_adapters.plain.channels import ChannelAxis
from bnconform_adapters.plain.kernel_file import cannot_tell, kernel_file

VECTORS = ("weight", "bias", "running_mean", "running_var")
USUAL_NAMES = {
    "weight": ("weight", "gamma", "scale"),
    "bias": ("bias", "beta", "shift", "offset"),
    "running_mean": ("running_mean", "moving_mean"),
    "running_var": ("running_var", "moving_var", "moving_variance", "running_variance"),
}
MODE_ARGUMENTS = ("training", "train", "is_training", "train_flg")
SETTINGS = {"eps": ("eps", "epsilon"), "momentum": ("momentum", "decay", "decay_rate")}
OTHERS = ("affine", "bias", "track_running_stats", "dtype", "device")


def part(owner, path):
    """Return a part of an object: "gamma", "bn.gamma", or "params.gamma" of a dict `params`."""
    for step in path.split("."):
        owner = owner[step] if isinstance(owner, dict) else getattr(owner, step)
    return owner


def part_or_none(owner, path):
    """Return a part of an object, or None if a step of the path is missing."""
    try:
        return part(owner, path)
    except (AttributeError, KeyError):
        return None


def set_part(owner, path, value):
    """Replace a part of an object."""
    *before, last = path.split(".")
    owner = part(owner, ".".join(before)) if before else owner
    if isinstance(owner, dict):
        owner[last] = value
    else:
        setattr(owner, last, value)


def paths(stated):
    """Return the parts that LAYER names for a vector: one, or a tuple of copies."""
    return stated if isinstance(stated, tuple) else (stated,)


def builder(file):
    """Return the function or class that builds the object."""
    build = file.stated("LAYER", {}).get("build", file.tested)
    if not callable(build):
        cannot_tell("LAYER has no build: a class, or a function that returns an object of it")
    return build


def settings_of(build):
    """Return what a builder takes: whether the channels, and its own names of eps, momentum and other settings."""
    parameters = inspect.signature(build).parameters
    names = {name: own for name, usual in SETTINGS.items() for own in usual if own in parameters}
    names |= {name: name for name in OTHERS if name in parameters}
    if "bias" in names and not isinstance(parameters["bias"].default, bool):
        del names["bias"]
    others = [one for name, one in parameters.items() if name not in names.values()]
    return any(one.kind is not one.VAR_KEYWORD and one.default is one.empty for one in others), names


class ObjectLayer(ChannelAxis):
    """An object that keeps parameters and statistics. A subclass defines the kind of arrays."""

    def settings(self, case):
        """Return a context in which these arrays are created and used."""
        return nullcontext()

    def __init__(self, case, file=None):
        self.file = file or kernel_file()
        self.table = self.file.stated("LAYER", {})
        with self.settings(case):
            self.object = self.built(case)
            self.names = self.own_names()
            if len(self.names) < len(VECTORS) and self.table.get("lazy"):
                self.call(self.placed_outward(case.x, "contiguous"), case)
                self.names = self.own_names()
            self.load(case)

    def restart(self, case):
        with self.settings(case):
            self.load(case)

    def built(self, case):
        """Build the object, with the settings that its builder takes."""
        build = builder(self.file)
        channels, names = settings_of(build)
        given = {
            "eps": case.eps,
            "momentum": self.file.momentum_of(case),
            "affine": case.weight is not None or case.bias is not None,
            "bias": case.bias is not None,
            "track_running_stats": case.running_mean is not None,
        }
        given |= self.own_settings(case)
        arguments = {own: given[name] for name, own in names.items() if name in given}
        return self.prepared(build(*([case.x.shape[1]] if channels else []), **arguments), case)

    def own_settings(self, case):
        """Return more settings, such as a dtype, by the names that builders use."""
        return {}

    def prepared(self, built, case):
        """Return the object, moved to the dtype and device of the case."""
        return built

    def own_names(self):
        """Return the object's own names of weight, bias and statistics; what it does not have is left out."""
        found: dict[str, str] = {}
        for name in VECTORS:
            usual = paths(self.table[name]) if name in self.table else USUAL_NAMES[name]
            own = [path for path in usual if path is not None and part_or_none(self.object, path) is not None]
            found |= {name: own[0]} if own else {}
        return found

    def load(self, case):
        """Give the object the case's parameters and statistics, and set its counters."""
        for name, path in self.names.items():
            if (array := getattr(case, name)) is not None:
                for one in paths(self.table.get(name, path)):
                    self.put(one, array)
        for path, value in self.table.get("counters", {}).items():
            new, trained = value if isinstance(value, tuple) else (value, value)
            set_part(self.object, path, new if case.before == "reset" else trained)

    def put(self, path, array):
        """Replace a vector, in the shape in which the object has it."""
        old = part(self.object, path)
        shape = np.shape(old) if np.size(old) == array.size else self.table.get("shape", (-1,))
        set_part(self.object, path, self.placed(array.reshape(shape), "contiguous"))

    def own(self, name):
        """Return the object's vector, in its own shape; None if it has none."""
        return part_or_none(self.object, self.names[name]) if name in self.names else None

    def mode(self):
        """Return how the mode is chosen, and its values in training and in inference."""
        stated = self.table.get("mode")
        if isinstance(stated, (tuple, list)):
            return stated
        if stated is None:
            arguments = inspect.signature(self.method("forward")).parameters
            keyword = [f"{name}=" for name in MODE_ARGUMENTS if name in arguments]
            attribute = [f".{name}" for name in MODE_ARGUMENTS if isinstance(part_or_none(self.object, name), bool)]
            switches = callable(getattr(self.object, "train", None)) and callable(getattr(self.object, "eval", None))
            stated = next(iter([*keyword, *(["train()"] if switches else []), *attribute]), "")
        return stated, True, False

    def method(self, name):
        """Return the object's method for a pass: LAYER's name of it, or `name`, or the call itself."""
        found = getattr(self.object, self.table.get(name, name), None)
        return self.object if found is None and name == "forward" else found

    def call(self, x, case):
        """Run the forward pass; return y and what it returned beside y, for the backward pass."""
        how, training, inference = self.mode()
        value, keywords = training if case.training else inference, {}
        if how.endswith("="):
            keywords = {how[:-1]: value}
        elif how.startswith("."):
            set_part(self.object, how[1:], value)
        elif how.endswith("()"):
            getattr(self.object, "train" if case.training else "eval")()
        with self.recording(case) if how == "grad" else nullcontext():
            found = self.method("forward")(x, **keywords)
        return (found[0], found[1:]) if isinstance(found, tuple) else (found, ())

    def recording(self, case):
        """Return a context in which gradients are recorded in training only."""
        return nullcontext()

    def begin(self, case, x):
        """Run the forward pass; return y, and a function from dy to dx, dweight and dbias by their names."""
        y, saved = self.call(x, case)
        return y, lambda dy: self.by_method(dy, saved)

    def by_method(self, dy, saved):
        """Call the object's backward method; it returns all gradients, or LAYER names the parts that have them."""
        if zero_grad := self.table.get("zero_grad"):
            getattr(self.object, zero_grad)()
        found = self.method("backward")(dy, *saved)
        if isinstance(found, (tuple, list)):
            names = ("dx", *(f"d{name}" for name in ("weight", "bias") if name in self.names))
            return dict(zip(names, values(found, names, "backward"), strict=True))
        own = {f"d{name}": self.table.get(f"d{name}") for name in ("weight", "bias") if name in self.names}
        return {"dx": found} | {name: part(self.object, path) for name, path in own.items() if path is not None}

    def forward(self, case):
        with self.settings(case):
            x = self.placed_outward(case.x, case.layout)
            y, backward = self.begin(case, x)
            results = {"y": self.inward(self.copied(y, "y"))}
            results |= {name: self.vector(self.own(name), name) for name in ("running_mean", "running_var")}

        def finish():
            with self.settings(case):
                return results | self.rest(case, x, y, backward)

        return finish

    def rest(self, case, x, y, backward):
        """Run the backward pass, and look at what the call left."""
        outputs, inputs = {"y": y}, {"x": x, "weight": self.own("weight"), "bias": self.own("bias")}
        if case.dy is not None:
            inputs["dy"] = self.placed_outward(case.dy, case.dy_layout)
            outputs |= backward(inputs["dy"])
        found = {name: self.vector(outputs.get(name), name) for name in ("dweight", "dbias")}
        found["dx"] = self.inward(self.copied(outputs.get("dx"), "dx"))
        given = {name: one for name, one in inputs.items() if one is not None}
        after = {
            f"{name} after": self.inward(self.copied(one, name)) if name in ("x", "dy") else self.vector(one, name)
            for name, one in given.items()
        }
        pairs = self.shared({name: one for name, one in outputs.items() if one is not None}, given)
        around = [name for name in ("x", "dy") if name in given and self.overrun(given[name])]
        return found | after | {"shares": pairs, "overrun": around}

    def vector(self, found, name):
        """Copy a vector of the object as a NumPy array of shape (C,); None stays None."""
        copied = self.copied(found, name)
        return None if copied is None else copied.reshape(-1)


def trial(channels, rank=2, **changes):
    """Return a small case, to build an object and look at it."""
    shape = (4, channels, *[2] * (rank - 2))
    case = {"x": np.linspace(-1, 2, math.prod(shape), dtype=np.float32).reshape(shape), "before": "nothing"}
    ones = np.ones(channels, np.float32)
    case |= {"dy": None, "weight": ones, "bias": ones, "running_mean": ones, "running_var": ones}
    case |= {"training": True, "momentum": 0.25, "eps": 1e-3, "layout": "contiguous", "dy_layout": "contiguous"}
    return SimpleNamespace(**(case | {"wanted": "dx dweight dbias", "read_only": False} | changes))

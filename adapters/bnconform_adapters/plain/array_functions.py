"""A layer around a function on NumPy arrays; the layer stores parameters and statistics between calls."""

from bnconform_adapters.plain.calling import overrun, place, shared


class ArrayLayer:
    """A layer whose subclass has `call(given, training)`, which returns y, and in training the new statistics too."""

    def __init__(self, case):
        self.first = case
        names = ("weight", "bias", "running_mean", "running_var")
        self.stored = {name: array.copy() for name in names if (array := getattr(case, name)) is not None}

    def forward(self, case):
        given = {"x": place(case.x, case.layout)} | {name: place(array) for name, array in self.stored.items()}
        if case.read_only:
            for array in given.values():
                array.flags.writeable = False
        y, *moved = self.call(given, case.training)
        if case.training:
            self.stored["running_mean"], self.stored["running_var"] = (array.copy() for array in moved)
        results = {"y": y} | {name: self.stored[name].copy() for name in ("running_mean", "running_var")}
        results |= {f"{name} after": given[name].copy() for name in ("x", "weight", "bias") if name in given}
        results["shares"] = shared({"y": y}, given)
        results["overrun"] = [name for name, array in given.items() if overrun(array)]
        return lambda: results

"""Functions on NumPy arrays: a layer that keeps parameters and statistics for them."""

from bnconform_adapters.plain.calling import overrun, place, shared


class ArrayLayer:
    """Has a method `call(given, training)`, which returns y, and in training the new statistics."""

    def __init__(self, case):
        self.first = case
        names = ("weight", "bias", "running_mean", "running_var")
        self.kept = {name: array.copy() for name in names if (array := getattr(case, name)) is not None}

    def forward(self, case):
        given = {"x": place(case.x, case.layout)} | {name: place(array) for name, array in self.kept.items()}
        if case.read_only:
            for array in given.values():
                array.flags.writeable = False
        y, *moved = self.call(given, case.training)
        if case.training:
            self.kept["running_mean"], self.kept["running_var"] = (array.copy() for array in moved)
        results = {"y": y} | {name: self.kept[name].copy() for name in ("running_mean", "running_var")}
        results |= {f"{name} after": given[name].copy() for name in ("x", "weight", "bias") if name in given}
        results["shares"] = shared({"y": y}, given)
        results["overrun"] = [name for name, array in given.items() if overrun(array)]
        return lambda: results

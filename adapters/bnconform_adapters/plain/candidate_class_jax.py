"""A class in a file whose objects take JAX arrays."""

import jax

from bnconform_adapters.plain.arrays_jax import JaxArrays
from bnconform_adapters.plain.called_object import ObjectLayer, set_part


class Layer(JaxArrays, ObjectLayer):
    """An object that keeps JAX arrays; without a backward method, jax.vjp differentiates it."""

    def begin(self, case, x):
        if callable(self.method("backward")) or case.dy is None:
            return super().begin(case, x)
        names = ("running_mean", "running_var")
        sources = {"dx": x} | {f"d{name}": self.own(name) for name in ("weight", "bias") if name in self.names}

        def function(given):
            for name, one in given.items():
                if name != "dx":
                    set_part(self.object, self.names[name[1:]], one)
            y, _ = self.call(given["dx"], case)
            return y, {name: self.own(name) for name in names if name in self.names}

        y, pullback, statistics = jax.vjp(function, sources, has_aux=True)
        for name, one in (sources | statistics).items():
            if name != "dx":
                set_part(self.object, self.names[name if name in names else name[1:]], one)
        return y, lambda dy: pullback(dy)[0]

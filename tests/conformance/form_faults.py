"""Faulty variations of every form, each one edit of the form's starter: a table that several tests go through."""

from __future__ import annotations

from dataclasses import dataclass

from suite_runs import replaced, starter


@dataclass(frozen=True)
class Fault:
    """A fault as one edit of a form's starter, the law that must tell of it, and some that must not."""

    form: str
    name: str
    edit: tuple[str, str]
    told_by: str
    silent: tuple[str, ...]
    told: str = ""
    """Part of what the finding says."""

    @property
    def text(self) -> str:
        """The faulty file."""
        text = replaced(starter(self.form), [self.edit])
        return text.replace("import jax\n", "from functools import partial\n\nimport jax\n", 1)

    @property
    def framework(self) -> str:
        """What it needs."""
        return "jax" if self.form == "jax" else "torch"


NORMALIZED = "    xhat = (widened(x) - column(running_mean, x)) * column(invstd, x)\n    return scaled"
SCALED = "    return (y if bias is None else y + column(bias, x)).to(x.dtype)"
LERP = "self.running_mean.lerp_(mean, momentum)"
TORCH = (
    ("biased_stored_variance", (" * (n / (n - 1))", ""), "S2", ("F1", "I1")),
    ("statistics_written_in_inference", (NORMALIZED, "    running_mean.mul_(0.9)\n" + NORMALIZED), "S5", ("F1", "S1")),
    ("dx_without_mean_of_dy", (" - column(dbias / n, dy)", ""), "G1", ("F1", "G2", "G3")),
    ("overwritten_x", ("centred = wide - column(mean, x)", "centred = wide.sub_(column(mean, x))"), "P1", ("F1",)),
    ("y_is_never_half", (SCALED, SCALED.removesuffix(".to(x.dtype)")), "F5", ("F1",), "is f32"),
    (
        "gradients_share_storage",
        ("    return scaled(dx, weight, None, dy), dweight, dbias", "    return dx, *torch.stack([dweight, dbias])"),
        "P4",
        ("F1", "G3"),
    ),
    (
        "write_before_x",
        ("    wide = widened(x)\n", "    torch.as_strided(x, (1,), (1,), 0).zero_()\n    wide = widened(x)\n"),
        "P5",
        ("F1", "S1"),
    ),
    (
        "y_as_numpy_array",
        (SCALED, f"{SCALED}.numpy()"),
        "F1",
        (),
        "TypeError: returned a numpy.ndarray where the contract asks for a torch.Tensor, as y",
    ),
    (
        "three_values",
        ("    return scaled(xhat, weight, bias, x), new_mean, new_var,", "    return scaled(xhat, weight, bias, x),"),
        "F1",
        (),
        "forward_training returned 2 values; the contract asks for y, running_mean, running_var, saved",
    ),
)
JAX = (
    ("biased_stored_variance", ("variance * (n / (n - 1))", "variance"), "S2", ("F1", "I1")),
    ("dx_without_mean_of_dy", (" - column(dbias / n, dy)", ""), "G1", ("F1", "G3")),
    (
        "donated_x",
        ("@jax.jit\ndef normalize_by_batch", "@partial(jax.jit, donate_argnums=0)\ndef normalize_by_batch"),
        "P1",
        (),
        "deleted",
    ),
    ("wrong_tangent", ("    return jax.jvp(y, *present)[1]", "    return 2 * jax.jvp(y, *present)[1]"), "G11", ("F1",)),
    ("y_is_never_half", (".astype(x.dtype)", ""), "F5", ("F1",), "is f32"),
    (
        "y_as_numpy_array",
        ("    return y, new_mean, new_var,", "    return __import__('numpy').asarray(y), new_mean, new_var,"),
        "F1",
        ("I1",),
        "TypeError: returned a numpy.ndarray where the contract asks for a jax.Array, as y",
    ),
)
MODULE = (
    ("biased_stored_variance", (" * (n / (n - 1))", ""), "S2", ("F1", "I1")),
    (
        "statistics_written_in_inference",
        (
            "        return self.normalized(x, self.running_mean",
            "        self.running_mean.mul_(0.9)\n        return self.normalized(x, self.running_mean",
        ),
        "S5",
        ("F1", "S1"),
    ),
    (
        "variance_taken_as_constant",
        (
            "        return self.normalized(x, mean, variance)",
            "        return self.normalized(x, mean, variance.detach())",
        ),
        "G1",
        ("F1", "G2", "G3"),
    ),
    (
        "overwritten_x",
        (
            "        return self.normalized(x, mean, variance)",
            "        y = self.normalized(x, mean, variance)\n        x.data.zero_()\n        return y",
        ),
        "P1",
        ("F1", "S1"),
    ),
    ("eps_outside_the_root", ("torch.sqrt(variance + self.eps)", "(torch.sqrt(variance) + self.eps)"), "F3", ("S1",)),
    (
        "y_is_double",
        ("return xhat * self.column(self.weight, xhat)", "return xhat.double() * self.column(self.weight, xhat)"),
        "F5",
        ("F1",),
        "is f64",
    ),
    ("ignored_momentum", (LERP, "self.running_mean.lerp_(mean, 0.1)"), "S1", ("F1", "G1")),
    (
        "always_tracks",
        (
            'if track_running_stats else None)\n        self.register_buffer("running_var"',
            ')\n        self.register_buffer("running_var"',
        ),
        "S6",
        ("F1", "S1"),
    ),
    (
        "second_order_is_cut",
        ("invstd = 1 / torch.sqrt(variance + self.eps)", "invstd = (1 / torch.sqrt(variance + self.eps)).detach()"),
        "G10",
        ("F1",),
    ),
)
KERNELBENCH = (
    (
        "y_in_a_tuple",
        ("        return self.bn(x)", "        return self.bn(x), x"),
        "F1",
        (),
        "TypeError: returned a tuple where the contract asks for a torch.Tensor, as y",
    ),
    ("biased_stored_variance", (" * (n / (n - 1))", ""), "S2", ("F1", "I1")),
    (
        "statistics_written_in_inference",
        ("        if not self.training:\n", "        if not self.training:\n            self.running_var.add_(1)\n"),
        "S5",
        ("F1",),
    ),
    ("another_eps", ("torch.sqrt(variance + self.eps)", "torch.sqrt(variance + 2 * self.eps)"), "F3", ("S1",)),
    (
        "takes_any_channels",
        (" or x.shape[1] != len(self.running_mean)", ""),
        "E1",
        ("F1", "S1"),
        "returned for x of one channel more than the parameters",
    ),
)
FAULTS = tuple(
    Fault(form, *fault)
    for form, faults in (("torch", TORCH), ("jax", JAX), ("module", MODULE), ("kernelbench", KERNELBENCH))
    for fault in faults
)

"""Second-order gradients and forward mode in small steps, for :class:`batch_norm_steps.BatchNormSteps`.

v, vw and vb are ddx, ddweight and ddbias, or tangents of x, weight and bias.
"""

from __future__ import annotations

from rows_and_columns import Array, Column, Rows, Saved, column


class SecondOrderSteps:
    """What the steps of a batch norm do twice over; the steps themselves come from elsewhere."""

    def double_backward(
        self, ddx: Array, ddweight: Array | None, ddbias: Array | None, dy: Array, saved: Saved
    ) -> tuple[Array, Array, Array]:
        """Gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x and weight."""
        self.check_gradient(dy, saved.x)
        v, gradient, rows = self.read(ddx), self.read_gradient(dy), self.read(saved.x)
        xhat, weight = self.saved_xhat(rows, saved), column(saved.weight, rows, 1.0)
        vw, vb = column(ddweight, rows, 0.0), column(ddbias, rows, 0.0)
        ddy = self.ddy(v, vw, vb, xhat, weight, saved.invstd)
        dx = self.second_dx(v, vw, gradient, xhat, weight, saved.invstd)
        dweight = self.second_dweight(v, gradient, xhat, saved.invstd)
        return self.write(ddy, dy), self.write(dx, saved.x), dweight.ravel()

    def jvp(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        x_tangent: Array,
        weight_tangent: Array | None,
        bias_tangent: Array | None,
        *,
        eps: float,
    ) -> Array:
        """The tangent of forward_training's y."""
        self.check_call(x, eps, weight=weight, bias=bias)
        rows = self.read(x)
        mean, variance = self.statistics(rows, x, None, None, 1.0)
        invstd = self.invstd(variance, eps)
        xhat, scale = self.normalize(rows, mean, invstd), column(weight, rows, 1.0)
        vw, vb = column(weight_tangent, rows, 0.0), column(bias_tangent, rows, 0.0)
        return self.write(self.y_tangent(self.read(x_tangent), vw, vb, xhat, scale, invstd), x)

    def mean(self, rows: Rows) -> Column:
        """Mean over each channel."""
        return self.sum(rows) / rows.shape[1]

    def centred(self, rows: Rows) -> Rows:
        """Rows less their mean."""
        return rows - self.mean(rows)

    def ddy(self, *arguments: Rows) -> Rows:
        """What dy is contracted with in the end."""
        return self.tangent(*arguments)

    def y_tangent(self, *arguments: Rows) -> Rows:
        """The same, asked for by forward mode."""
        return self.tangent(*arguments)

    def tangent(self, v: Rows, vw: Column, vb: Column, xhat: Rows, weight: Column, invstd: Column) -> Rows:
        """Weight * invstd * (v - mean(v) - xhat * mean(v * xhat)) + vw * xhat + vb."""
        projected = self.centred(v) - xhat * self.mean(v * xhat)
        return weight * invstd * projected + vw * xhat + vb

    def second_dx(self, v: Rows, vw: Column, dy: Rows, xhat: Rows, weight: Column, invstd: Column) -> Rows:
        """By xhat and by invstd: -weight * invstd^2 * (b cv + a cdy + xhat (c - 3 a b)) + vw * dx / weight."""
        a, b, c = self.mean(v * xhat), self.mean(dy * xhat), self.mean(self.centred(v) * dy)
        through_statistics = b * self.centred(v) + a * self.centred(dy) + xhat * (c - 3 * a * b)
        return -weight * invstd**2 * through_statistics + vw * invstd * (self.centred(dy) - xhat * b)

    def second_dweight(self, v: Rows, dy: Rows, xhat: Rows, invstd: Column) -> Column:
        """Sum of v * dx / weight."""
        return invstd * self.sum(v * (self.centred(dy) - xhat * self.mean(dy * xhat)))

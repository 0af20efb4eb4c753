"""A module whose kernels are torch.library custom operators, beside a class of another kind."""

import torch


def column(vector, x):
    return vector.reshape(1, -1, *[1] * (x.ndim - 2))


@torch.library.custom_op("bnconform_tests::normalize", mutates_args=())
def normalize(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    variance, mean = torch.var_mean(x, (0, *range(2, x.ndim)), correction=0)
    xhat = (x - column(mean, x)) / torch.sqrt(column(variance, x) + eps)
    return xhat * column(weight, x) + column(bias, x), mean, variance


@torch.library.custom_op("bnconform_tests::gradients", mutates_args=())
def gradients(
    dy: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    axes = (0, *range(2, x.ndim))
    n = x.numel() // x.shape[1]
    invstd = 1 / torch.sqrt(variance + eps)
    xhat = (x - column(mean, x)) * column(invstd, x)
    dbias, dweight = dy.sum(axes), (dy * xhat).sum(axes)
    dx = (dy - column(dbias / n, dy) - xhat * column(dweight / n, dy)) * column(weight * invstd, dy)
    return dx, dweight, dbias


def keep(ctx, inputs, output):
    x, weight, _, ctx.eps = inputs
    ctx.save_for_backward(x, weight, *output[1:])


def differentiate(ctx, dy, dmean, dvariance):
    return (*gradients(dy, *ctx.saved_tensors, ctx.eps), None)


normalize.register_autograd(differentiate, setup_context=keep)


class Shift(torch.nn.Module):
    """What a file of kernels may hold besides."""

    def __init__(self, amount):
        super().__init__()
        self.amount = amount


class OperatorNorm2d(torch.nn.BatchNorm2d):
    def forward(self, x):
        self._check_input_dim(x)
        n = x.numel() // x.shape[1]
        if not self.training or n < 2:
            return super().forward(x)
        y, mean, variance = normalize(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
        return y


CLAIMS = {"parameters": ["both"]}

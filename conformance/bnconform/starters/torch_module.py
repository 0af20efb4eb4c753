"""A batch norm as a torch.nn.Module. It passes as it is: replace what BatchNorm calls by your own kernel.

The class stands in for torch.nn.BatchNorm1d, 2d and 3d. Its constructor is called with those of their arguments that it
names; what you leave out is not asked for. Parameters and buffers have their names, or say others in a dict:
STATE = {"weight": "gamma"}. Parameters and statistics are float32 beside half types of x.

The gradients are those of autograd: through torch's own operations as here, a torch.autograd.Function, or a
torch.library.custom_op with register_autograd.
"""

import torch

DEVICE = "cpu"  # or "cuda"

# The claims of your module. Defaults: PyTorch's documented behaviour, float32, the ranks that it takes, grade NW.
# torch's operations have second-order gradients and forward mode; your own kernel may not have them.
CLAIMS = {
    "dtypes": ["float32", "float64"],
    "second_order": ["training", "inference"],
    "forward_mode": ["training", "inference"],
}


class BatchNorm(torch.nn.Module):
    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None
    ):
        super().__init__()
        if eps < 0:
            raise ValueError(f"eps is {eps}; pass 0 or more")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        kind = {"device": device, "dtype": dtype}
        self.weight = torch.nn.Parameter(torch.ones(num_features, **kind)) if affine else None
        self.bias = torch.nn.Parameter(torch.zeros(num_features, **kind)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features, **kind) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones(num_features, **kind) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0, device=device) if track_running_stats else None)

    def reset_running_stats(self):
        if self.running_mean is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def forward(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"x has shape {tuple(x.shape)}; pass (N, {self.num_features}, *spatial)")
        if self.training or self.running_mean is None:
            return self.by_batch(x)
        return self.normalized(x, self.running_mean, self.running_var)

    def by_batch(self, x):
        axes = (0, *range(2, x.ndim))
        n = x.numel() // x.shape[1] if x.shape[1] else 2  # without channels there is nothing to refuse
        if n == 1:
            raise ValueError("training needs more than one value per channel")
        if n == 0:  # the parameters have a part in y, so that their gradients are zeros
            return self.scaled(x)
        mean = x.mean(axes)
        variance = (x - self.column(mean, x)).square().mean(axes)
        if self.training and self.running_mean is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                # momentum None is the average of all batches
                momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (n / (n - 1)), momentum)
        return self.normalized(x, mean, variance)

    def normalized(self, x, mean, variance):
        invstd = 1 / torch.sqrt(variance + self.eps)
        return self.scaled((x - self.column(mean, x)) * self.column(invstd, x))

    def scaled(self, xhat):
        if self.weight is None:
            return xhat.clone()
        return xhat * self.column(self.weight, xhat) + self.column(self.bias, xhat)

    @staticmethod
    def column(vector, x):
        """Shape a per-channel vector so that it broadcasts against x."""
        return vector.reshape(1, -1, *[1] * (x.ndim - 2))

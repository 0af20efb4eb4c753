"""A class of a lecture on torch tensors, without Module. It normalizes by the variance with divisor n - 1."""

import torch


class BatchNorm1d:
    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        if self.training:
            xmean, xvar = x.mean(0, keepdim=True), x.var(0, keepdim=True)
        else:
            xmean, xvar = self.running_mean, self.running_var
        self.out = self.gamma * (x - xmean) / torch.sqrt(xvar + self.eps) + self.beta
        if self.training:
            with torch.no_grad():
                self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * xmean[0]
                self.running_var = (1 - self.momentum) * self.running_var + self.momentum * xvar[0]
        return self.out


# For bnconform:
ARRAYS = "torch"
LAYER = {"build": BatchNorm1d}
CLAIMS = {"ranks": [2], "empty_batches": False}

"""Candidate files: Python files with other people's batch norms. A file need not import this project.

A file has one of four forms: functions (:mod:`~bnconform_adapters.candidate.functions`), any class with a table of its
parts (:mod:`~bnconform_adapters.candidate.class_file`), a class that replaces
torch.nn.BatchNorm (:mod:`~bnconform_adapters.candidate.module_file`), or a task of KernelBench
(:mod:`~bnconform_adapters.candidate.kernelbench_file`). The file may define these names:

``CLAIMS``
    A dict of the claims that differ from the default ones.
``ARRAYS``
    Kind of arrays that the functions take and return: "numpy" (the default), "torch" or "jax".
``DEVICE``
    Device of the calls: a torch device such as "cuda", or a JAX platform such as "gpu". The default is "cpu", and for
    KernelBench's form "cuda" if one is present.
``CHANNEL_AXIS``
    -1 if functions or a class with LAYER take x of shape (N, *spatial, C). The default is 1.
``LAYER``
    The parts of any class, see :mod:`~bnconform_adapters.candidate.class_file`.
``STATE``
    A dict from weight, bias, running_mean and running_var to a module's own names of them.
"""

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.load import load_candidate

__all__ = ["Candidate", "load_candidate"]

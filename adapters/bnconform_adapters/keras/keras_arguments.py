"""Arguments of BatchNormalization, which are the same in Keras 2 and 3."""


def policy_of(dtype):
    """Return Keras' policy for a dtype of x: half types compute in half, with variables in float32."""
    return f"mixed_{dtype}" if dtype.itemsize == 2 else dtype.name


def arguments_of(case):
    """Return the arguments for a case; momentum weighs the new batch in a case, the old statistics in Keras."""
    return {
        "momentum": 1 - case.momentum,
        "epsilon": case.eps,
        "center": case.bias is not None,
        "scale": case.weight is not None,
        "dtype": policy_of(case.x.dtype),
    }

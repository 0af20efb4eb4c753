"""As plain_layers, for runtimes of exchanged models and for frameworks that need a process of their own."""

from __future__ import annotations

import inspect
import io
from typing import Any

import numpy as np
from plain_step import Plain, Step, quietly

NAMES = ("scale", "B", "mean", "var")
EPS = 1e-5


def vectors(x: np.ndarray, parameters: str) -> list[np.ndarray | None]:
    """Initial weight, bias, running mean and running variance; None for a parameter that is absent."""
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    weight, bias, mean, var = (np.full(x.shape[1], value, dtype) for value in (1, 0, 0, 1))
    return [
        weight if parameters in ("both", "weight") else None,
        bias if parameters in ("both", "bias") else None,
        mean,
        var,
    ]


def short(value: float) -> float:
    """The decimal that a float32 was written as."""
    return float(str(np.float32(value)))


def onnx_model(
    opset: int, x: np.ndarray, given: list[np.ndarray | None], momentum: float | None, training: bool
) -> Any:
    """A checked model of one node, with an empty name for an input that is absent."""
    import onnx
    from onnx import helper

    def value(name: str, array: np.ndarray) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, kind, [None] * array.ndim)

    present = [(name, array) for name, array in zip(NAMES, given, strict=True) if array is not None]
    inputs = ["X", *(name if array is not None else "" for name, array in zip(NAMES, given, strict=True))]
    attributes = {} if momentum is None else {"momentum": momentum}
    mode = {"training_mode": 1} if training else {}
    outputs = ["Y", "new_mean", "new_var"] if training else ["Y"]
    node = helper.make_node("BatchNormalization", inputs, outputs, epsilon=EPS, **attributes, **mode)
    results = [value("Y", x), *(value(name, given[3]) for name in outputs[1:])]
    graph = helper.make_graph([node], "g", [value("X", x), *(value(*pair) for pair in present)], results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model, {"X": x} | dict(present)


def onnx_defaults(opset: int) -> Any:
    def defaults() -> tuple[float, float]:
        import onnx

        attributes = onnx.defs.get_schema("BatchNormalization", opset).attributes
        return short(attributes["epsilon"].default_value.f), short(attributes["momentum"].default_value.f)

    return defaults


def reference_step(opset: int) -> Any:
    def step(x: np.ndarray, momentum: float | None, parameters: str = "both") -> Step:
        from onnx.reference import ReferenceEvaluator

        model, feeds = onnx_model(opset, x, vectors(x, parameters), momentum, True)
        return Step(*ReferenceEvaluator(model).run(None, feeds))

    return step


def reference_inference(x: np.ndarray, parameters: str = "both") -> np.ndarray:
    from onnx.reference import ReferenceEvaluator

    model, feeds = onnx_model(9, x, vectors(x, parameters), None, False)
    return ReferenceEvaluator(model).run(None, feeds)[0]


def runtime_step(x: np.ndarray, momentum: float | None, parameters: str = "both") -> Step:
    import onnxruntime

    model, feeds = onnx_model(15, x, vectors(x, parameters), momentum, True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return Step(*session.run(None, feeds))


def torch_defaults() -> tuple[float, float]:
    import torch

    layer = torch.nn.BatchNorm1d(2)
    return layer.eps, layer.momentum


def exported_inference(x: np.ndarray, parameters: str = "both") -> np.ndarray:
    import onnxruntime
    import torch

    affine = {"both": True, "neither": False}[parameters]
    dtype = torch.float64 if x.dtype == np.float64 else torch.float32
    layer, model = torch.nn.BatchNorm1d(x.shape[1], affine=affine, dtype=dtype).eval(), io.BytesIO()
    example = torch.zeros(x.shape, dtype=getattr(torch, x.dtype.name))
    torch.onnx.export(layer, (example,), model, dynamo=False, opset_version=17, input_names=["x"])
    session = onnxruntime.InferenceSession(model.getvalue(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def openvino_inference(x: np.ndarray, parameters: str = "both") -> np.ndarray:
    import openvino
    import openvino.opset5 as operators

    arrays = [x, *vectors(x, parameters)]
    inputs = [operators.parameter(list(array.shape), array.dtype) for array in arrays]
    y = operators.batch_norm_inference(*inputs, epsilon=EPS)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(openvino.Model([y], inputs), "CPU", settings)
    return compiled.create_infer_request().infer(arrays)[0]


def paddle_defaults() -> tuple[float, float]:
    import paddle

    parameters = inspect.signature(paddle.nn.BatchNorm1D.__init__).parameters
    return parameters["epsilon"].default, parameters["momentum"].default


def paddle_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import paddle

    paddle.set_default_dtype("float64" if x.dtype == np.float64 else "float32")
    present = {name: None if parameters in ("both", name) else False for name in ("weight", "bias")}
    layer = paddle.nn.BatchNorm1D(
        x.shape[1], momentum=momentum, weight_attr=present["weight"], bias_attr=present["bias"]
    )
    y = layer(paddle.to_tensor(x.astype(np.float64)).astype(x.dtype.name))
    return Step(y.numpy(), layer._mean.numpy(), layer._variance.numpy())


def mlx_defaults() -> tuple[float, float]:
    from mlx import nn

    layer = nn.BatchNorm(2)
    return layer.eps, layer.momentum


def mlx_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import mlx.core as mx
    from mlx import nn

    layer = nn.BatchNorm(x.shape[1], momentum=momentum, affine={"both": True, "neither": False}[parameters])
    given = mx.array(x.astype(np.float64), dtype=mx.float64) if x.size else mx.zeros(x.shape)
    y = layer(given.astype(getattr(mx, x.dtype.name)))
    return Step(*map(np.array, (y, layer.running_mean, layer.running_var)))


def relax_defaults() -> tuple[float, float]:
    from tvm import relax

    parameters = inspect.signature(relax.op.nn.batch_norm).parameters
    return parameters["epsilon"].default, parameters["momentum"].default


def relax_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import tvm
    from tvm import relax

    arrays = [x, *vectors(x, parameters)]
    sizes = [(tvm.tirx.Var("samples", "int64"), x.shape[1]), *(one.shape for one in arrays[1:])]
    types = [relax.TensorType(size, one.dtype.name) for size, one in zip(sizes, arrays, strict=True)]
    inputs = [relax.Var(f"v{i}", one) for i, one in enumerate(types)]
    builder = relax.BlockBuilder()
    with builder.function("main", inputs):
        with builder.dataflow():
            found = builder.emit_output(relax.op.nn.batch_norm(*inputs, axis=1, momentum=momentum, training=True))
        builder.emit_func_output(found)
    machine = relax.VirtualMachine(tvm.compile(builder.get(), target="llvm"), tvm.cpu())
    found = machine["main"](*map(tvm.runtime.tensor, arrays))
    return Step(*(found[i].numpy() for i in range(3)))


def tinygrad_defaults() -> tuple[float, float]:
    from tinygrad import nn

    layer = nn.BatchNorm(2)
    return layer.eps, layer.momentum


def tinygrad_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    from tinygrad import Context, Tensor, nn

    with Context(DEFAULT_FLOAT="float64" if x.dtype == np.float64 else "float32"):
        layer = nn.BatchNorm(x.shape[1], momentum=momentum, affine={"both": True, "neither": False}[parameters])
    given = Tensor(x.astype(np.float64)).cast(x.dtype.name)
    with Context(TRAINING=1):
        y = layer(given)
    Tensor.realize(y, layer.running_mean, layer.running_var)
    return Step(*(one.numpy() for one in (y, layer.running_mean, layer.running_var)))


PLAIN = tuple(
    Plain(name, quietly(defaults), step and quietly(step), infer and quietly(infer))
    for name, defaults, step, infer in (
        ("onnx.reference.9", onnx_defaults(9), None, reference_inference),
        ("onnx.reference.14", onnx_defaults(14), reference_step(14), None),
        ("onnx.reference.15", onnx_defaults(15), reference_step(15), None),
        ("onnxruntime", onnx_defaults(15), runtime_step, None),
        ("onnxruntime.exported", onnx_defaults(15), runtime_step, None),
        ("torch.onnx", torch_defaults, None, exported_inference),
        ("openvino", lambda: (None, None), None, openvino_inference),
        ("paddle", paddle_defaults, paddle_step, None),
        ("mlx", mlx_defaults, mlx_step, None),
        ("tvm.relax", relax_defaults, relax_step, None),
        ("tinygrad", tinygrad_defaults, tinygrad_step, None),
    )
)

"""ONNX Runtime: sessions on one thread."""

import onnxruntime


def session(serialized):
    """Start a session for a serialized model, on one thread and without log messages."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])

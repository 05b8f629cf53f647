"""A fitted model as one file that other runtimes execute, without torch: ONNX or OpenVINO."""

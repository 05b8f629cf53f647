"""The threshold of an ONNX file as an input that may be left out: another one can be given with each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["THRESHOLD", "add_threshold_input"]

THRESHOLD = "threshold"
"""Name of the input; float64 ()."""

_STATED, _STATED_DECISION = "stated_threshold", "stated_decision"


def add_threshold_input(model: onnx.ModelProto, threshold: float) -> None:
    """Make the threshold an input whose default is the model's own, which ONNX calls an initializer of an input.

    With the default, margin and decision are what they were. With another, the margin is the score less it, and the
    decision is as for a threshold by hand: 2 above it, else 0, no review.

    Args:
        model: With the outputs ``margin``, a difference of score and threshold, and ``decision``; it is changed.
        threshold: The model's own.
    """
    from onnx import TensorProto, helper  # noqa: PLC0415

    graph = model.graph
    difference = next(node for node in graph.node if "margin" in node.output)
    score, own = difference.input
    # The exporter calls a constant of softplus by the same name.
    renamed = {THRESHOLD: f"{THRESHOLD}_of_graph", own: THRESHOLD, "decision": _STATED_DECISION}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    kept = [each for each in graph.initializer if each.name != own]
    for each in kept:
        each.name = renamed.get(each.name, each.name)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for name in (THRESHOLD, _STATED):
        graph.initializer.append(helper.make_tensor(name, TensorProto.DOUBLE, [], [threshold]))
    graph.node.extend(
        [
            helper.make_node("Greater", [score, THRESHOLD], ["above_threshold"]),
            helper.make_node("Cast", ["above_threshold"], ["refused"], to=TensorProto.INT64),
            helper.make_node("Add", ["refused", "refused"], ["decision_by_hand"]),
            helper.make_node("Equal", [THRESHOLD, _STATED], ["is_stated"]),
            helper.make_node("Where", ["is_stated", _STATED_DECISION, "decision_by_hand"], ["decision"]),
        ]
    )
    graph.input.append(helper.make_tensor_value_info(THRESHOLD, TensorProto.DOUBLE, []))

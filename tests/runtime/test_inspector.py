"""An Inspector gives the verdicts that the model gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

import differnet_runtime
from differnet import DifferNet, Verdict
from differnet.errors import ModelFileError as DifferNetModelFileError
from differnet.export.seal import sealed
from differnet.export.targets import open_engine
from differnet_runtime import Failure, ImageError, Inspector, ModelFileError, NoMapError
from differnet_runtime.images import ImageSource
from tests.export.files import Exported, inspected, tall


def images_for(model: DifferNet) -> list[NDArray[np.uint8]]:
    return inspected() if model.region is None else [tall(image) for image in inspected()]


def test_verdicts_are_the_models(files: Exported) -> None:
    model = DifferNet.load(files.model, device="cpu")
    inspector = Inspector(files.onnx, threads=1)
    assert inspector.manifest["model_id"] == model.manifest.model_id if model.manifest else False
    for image in images_for(model):
        expected = next(iter(model.inspect_stream([image], all_views=True)))
        verdict = inspector.inspect(image)
        assert isinstance(expected, Verdict)
        assert verdict.score == pytest.approx(expected.score, rel=1e-4, abs=1e-4)
        assert verdict.margin == pytest.approx(expected.margin, abs=1e-3 * max(1, abs(expected.score)))
        assert verdict.p_value == pytest.approx(expected.p_value, rel=1e-4)
        for name in ("source", "threshold", "decision", "width", "height", "model_id", "views"):
            assert getattr(verdict, name) == getattr(expected, name), name
        assert verdict.milliseconds > 0


def test_verdicts_have_the_same_fields() -> None:
    ours, expected = fields(differnet_runtime.Verdict), fields(Verdict)
    assert [field.name for field in ours] == [field.name for field in expected]
    assert differnet_runtime.Verdict.columns() == Verdict.columns()


def test_maps_are_the_models(files: Exported) -> None:
    model = DifferNet.load(files.model, device="cpu")
    inspector = Inspector(files.onnx, threads=1)
    for image in images_for(model)[-2:]:
        heat, expected = inspector.explain(image), model.explain(image)
        assert heat.dtype == np.float32
        np.testing.assert_allclose(heat, expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_a_stream_goes_on_past_what_cannot_be_read(plain: Exported, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not an image")
    Image.fromarray(inspected()[0]).save(tmp_path / "good.png")
    sources: list[ImageSource] = [tmp_path / "broken.png", tmp_path / "good.png", inspected()[1], tmp_path / "none.png"]
    results = list(Inspector(plain.onnx).inspect_stream(sources))
    assert [type(result) for result in results] == [Failure, *[differnet_runtime.Verdict] * 2, Failure]
    assert [result.source for result in results] == [str(sources[0]), str(sources[1]), "array[2]", str(sources[3])]


def test_a_stream_is_consumed_as_needed(plain: Exported) -> None:
    taken = []

    def images() -> object:
        for image in inspected():
            taken.append(1)
            yield image

    stream = Inspector(plain.onnx).inspect_stream(images())  # type: ignore[arg-type]
    next(stream)
    assert len(taken) < len(inspected())
    stream.close()  # type: ignore[attr-defined]


def test_an_image_that_cannot_be_used_is_an_error(plain: Exported, tmp_path: Path) -> None:
    inspector = Inspector(plain.onnx, max_pixels=96 * 96)
    with pytest.raises(ImageError, match="no such file"):
        inspector.inspect(tmp_path / "none.png")
    with pytest.raises(ImageError, match="more than the limit"):
        inspector.inspect(np.zeros((97, 96, 3), np.uint8))


def test_of_a_region_other_sizes_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.export.files import exported

    inspector = Inspector(exported(tmp_path_factory, "region").onnx)
    with pytest.raises(ImageError, match="region of interest was made for 96 x 120"):
        inspector.inspect(inspected()[0])


def test_without_map_there_is_none(plain: Exported, tmp_path: Path) -> None:
    graph = onnx.load(plain.onnx)
    for entry in graph.metadata_props:
        if entry.key == "export":
            entry.value = entry.value.replace(', "map"]', "]")
    (tmp_path / "m.onnx").write_bytes(sealed(graph.SerializeToString()))
    inspector = Inspector(tmp_path / "m.onnx")
    assert not inspector.has_map
    with pytest.raises(NoMapError, match="--map"):
        inspector.explain(inspected()[0])


def test_files_that_are_none_are_refused(plain: Exported, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(plain.onnx.read_bytes()[:4000])
    graph = onnx.load(plain.onnx)
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "foreign.onnx")
    for name, reason in (
        ("none", "cannot be read"),
        ("broken", "damaged or not an ONNX file"),
        ("foreign", "not exported by differnet"),
    ):
        with pytest.raises(ModelFileError, match=reason):
            Inspector(tmp_path / f"{name}.onnx")


def small_graph(**metadata: str) -> onnx.ModelProto:
    """A graph that ONNX Runtime takes, with metadata."""
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1])
    score = onnx.helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Neg", ["image"], ["score"])
    graph = onnx.helper.make_model(onnx.helper.make_graph([node], "graph", [image], [score]), ir_version=8)
    onnx.helper.set_model_props(graph, metadata)
    return graph


@pytest.mark.parametrize("load", [Inspector, open_engine])
def test_of_damage_nothing_is_printed(
    load: Callable[[Path], object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The runtime would print of a second try where what it has to say is no text, and stdout is the command's own."""
    (tmp_path / "a.onnx").write_bytes(small_graph().SerializeToString().replace(b"Neg", b"\xffeg"))
    with pytest.raises((ModelFileError, DifferNetModelFileError), match=r"damaged|cannot be opened"):
        load(tmp_path / "a.onnx")
    assert capfd.readouterr().out == ""


def test_a_graph_that_fails_while_it_is_computed_is_told(
    plain: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Opening looks at no index that only an image decides."""
    file, damaged = tmp_path / "a.onnx", onnx.load(plain.onnx)
    graph, make = damaged.graph, onnx.helper.make_node
    for node in graph.node:
        node.output[:] = ["own" if name == "score" else name for name in node.output]
        node.input[:] = ["own" if name == "score" else name for name in node.input]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([10**9]), "far"))
    graph.node.append(make("Gather", ["image", "far"], ["row"]))
    graph.node.append(make("Size", ["row"], ["count"]))
    graph.node.append(make("Cast", ["count"], ["number"], to=onnx.TensorProto.FLOAT))
    graph.node.append(make("Add", ["own", "number"], ["score"]))
    file.write_bytes(sealed(damaged.SerializeToString()))
    with pytest.raises(ModelFileError, match="is damaged"):
        Inspector(file).inspect(inspected()[0])
    with pytest.raises(DifferNetModelFileError, match="cannot be opened"):
        open_engine(file)(inspected()[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("load", [Inspector, open_engine])
@pytest.mark.parametrize(
    "said",
    [
        *("", "[]", "null", '"x"', "NaN", "{}", '{"export_version": 1e999}', '{"export_version": {}}'),
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep lists"),
        pytest.param('{"export_version": ' + "9" * 5000 + "}", id="huge number"),
    ],
)
def test_what_a_file_says_of_itself_may_be_anything(load: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(small_graph(format="differnet-export", export=said, manifest="{}").SerializeToString())
    with pytest.raises((ModelFileError, DifferNetModelFileError), match="what it says of itself is damaged"):
        load(file)

"""The engine against the Python extension of the same library, and what only pointers can get wrong."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.unit.sigmax.manifests import BINARY, MULTICLASS, MULTILABEL, feature, model

from sigmax.contract import FloatType, Manifest
from sigmax.errors import BundleRejected
from sigmax.inference import onnx_runtime
from sigmax.inference.engine import FEW_ROWS, OnnxEngine
from sigmax.inference.onnx_runtime import OnnxRuntimeError, OnnxRuntimeMissing, Session
from sigmax.repository import bundle

SIZES = (0, 1, 2, 3, 17, FEW_ROWS, FEW_ROWS + 1, 1024)


def of_type(manifest: Manifest, dtype: FloatType) -> Manifest:
    return replace(manifest, graph=replace(manifest.graph, dtype=dtype))


def with_weights(manifest: Manifest, seed: int = 0) -> bytes:
    """The graph of the manifest's shape with weights that a slip of a row or a column shows in."""
    made = onnx.load_from_string(model(manifest))
    shape = tuple(made.graph.initializer[0].dims)
    weights = np.random.default_rng(seed).normal(size=shape).astype(manifest.graph.dtype.value)
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    data: bytes = made.SerializeToString()
    return data


def rows(manifest: Manifest, size: int, seed: int = 1) -> npt.NDArray[Any]:
    features = np.random.default_rng(seed).normal(size=(size, manifest.n_features))
    return features.astype(manifest.graph.dtype.value)


def by_the_extension(content: bytes, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    answer: npt.NDArray[Any] = session.run(["probabilities"], {"features": features})[0]
    return answer


def wide(n_features: int) -> Manifest:
    return replace(BINARY, features=tuple(feature(f"f{index}") for index in range(n_features)))


@pytest.mark.parametrize("dtype", FloatType)
@pytest.mark.parametrize("manifest", [BINARY, MULTICLASS, MULTILABEL, wide(700)])
def test_answers_are_those_of_the_python_extension_to_the_last_bit(
    manifest: Manifest, dtype: FloatType
) -> None:
    manifest = of_type(manifest, dtype)
    content = with_weights(manifest)
    engine = OnnxEngine(content, manifest)

    for size in SIZES:
        features = rows(manifest, size)
        answer = engine.run(features)
        assert answer.dtype == dtype.value
        assert answer.tolist() == by_the_extension(content, features).tolist(), size


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "temple_or_flower"])
def test_every_example_model_answers_as_the_python_extension_does(repository: Path, name: str) -> None:
    content = bundle.read(repository / name / "1")
    engine = OnnxEngine(content.model, content.manifest)

    for size in (1, 2, 3, 17, 1024):
        features = rows(content.manifest, size)
        assert engine.run(features).tolist() == by_the_extension(content.model, features).tolist(), size


@pytest.mark.parametrize("size", [1, 3, 40])
def test_rows_may_lie_in_memory_in_any_way(size: int) -> None:
    engine = OnnxEngine(with_weights(BINARY), BINARY)
    plain = rows(BINARY, size)
    frozen = np.frombuffer(plain.tobytes()).reshape(plain.shape)
    odd = np.frombuffer(b"?" + plain.tobytes(), np.uint8)[1:].view(np.float64).reshape(plain.shape)
    spaced = np.repeat(plain, 2, axis=1)[:, ::2]

    for features in (frozen, odd, spaced, np.asfortranarray(plain), plain[::-1].copy()[::-1]):
        assert engine.run(features).tolist() == engine.run(plain).tolist()


@pytest.mark.parametrize(
    "features",
    [
        np.zeros((1, 2), np.float32),
        np.zeros((50, 2), np.float32),
        np.zeros((1, 1)),
        np.zeros((1, 3)),
        np.zeros((50, 3)),
        np.zeros(2),
        np.zeros((1, 2, 1)),
        np.zeros((1, 2), ">f8"),
    ],
)
def test_what_is_no_table_of_the_model_is_refused_and_not_read(features: Any) -> None:
    engine = OnnxEngine(model(BINARY), BINARY)

    for run in (engine.run, engine.run_both):
        with pytest.raises(ValueError, match=r"features are float64 \(n_samples, 2\), not"):
            run(features)


@pytest.mark.parametrize("size", [1, 5, 100])
def test_an_answer_is_memory_of_its_own(size: int) -> None:
    engine = OnnxEngine(with_weights(BINARY), BINARY)
    first, second = rows(BINARY, size, seed=1), rows(BINARY, size, seed=2)

    answer = engine.run(first)
    kept = answer.copy()
    answered = engine.run(second)
    first[:] = 7

    assert answer.tolist() == kept.tolist() != answered.tolist()


def test_several_threads_get_the_answers_to_their_own_rows() -> None:
    engine = OnnxEngine(with_weights(MULTICLASS), MULTICLASS)
    asked = [rows(MULTICLASS, size, seed) for seed in range(200) for size in (1, 2, 50)]
    expected = [engine.run(features).tolist() for features in asked]

    with ThreadPoolExecutor(8) as pool:
        answered = [answer.tolist() for answer in pool.map(engine.run, asked)]

    assert answered == expected


def failing() -> bytes:
    """A graph that takes a column of its input which is not there."""
    made = onnx.load_from_string(model(BINARY))
    del made.graph.node[:]
    made.graph.node.append(helper.make_node("Gather", ["features", "c"], ["probabilities"], axis=1))
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([0, 9]), "c"))
    data: bytes = made.SerializeToString()
    return data


@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_graph_that_fails_says_why_each_time(size: int) -> None:
    engine = OnnxEngine(failing(), BINARY)

    for _ in range(3):
        with pytest.raises(OnnxRuntimeError, match="indices element out of data bounds"):
            engine.run(rows(BINARY, size))


@pytest.mark.parametrize(("shape", "said"), [([1, 2], "[2]"), (["n", "m"], "['m']"), (["n", None], "[None]")])
def test_a_graph_of_another_shape_is_refused_with_the_shape(shape: list[Any], said: str) -> None:
    made = onnx.load_from_string(model(BINARY))
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("features", TensorProto.DOUBLE, shape))

    with pytest.raises(BundleRejected) as refused:
        OnnxEngine(made.SerializeToString(), BINARY)

    assert f"the graph's inputs are [('features', 'tensor(double)', {said})], expected" in str(refused.value)


def test_a_graph_of_another_type_is_refused_with_both() -> None:
    with pytest.raises(BundleRejected, match=r"tensor\(float\).*expected.*tensor\(double\)"):
        OnnxEngine(model(of_type(BINARY, FloatType.FLOAT32)), BINARY)


def test_a_refusal_names_no_path() -> None:
    made = onnx.load_from_string(model(BINARY))
    made.graph.node[0].op_type = "NoSuchOperator"

    with pytest.raises(BundleRejected, match=r"does not load the model: .*NoSuchOperator") as refused:
        OnnxEngine(made.SerializeToString(), BINARY)

    assert "/" not in str(refused.value)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_model_that_nobody_refers_to_gives_its_memory_back() -> None:
    manifest = wide(700)
    content, features = with_weights(manifest), rows(manifest, 100)

    def cycles(count: int) -> int:
        for _ in range(count):
            engine = OnnxEngine(content, manifest)
            engine.run(features[:1])
            engine.run(features)
            del engine
        gc.collect()
        return resident()

    before = cycles(50)

    assert cycles(300) - before < 300 * 2**13  # a session is nine times that


def run_python(code: str, *packages: Path) -> subprocess.CompletedProcess[str]:
    """Run code with some folders before all others that modules are looked for in."""
    folders = os.pathsep.join([*map(str, packages), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": folders},
    )


OPENED = """
import sys, threading
import numpy as np
from pathlib import Path
from sigmax.repository import bundle
from sigmax.inference.engine import OnnxEngine
content = bundle.read(Path({path!r}))
engine = OnnxEngine(content.model, content.manifest)
features = np.ones((5, 4))
"""


def test_the_process_ends_cleanly_while_a_thread_runs_a_model(repository: Path) -> None:
    code = OPENED.format(path=str(repository / "iris" / "1")) + (
        "many = np.ones((100_000, 4))\n"
        "begun = threading.Event()\n"
        "def run():\n"
        "    while True:\n"
        "        engine.run(many); engine.run(features[:1]); begun.set()\n"
        "threading.Thread(target=run, daemon=True).start()\n"
        "begun.wait()\n"
    )

    ended = run_python(code)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("order", ["before", "between", "after", "never"])
def test_the_package_onnxruntime_may_be_imported_at_any_time(repository: Path, order: str) -> None:
    path = repository / "iris" / "1"
    extension = (
        "import onnxruntime\n"
        f"session = onnxruntime.InferenceSession({str(path / 'model.onnx')!r})\n"
        "probabilities = session.run(['probabilities'], {'features': np.ones((5, 4))})[0]\n"
    )
    own = OPENED.format(path=str(path)) + "answer = engine.run(features)\n"
    compare = "assert (probabilities == engine.run(features)).all()\n"
    code = {
        "before": "import numpy as np\n" + extension + own + compare,
        "between": "import numpy as np, onnxruntime\n" + own + extension + compare,
        "after": own + extension + compare,
        "never": own + "assert 'onnxruntime' not in sys.modules\n",
    }[order]

    ended = run_python(code)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_of_the_package_onnxruntime_only_the_library_is_needed(repository: Path, tmp_path: Path) -> None:
    package = Path(onnxruntime.__file__).parent
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (library,) = (package / "capi").glob(onnx_runtime.LIBRARY)
    (tmp_path / "onnxruntime" / "capi" / library.name).symlink_to(library)
    code = OPENED.format(path=str(repository / "iris" / "1")) + "assert engine.run(features).shape == (5, 3)"

    ended = run_python(code, tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_the_library_nothing_is_served_and_the_message_says_what_is_missing(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    arguments = ["sigmax", "serve", "--models", str(repository), "--rest-port", "0", "--grpc-port", "0"]
    code = f"import sys; from sigmax.cli import main; sys.argv = {arguments!r}; main()"

    ended = run_python(code, tmp_path)

    assert ended.returncode == 1
    assert (
        f"sigmax: no worker can start: ONNX Runtime is not installed: expected {onnx_runtime.LIBRARY} in the "
        "package onnxruntime, 1.28 or newer\n"
    ) in ended.stderr


def test_a_library_that_does_not_load_is_named(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    broken = tmp_path / "onnxruntime" / "capi" / onnx_runtime.LIBRARY.replace("*", "9")
    broken.write_bytes(b"no library")
    code = "from sigmax.inference.onnx_runtime import version, OnnxRuntimeMissing\n" + (
        "try: version()\nexcept OnnxRuntimeMissing as error: print(error)"
    )

    ended = run_python(code, tmp_path)

    assert ended.stdout.startswith(f"ONNX Runtime's {broken.name} does not load: ")


def test_the_version_is_that_of_the_installed_package() -> None:
    assert onnx_runtime.version() == importlib.metadata.version("onnxruntime")


def test_the_missing_runtime_is_an_error_of_the_system() -> None:
    assert issubclass(OnnxRuntimeMissing, OSError)


class Waiter:
    """A thread that notices whether Python's lock was ever free while something ran.

    Nobody is made to give the lock up meanwhile (the switch interval is an hour): only who leaves it by
    itself lets the thread run. Leaving it for too short a time may go unnoticed; hence several attempts.
    """

    ATTEMPTS = 200

    def __init__(self) -> None:
        self._interval = sys.getswitchinterval()

    def __enter__(self) -> Waiter:
        sys.setswitchinterval(3600)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setswitchinterval(self._interval)

    def _noticed(self, run: Callable[[], object]) -> bool:
        gate, ran = threading.Lock(), []
        gate.acquire()

        def wait() -> None:
            with gate:
                ran.append(True)

        thread = threading.Thread(target=wait)
        thread.start()
        gate.release()
        run()
        noticed = bool(ran)
        thread.join()
        return noticed

    def notices(self, run: Callable[[], object], attempts: int = ATTEMPTS) -> bool:
        return any(self._noticed(run) for _ in range(attempts))


def test_other_threads_run_while_a_model_is_loaded() -> None:
    content = with_weights(wide(700))
    Session(content)

    with Waiter() as other:
        assert other.notices(lambda: Session(content))


def test_other_threads_run_while_many_rows_are_predicted() -> None:
    engine = OnnxEngine(with_weights(MULTICLASS), MULTICLASS)
    many = rows(MULTICLASS, 200_000)

    with Waiter() as other:
        assert other.notices(lambda: engine.run(many))


def test_a_cheap_row_is_not_given_away_for_other_threads() -> None:
    engine = OnnxEngine(with_weights(MULTICLASS), MULTICLASS)
    row = rows(MULTICLASS, 1)
    engine.run(row)

    with Waiter() as other:
        assert not other.notices(lambda: [engine.run(row) for _ in range(100)], attempts=20)


def test_the_library_is_loaded_without_lending_its_symbols_to_others() -> None:
    Session(model(BINARY))

    assert not hasattr(ctypes.CDLL(None), "OrtGetApiBase")

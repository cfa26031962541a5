"""One picture, every way in: the same probabilities to the last bit, and the same words where it is wrong."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from google.protobuf import json_format
from rich.console import Console
from tests import pictures as files
from tests.conformance.doors import InProcess, Refused
from tests.conftest import JOBS
from tests.openapi import resolved
from tests.service import Service, call, command, environment, running

from sigmax.repository import bundle
from sigmax.wire import classifier_pb2 as pb
from sigmax.wire import open_inference_grpc_pb2 as oip
from sigmax_training import data, pipeline
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset
from sigmax_training.job import Job
from sigmax_training.progress import Silent

PHOTOS = """
name = "photos"
[data]
images = "photos"
size = [24, 32]
[estimator]
C = 0.01
tol = 1e-3
[evaluation]
folds = 2
repeats = 1
"""
TIMEOUT = 60


@dataclass(frozen=True)
class Trained:
    """Two models of picture files: photographs in colour, digits in grey."""

    repository: Path
    datasets: dict[str, Dataset]

    def contents(self, model: str, count: int) -> list[bytes]:
        """Some of the files that a model was trained on, PNG and JPEG where there are both."""
        found = sorted(self.datasets[model].files, key=lambda path: (path.stem, str(path)))
        return [path.read_bytes() for path in found[:count]]

    def features(self, model: str, count: int) -> npt.NDArray[Any]:
        """The trainer's own rows of the same files, as they are sent to the other doors."""
        dataset = self.datasets[model]
        order = sorted(
            range(len(dataset.files)), key=lambda row: (dataset.files[row].stem, str(dataset.files[row]))
        )
        return dataset.features[order[:count]].astype(np.float64)


def write_photos(folder: Path) -> None:
    """Crops of two photographs, of many sizes; some are PNG, some are turned by their EXIF."""
    rng = np.random.default_rng(0)
    for label, name in (("temple", "china.jpg"), ("flower", "flower.jpg")):
        content = (resources.files("sklearn.datasets.images") / name).read_bytes()
        photograph = PIL.Image.open(io.BytesIO(content))
        (folder / label).mkdir(parents=True)
        for number in range(12):
            width, height = rng.integers(60, 200, 2).tolist()
            left, top = int(rng.integers(0, 640 - width)), int(rng.integers(0, 427 - height))
            crop = photograph.crop((left, top, left + width, top + height))
            if number % 3 == 0:
                (folder / label / f"{number:02}.png").write_bytes(files.encoded(crop))
            elif number % 3 == 1:
                (folder / label / f"{number:02}.jpg").write_bytes(files.encoded(crop, "JPEG"))
            else:
                turned = files.encoded(crop.rotate(90, expand=True), "JPEG", exif=files.exif(6))
                (folder / label / f"{number:02}.jpg").write_bytes(turned)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("pictures")
    write_photos(folder / "photos")
    digits = jobs.read(JOBS / "digits_png.toml")
    wanted: tuple[Job, ...] = (
        jobs.parse(PHOTOS, folder),
        replace(digits, evaluation=replace(digits.evaluation, folds=2, repeats=1)),
    )
    report = Silent(Console(quiet=True))
    for job in wanted:
        pipeline.run(job, folder / "models", report)
    return Trained(folder / "models", {job.name: data.load(job) for job in wanted})


@pytest.fixture(scope="module")
def picture_service(trained: Trained) -> Iterator[Service]:
    with running(trained.repository) as started:
        yield started


@pytest.fixture(scope="module")
def limited(trained: Trained) -> Iterator[Service]:
    """A service that takes 3 rows, 20,000 pixels and 100,000 bytes a request."""
    limits = ("--max-rows", "3", "--max-pixels", "20000", "--max-bytes", "100000")
    with running(trained.repository, *limits) as started:
        yield started


@dataclass(frozen=True)
class Said:
    """What a way in answered: probabilities (n, k), and the labels."""

    probabilities: npt.NDArray[np.float64]
    labels: list[str]


class Way(ABC):
    """One way in for pictures."""

    @abstractmethod
    def ask(self, model: str, contents: Sequence[bytes], **options: Any) -> Said:
        """Ask for probabilities, and for classes with these options."""


class Json(Way):
    """Base64 in JSON."""

    def __init__(self, service: Service) -> None:
        self.client = httpx.Client(base_url=service.rest)

    def ask(self, model: str, contents: Sequence[bytes], **options: Any) -> Said:
        body: dict[str, Any] = {"images": [base64.b64encode(content).decode() for content in contents]}
        said = self.post(f"/v1/models/{model}:probabilities", json=body)
        chosen = self.post(f"/v1/models/{model}:classes", json={**body, "options": options})
        return Said(np.array(said["probabilities"]), [row["label"] for row in chosen["results"]])

    def post(self, path: str, **arguments: Any) -> dict[str, Any]:
        response = self.client.post(path, **arguments)
        document: dict[str, Any] = response.json()
        if response.status_code != 200:
            raise Refused(str(response.status_code), document["error"])
        return document


class B64(Json):
    """`{"b64": …}` in `:predict` and `:classify`, as TensorFlow Serving's clients send bytes."""

    def ask(self, model: str, contents: Sequence[bytes], **options: Any) -> Said:
        assert not options
        texts = [{"b64": base64.b64encode(content).decode()} for content in contents]
        rows = self.post(f"/v1/models/{model}:predict", json={"instances": texts})["predictions"]
        columns = self.post(f"/v1/models/{model}:predict", json={"inputs": {"image_bytes": texts}})["outputs"]
        examples = [{"image_bytes": [text]} for text in texts]
        scores = self.post(f"/v1/models/{model}:classify", json={"examples": examples})["results"]
        said = [row["probabilities"] for row in rows]
        assert columns["probabilities"] == said == [[score for _, score in row] for row in scores]
        return Said(np.array(said), [row["label"] for row in rows])


class Body(Json):
    """Each picture as the body of a request."""

    def ask(self, model: str, contents: Sequence[bytes], **options: Any) -> Said:
        rows, labels = [], []
        for content in contents:
            kind = "image/png" if content.startswith(files.SIGNATURE) else "image/jpeg"
            sent: dict[str, Any] = {"content": content, "headers": {"content-type": kind}}
            rows += self.post(f"/v1/models/{model}:probabilities", **sent)["probabilities"]
            labels += [row["label"] for row in self.post(f"/v1/models/{model}:classes", **sent)["results"]]
        return Said(np.array(rows), labels)


class Rpc(Way):
    """Bytes in gRPC."""

    def __init__(self, service: Service) -> None:
        self.channel = grpc.insecure_channel(service.grpc)

    def ask(self, model: str, contents: Sequence[bytes], **options: Any) -> Said:
        request = pb.PredictClassesRequest(model=model, images=contents)
        json_format.ParseDict(options, request.options)
        try:
            chosen = call(self.channel, "/sigmax.v1.Classifier/PredictClasses", request.SerializeToString())
            request.ClearField("options")
            said = call(
                self.channel, "/sigmax.v1.Classifier/PredictProbabilities", request.SerializeToString()
            )
        except grpc.RpcError as error:
            raise Refused(error.code().name, error.details() or "") from error
        rows = pb.PredictProbabilitiesResponse.FromString(said).probabilities
        labels = [result.label for result in pb.PredictClassesResponse.FromString(chosen).results]
        return Said(np.array([list(row.values) for row in rows]), labels)


class CommandLine(Way):
    """`sigmax predict` on files."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.repository, self.folder = repository, folder

    def ask(self, model: str, contents: Sequence[bytes], **options: Any) -> Said:
        names = []
        for number, content in enumerate(contents):
            path = self.folder / f"{number}.{'png' if content.startswith(files.SIGNATURE) else 'jpg'}"
            path.write_bytes(content)
            names += ["--input", str(path)]
        said = json.loads(self.run(model, *names, "--probabilities"))
        chosen = json.loads(self.run(model, *names))
        return Said(np.array(said["probabilities"]), [row["label"] for row in chosen["results"]])

    def run(self, model: str, *arguments: str, given: bytes | None = None) -> str:
        ended = subprocess.run(
            command("predict", model, "--models", str(self.repository), *arguments),
            input=given,
            capture_output=True,
            timeout=TIMEOUT,
            env=environment(),
        )
        if ended.returncode != 0:
            raise Refused(f"exit code {ended.returncode}", ended.stderr.decode())
        return ended.stdout.decode()


@contextmanager
def ways_to(service: Service) -> Iterator[dict[str, Way]]:
    """Every way into a service, closed at the end."""
    as_json, body, b64, rpc = Json(service), Body(service), B64(service), Rpc(service)
    with as_json.client, body.client, b64.client, rpc.channel:
        yield {"json": as_json, "body": body, "b64": b64, "grpc": rpc}


@pytest.fixture(scope="module")
def ways(
    picture_service: Service, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Way]]:
    line = CommandLine(trained.repository, tmp_path_factory.mktemp("files"))
    with ways_to(picture_service) as ways:
        yield {**ways, "command line": line}


@pytest.fixture
def client(ways: dict[str, Way]) -> httpx.Client:
    way = ways["json"]
    assert isinstance(way, Json)
    return way.client


@pytest.fixture(autouse=True)
def the_next_good_picture_is_answered(ways: dict[str, Way], trained: Trained) -> Iterator[None]:
    """After whatever a test sends, the same picture gets the same bits as before it."""
    contents = trained.contents("photos", 1)
    before = [ways[name].ask("photos", contents).probabilities.tobytes() for name in ("body", "grpc")]
    yield
    after = [ways[name].ask("photos", contents).probabilities.tobytes() for name in ("body", "grpc")]
    assert before == after


@pytest.mark.parametrize("model", ["photos", "digits_png"])
def test_a_picture_and_the_trainers_own_row_of_it_get_the_same_bits_through_every_door(
    ways: dict[str, Way], trained: Trained, model: str
) -> None:
    (content,), row = trained.contents(model, 1), trained.features(model, 1)
    by_pixels = InProcess(trained.repository).ask(model, row)

    said = {name: way.ask(model, [content]) for name, way in ways.items()}

    assert {name: one.probabilities.tobytes() for name, one in said.items()} == dict.fromkeys(
        said, by_pixels.probabilities.tobytes()
    )
    assert {name: one.labels for name, one in said.items()} == dict.fromkeys(said, by_pixels.labels)


@pytest.mark.parametrize("model", ["photos", "digits_png"])
def test_several_pictures_are_rows_in_their_order_through_every_door(
    ways: dict[str, Way], trained: Trained, model: str
) -> None:
    contents, rows = trained.contents(model, 5), trained.features(model, 5)
    by_pixels = InProcess(trained.repository).ask(model, rows)

    said = {name: way.ask(model, contents) for name, way in ways.items() if name != "body"}

    assert {name: one.probabilities.tobytes() for name, one in said.items()} == dict.fromkeys(
        said, by_pixels.probabilities.tobytes()
    )
    assert {name: one.labels for name, one in said.items()} == dict.fromkeys(said, by_pixels.labels)


def own_shapes(service: Service, model: str, pictures: npt.NDArray[Any]) -> dict[str, list[float]]:
    """The probabilities of pictures (n, channels, height, width), by how they came: tensors of any form."""
    head = {"name": "features", "shape": pictures.shape, "datatype": "UINT8"}
    path, wanted = f"{service.rest}/v2/models/{model}/infer", [{"name": "probabilities"}]
    said: dict[str, list[float]] = {}
    for form, values in (("flat", pictures.ravel().tolist()), ("nested", pictures.tolist())):
        answer = httpx.post(path, json={"inputs": [{**head, "data": values}], "outputs": wanted})
        said[form] = answer.json()["outputs"][0]["data"]
    binary = {**head, "parameters": {"binary_data_size": pictures.nbytes}}
    text = json.dumps({"inputs": [binary], "outputs": wanted}).encode()
    length = {"Inference-Header-Content-Length": str(len(text))}
    answer = httpx.post(path, content=text + pictures.tobytes(), headers=length)
    said["binary"] = answer.json()["outputs"][0]["data"]
    with grpc.insecure_channel(service.grpc) as channel:
        request = oip.ModelInferRequest(model_name=model, outputs=wanted, inputs=[head])
        request.parameters["binary_data_output"].bool_param = False
        request.inputs[0].contents.uint_contents.extend(pictures.ravel().tolist())
        said["typed"] = _probabilities(channel, request)
        request.inputs[0].ClearField("contents")
        request.raw_input_contents.append(pictures.tobytes())
        said["raw"] = _probabilities(channel, request)
        request.ClearField("parameters")
        for time in ("raw in, raw out", "and once more"):
            said[time] = _probabilities(channel, request)
    return said


def _probabilities(channel: grpc.Channel, request: oip.ModelInferRequest) -> list[float]:
    method = "/inference.GRPCInferenceService/ModelInfer"
    answer = oip.ModelInferResponse.FromString(call(channel, method, request.SerializeToString()))
    if answer.raw_output_contents:
        dtype = _DTYPES[answer.outputs[0].datatype]
        numbers: list[float] = np.frombuffer(answer.raw_output_contents[0], dtype).tolist()
        return numbers
    contents = answer.outputs[0].contents
    return [*contents.fp32_contents, *contents.fp64_contents]


_DTYPES = {"FP32": np.float32, "FP64": np.float64}


@pytest.mark.parametrize("model", ["photos", "digits_png"])
def test_pixels_in_the_pictures_own_shape_get_the_same_bits_through_both_doors_of_the_protocol(
    picture_service: Service, trained: Trained, model: str
) -> None:
    features = trained.features(model, 3)
    expected = InProcess(trained.repository).ask(model, features).probabilities.ravel().tolist()
    said = httpx.get(f"{picture_service.rest}/v2/models/{model}").json()["properties"]
    (shape,) = json.loads(said["shapes"]).values()
    (colour,) = json.loads(said["colours"]).values()

    got = own_shapes(picture_service, model, features.astype(np.uint8).reshape(-1, *shape))

    assert got == dict.fromkeys(got, expected)
    assert colour in ("rgb", "hsv", "grey")


WRONG = (
    *("text", "a GIF", "a truncated JPEG", "a truncated PNG", "a huge PNG", "an animated PNG"),
    *("a JPEG in CMYK", "a PNG of 16 bits", "a PNG with a transparent pixel", "a JPEG of 12 bits"),
    *("a bomb in a PNG's colour profile", "unknown bytes"),
)
CODES = {
    "json": "400",
    "body": "400",
    "b64": "400",
    "grpc": "INVALID_ARGUMENT",
    "command line": "exit code 1",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_picture_is_refused_with_the_same_words_by_every_door(
    ways: dict[str, Way], name: str
) -> None:
    content, expected = files.WRONG[name]

    refused = {}
    for way in ("json", "body", "b64", "grpc"):
        with pytest.raises(Refused) as error:
            ways[way].ask("photos", [content])
        refused[way] = error.value

    assert expected in refused["json"].text
    assert refused["json"].text.startswith("row 0: the picture ")
    assert {way: one.text for way, one in refused.items()} == dict.fromkeys(refused, refused["json"].text)
    assert {way: one.code for way, one in refused.items()} == {way: CODES[way] for way in refused}


def test_a_wrong_file_is_named_by_the_command_line(trained: Trained, tmp_path: Path) -> None:
    good, wrong = tmp_path / "good.png", tmp_path / "wrong.png"
    good.write_bytes(files.RIGHT_PNG)
    wrong.write_bytes(files.animated())
    line = CommandLine(trained.repository, tmp_path)

    with pytest.raises(Refused) as refused:
        line.run("photos", "--input", str(good), "--input", str(wrong))

    assert refused.value.code == "exit code 1"
    assert f"{wrong}: the picture is an animated PNG; send one still picture" in refused.value.text
    assert "row" not in refused.value.text
    assert "Traceback" not in refused.value.text


def test_every_wrong_picture_of_a_request_is_named_by_its_row(ways: dict[str, Way]) -> None:
    for way in ("json", "grpc"):
        with pytest.raises(Refused) as refused:
            ways[way].ask("photos", [files.RIGHT_PNG, b"text", files.animated()])

        assert "row 1: the picture is text; " in refused.value.text
        assert "row 2: the picture is an animated PNG; " in refused.value.text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"images": "abcd"}, "'images' is a list of files in base64, not the text 'abcd'"),
        (
            {"images": [1, "AA==", None]},
            "row 0: expected a file in base64, got the number 1; row 2: expected",
        ),
        ({"images": ["data:image/png;base64,AA=="]}, "row 0: a data: URL came, send only what stands behind"),
        ({"images": ["QUJD\nQUJD"]}, "row 0: base64 without line breaks is expected (base64 -w 0)"),
        ({"images": ["QUJ_"]}, "row 0: base64 of the standard alphabet is expected, with '+' and '/'"),
        ({"images": ["QUJDR"]}, "row 0: the text 'QUJDR' is no base64 with its padding"),
        ({"images": ["é"]}, "row 0: the text 'é' is no base64 with its padding"),
        ({"images": [""]}, "row 0: the picture is empty; send the bytes of a PNG or JPEG file"),
        (
            {"images": []},
            "no rows: send exactly one of 'images', 'rows' and 'columns', with at least one row",
        ),
        ({"images": None}, "no rows: send exactly one of 'images', 'rows' and 'columns'"),
        (
            {"images": ["AA=="], "rows": [[1]]},
            "both 'rows' and 'images' are filled: send exactly one of them",
        ),
        ({"images": ["AA=="], "columns": {"a": [1]}}, "both 'columns' and 'images' are filled"),
        ({"images": ["AA=="], "options": {"id": "x"}}, "option 'id' names a column, and pictures have none"),
        ({"images": ["AA=="], "options": {"topk": 1}}, "unknown option 'topk', did you mean 'top_k'?"),
        ({"image": ["AA=="]}, "unknown key 'image', did you mean 'images'?"),
    ],
)
def test_json_that_holds_no_pictures_is_a_400(client: httpx.Client, body: Any, expected: str) -> None:
    response = client.post("/v1/models/photos:classes", json=body)

    assert response.status_code == 400
    assert response.json()["code"] == "INVALID_INPUT"
    assert expected in response.json()["error"]


def test_options_of_classes_apply_to_pictures(
    client: httpx.Client, ways: dict[str, Way], trained: Trained
) -> None:
    contents = trained.contents("photos", 2)
    body = {"images": [base64.b64encode(content).decode() for content in contents]}

    never = ways["grpc"].ask("photos", contents, threshold=1.0)
    answer = client.post("/v1/models/photos:classes", json={**body, "options": {"top_k": 2}}).json()

    assert never.labels == ["flower", "flower"]
    assert [len(row["probabilities"]) for row in answer["results"]] == [2, 2]
    response = client.post("/v1/models/photos:probabilities", json={**body, "options": {"top_k": 2}})
    assert response.json()["error"].startswith("option 'top_k' is for classes")


@pytest.mark.parametrize(
    "media_type",
    ["image/gif", "image/webp", "text/csv", "application/xml"],
)
def test_a_content_type_that_is_not_read_is_a_415_with_those_that_are(
    client: httpx.Client, media_type: str
) -> None:
    response = client.post(
        "/v1/models/photos:classes", content=files.RIGHT_PNG, headers={"content-type": media_type}
    )

    assert response.status_code == 415
    assert response.json()["code"] == "UNSUPPORTED_MEDIA"
    assert response.json()["error"] == (
        f"content-type '{media_type}' is not read here: send JSON (application/json), "
        "or one picture as it is (image/png or image/jpeg)"
    )


def test_a_form_of_several_parts_is_a_415_that_says_what_to_send_instead(client: httpx.Client) -> None:
    response = client.post("/v1/models/photos:classes", files={"photo": files.RIGHT_PNG})

    assert response.status_code == 415
    assert response.json()["error"].endswith("is not read here: send one of its parts as the whole body")


@pytest.mark.parametrize(
    "media_type",
    [
        *("application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain"),
        *("application/x-www-form-urlencoded", "application/octet-stream", "application/vnd.api+json", ""),
    ],
)
def test_json_is_read_whatever_common_client_sends_it(
    client: httpx.Client, trained: Trained, media_type: str
) -> None:
    (content,) = trained.contents("photos", 1)
    body = json.dumps({"images": [base64.b64encode(content).decode()]}).encode()
    headers = {"content-type": media_type} if media_type else {}

    assert client.post("/v1/models/photos:classes", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "Image/PNG; x=y"])
def test_a_picture_says_itself_which_of_the_two_it_is(
    client: httpx.Client, trained: Trained, media_type: str
) -> None:
    for content in trained.contents("photos", 3):
        sent = client.post("/v1/models/photos:classes", content=content, headers={"content-type": media_type})
        assert sent.status_code == 200


def test_a_picture_that_does_not_say_so_is_told_how(client: httpx.Client) -> None:
    response = client.post("/v1/models/photos:classes", content=files.RIGHT_PNG)

    assert response.status_code == 400
    assert response.json()["error"] == (
        "the body is a picture: say so with content-type image/png or image/jpeg"
    )


def test_a_model_without_an_image_refuses_pictures_by_its_name(service: Service) -> None:
    features = "'sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', …"
    keys, own = {"b64": "'instances' or 'inputs'"}, "'rows' or 'columns'"
    with ways_to(service) as ways:
        for name, way in ways.items():
            with pytest.raises(Refused) as refused:
                way.ask("iris", [files.RIGHT_PNG])
            instead = f"send {keys.get(name, own)} with its features, {features}"
            expected = f"model 'iris' takes no pictures: {instead}"
            assert (refused.value.code, refused.value.text) == (CODES[name], expected)


def test_limits_of_rows_pixels_and_bytes_hold_for_pictures(limited: Service) -> None:
    small, large = files.RIGHT_PNG, files.encoded(PIL.Image.new("RGB", (100, 120)))
    noisy = files.encoded(files.noise(200, 200, 3))
    with ways_to(limited) as ways:
        for name in ("json", "grpc"):
            limits_hold(ways[name], small, large)
        for name, code in (("json", "413"), ("body", "413"), ("grpc", "RESOURCE_EXHAUSTED")):
            with pytest.raises(Refused) as refused:
                ways[name].ask("photos", [noisy] * 2)
            assert refused.value.code == code


def limits_hold(way: Way, small: bytes, large: bytes) -> None:
    """A way in refuses what is over a limit, and answers what is not."""
    assert len(way.ask("photos", [small] * 3).labels) == 3
    with pytest.raises(Refused, match=r": 4 rows in one request, at most 3 are taken$"):
        way.ask("photos", [small] * 4)
    with pytest.raises(Refused, match=r": 2 pictures of 24000 pixels, more than the 20000 pixels that one"):
        way.ask("photos", [large] * 2)
    with pytest.raises(Refused, match=r": row 0: the picture has 201x100 pixels, more than the 20000"):
        way.ask("photos", [files.encoded(PIL.Image.new("RGB", (201, 100)))])


def test_csv_of_the_command_line_names_the_files(trained: Trained, tmp_path: Path) -> None:
    line = CommandLine(trained.repository, tmp_path)
    names = []
    for number, content in enumerate(trained.contents("photos", 2)):
        (tmp_path / f"a {number}.PNG").write_bytes(content)
        names += ["--input", str(tmp_path / f"a {number}.PNG")]

    decided = list(csv.reader(io.StringIO(line.run("photos", *names, "--format", "csv"))))
    whole = list(csv.reader(io.StringIO(line.run("photos", *names, "--format", "csv", "--probabilities"))))

    assert decided[0] == ["file", "label", "probability"]
    assert whole[0] == ["file", "flower", "temple"]
    assert [row[0] for row in decided[1:]] == [row[0] for row in whole[1:]] == names[1::2]
    assert [float(row[2]) for row in decided[1:]] == [max(map(float, row[1:])) for row in whole[1:]]


def test_the_command_line_knows_a_picture_from_standard_input_by_its_first_bytes(
    trained: Trained, tmp_path: Path
) -> None:
    line = CommandLine(trained.repository, tmp_path)
    (content,) = trained.contents("photos", 1)

    answer = json.loads(line.run("photos", "--input", "-", "--top-k", "1", given=content))

    assert len(answer["results"][0]["probabilities"]) == 1


def test_the_command_line_takes_rows_from_one_file_only(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[]")
    (tmp_path / "a.png").write_bytes(files.RIGHT_PNG)
    line = CommandLine(trained.repository, tmp_path)

    with pytest.raises(Refused, match="several --input are for pictures") as refused:
        line.run("photos", "--input", str(tmp_path / "rows.json"), "--input", str(tmp_path / "a.png"))

    assert refused.value.code == "exit code 2"


@pytest.mark.parametrize("model", ["photos", "digits_png"])
def test_the_example_is_a_small_file_that_works_when_pasted(
    client: httpx.Client, ways: dict[str, Way], trained: Trained, model: str
) -> None:
    example = client.get(f"/v1/models/{model}").json()["example"]

    answer = client.post(f"/v1/models/{model}:classes", json=example)

    assert list(example) == ["images"]
    (content,) = map(base64.b64decode, example["images"])
    assert content in [path.read_bytes() for path in trained.datasets[model].files]
    assert answer.json()["results"][0]["label"] == ways["grpc"].ask(model, [content]).labels[0]


def test_the_description_of_the_service_tells_of_pictures(client: httpx.Client) -> None:
    paths = resolved(client.get("/openapi.json").json())

    for verb in ("classes", "probabilities"):
        content = paths[f"/v1/models/digits_png:{verb}"]["post"]["requestBody"]["content"]
        assert set(content) == {"application/json", "image/png", "image/jpeg"}
        assert content["image/png"]["schema"]["format"] == "binary"
        schema = content["application/json"]["schema"]
        assert schema["oneOf"] == [{"required": [name]} for name in ("rows", "columns", "images")]
        assert schema["properties"]["images"]["items"]["contentEncoding"] == "base64"
    example = paths["/v2/models/digits_png/infer"]["post"]["requestBody"]["content"]["application/json"][
        "example"
    ]
    assert client.post("/v2/models/digits_png/infer", json=example).status_code == 200
    assert example["inputs"][0]["shape"] == [1, 64]
    large = paths["/v2/models/photos/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert "example" not in large or len(large["example"]["inputs"][0]["data"]) < 5_000


def test_a_bundle_carries_golden_pictures_of_each_format(trained: Trained) -> None:
    photos = bundle.read(trained.repository / "photos" / "1").golden.pictures
    digits = bundle.read(trained.repository / "digits_png" / "1").golden.pictures

    assert sorted(picture.file[:4] for picture in photos) == [b"\x89PNG", b"\xff\xd8\xff\xe0"]
    assert [picture.pixels.shape for picture in photos] == [(24 * 32 * 3,)] * 2
    assert len(digits) == 1


def test_many_clients_at_once_get_their_own_answers(picture_service: Service, trained: Trained) -> None:
    from concurrent.futures import ThreadPoolExecutor

    contents = trained.contents("photos", 8)
    with ways_to(picture_service) as ways:
        alone = [ways["body"].ask("photos", [content]).probabilities.tobytes() for content in contents]

    def ask(content: bytes) -> bytes:
        with httpx.Client(base_url=picture_service.rest) as own:
            sent = own.post(
                "/v1/models/photos:probabilities", content=content, headers={"content-type": "image/png"}
            )
        return np.array(sent.json()["probabilities"]).tobytes()

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, contents * 3))

    assert together == alone * 3

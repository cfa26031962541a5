from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Options(_message.Message):
    __slots__ = ("top_k", "threshold", "extra", "id", "band", "include")
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    top_k: int
    threshold: _struct_pb2.Value
    extra: str
    id: str
    band: _struct_pb2.Value
    include: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, top_k: _Optional[int] = ..., threshold: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., extra: _Optional[str] = ..., id: _Optional[str] = ..., band: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., include: _Optional[_Iterable[str]] = ...) -> None: ...

class PredictProbabilitiesRequest(_message.Message):
    __slots__ = ("model", "version", "rows", "columns", "images", "options")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.ListValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    rows: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    columns: _containers.MessageMap[str, _struct_pb2.ListValue]
    images: _containers.RepeatedScalarFieldContainer[bytes]
    options: Options
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., columns: _Optional[_Mapping[str, _struct_pb2.ListValue]] = ..., images: _Optional[_Iterable[bytes]] = ..., options: _Optional[_Union[Options, _Mapping]] = ...) -> None: ...

class Distribution(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class PredictProbabilitiesResponse(_message.Message):
    __slots__ = ("model", "version", "classes", "probabilities", "ids", "logits")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    probabilities: _containers.RepeatedCompositeFieldContainer[Distribution]
    ids: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    logits: _containers.RepeatedCompositeFieldContainer[Distribution]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., probabilities: _Optional[_Iterable[_Union[Distribution, _Mapping]]] = ..., ids: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., logits: _Optional[_Iterable[_Union[Distribution, _Mapping]]] = ...) -> None: ...

class PredictClassesRequest(_message.Message):
    __slots__ = ("model", "version", "rows", "columns", "images", "options")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.ListValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    rows: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    columns: _containers.MessageMap[str, _struct_pb2.ListValue]
    images: _containers.RepeatedScalarFieldContainer[bytes]
    options: Options
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., columns: _Optional[_Mapping[str, _struct_pb2.ListValue]] = ..., images: _Optional[_Iterable[bytes]] = ..., options: _Optional[_Union[Options, _Mapping]] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("label", "labels", "probability", "probabilities", "id", "unsure", "unsure_labels", "logits")
    class ProbabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LogitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    UNSURE_FIELD_NUMBER: _ClassVar[int]
    UNSURE_LABELS_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    label: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    probability: float
    probabilities: _containers.ScalarMap[str, float]
    id: _struct_pb2.Value
    unsure: bool
    unsure_labels: _containers.RepeatedScalarFieldContainer[str]
    logits: _containers.ScalarMap[str, float]
    def __init__(self, label: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., probability: _Optional[float] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., unsure: _Optional[bool] = ..., unsure_labels: _Optional[_Iterable[str]] = ..., logits: _Optional[_Mapping[str, float]] = ...) -> None: ...

class PredictClassesResponse(_message.Message):
    __slots__ = ("model", "version", "results")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class DescribeModelRequest(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Feature(_message.Message):
    __slots__ = ("name", "kind", "shape", "dtype", "range", "missing", "image", "vocabulary", "unknown")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    range: _containers.RepeatedScalarFieldContainer[float]
    missing: str
    image: Image
    vocabulary: _containers.RepeatedScalarFieldContainer[str]
    unknown: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., range: _Optional[_Iterable[float]] = ..., missing: _Optional[str] = ..., image: _Optional[_Union[Image, _Mapping]] = ..., vocabulary: _Optional[_Iterable[str]] = ..., unknown: _Optional[str] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("colour", "layout", "height", "width", "resize", "scale")
    COLOUR_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    colour: str
    layout: str
    height: int
    width: int
    resize: str
    scale: float
    def __init__(self, colour: _Optional[str] = ..., layout: _Optional[str] = ..., height: _Optional[int] = ..., width: _Optional[int] = ..., resize: _Optional[str] = ..., scale: _Optional[float] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("rule", "positive", "thresholds", "band")
    class ThresholdsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class BandEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.ListValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ...) -> None: ...
    RULE_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    rule: str
    positive: str
    thresholds: _containers.ScalarMap[str, float]
    band: _containers.MessageMap[str, _struct_pb2.ListValue]
    def __init__(self, rule: _Optional[str] = ..., positive: _Optional[str] = ..., thresholds: _Optional[_Mapping[str, float]] = ..., band: _Optional[_Mapping[str, _struct_pb2.ListValue]] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("rows", "difference", "tolerance")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    rows: int
    difference: float
    tolerance: float
    def __init__(self, rows: _Optional[int] = ..., difference: _Optional[float] = ..., tolerance: _Optional[float] = ...) -> None: ...

class ModelVersionStatus(_message.Message):
    __slots__ = ("version", "state", "status")
    class Status(_message.Message):
        __slots__ = ("error_code", "error_message")
        ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
        ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
        error_code: str
        error_message: str
        def __init__(self, error_code: _Optional[str] = ..., error_message: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    version: str
    state: str
    status: ModelVersionStatus.Status
    def __init__(self, version: _Optional[str] = ..., state: _Optional[str] = ..., status: _Optional[_Union[ModelVersionStatus.Status, _Mapping]] = ...) -> None: ...

class DescribeModelResponse(_message.Message):
    __slots__ = ("name", "version", "ready", "task", "head", "features", "classes", "decision", "metrics", "dtype", "proof", "fingerprint", "provenance", "example", "model_version_status", "outputs")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class ProvenanceEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_STATUS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    ready: bool
    task: str
    head: str
    features: _containers.RepeatedCompositeFieldContainer[Feature]
    classes: _containers.RepeatedScalarFieldContainer[str]
    decision: Decision
    metrics: _containers.ScalarMap[str, float]
    dtype: str
    proof: Proof
    fingerprint: str
    provenance: _containers.ScalarMap[str, str]
    example: _struct_pb2.Struct
    model_version_status: _containers.RepeatedCompositeFieldContainer[ModelVersionStatus]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., ready: _Optional[bool] = ..., task: _Optional[str] = ..., head: _Optional[str] = ..., features: _Optional[_Iterable[_Union[Feature, _Mapping]]] = ..., classes: _Optional[_Iterable[str]] = ..., decision: _Optional[_Union[Decision, _Mapping]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., dtype: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., fingerprint: _Optional[str] = ..., provenance: _Optional[_Mapping[str, str]] = ..., example: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., model_version_status: _Optional[_Iterable[_Union[ModelVersionStatus, _Mapping]]] = ..., outputs: _Optional[_Iterable[str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelSummary(_message.Message):
    __slots__ = ("name", "version", "ready", "task", "n_features", "classes", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    N_FEATURES_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    ready: bool
    task: str
    n_features: int
    classes: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., ready: _Optional[bool] = ..., task: _Optional[str] = ..., n_features: _Optional[int] = ..., classes: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "details")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    details: _containers.RepeatedCompositeFieldContainer[ModelSummary]
    def __init__(self, models: _Optional[_Iterable[str]] = ..., details: _Optional[_Iterable[_Union[ModelSummary, _Mapping]]] = ...) -> None: ...

"""A job file is read strictly, and a wrong one reports all its mistakes at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sigmax.contract import Colour, FloatType, Head, Image, Kind, Resize, Task, Unknown
from sigmax.errors import InvalidInput
from sigmax_training import job as jobs
from sigmax_training.job import (
    Builtin,
    Calibration,
    Column,
    Decision,
    Evaluation,
    Logistic,
    Perceptron,
    Photographs,
    Pictures,
    Splitting,
    Tabular,
)
from sigmax_training.tuning import Cost, FBeta, Objective, RecallAtPrecision

MINIMAL = "name = 'iris'\n[data]\nbuiltin = 'iris'\n"


def refused(text: str) -> str:
    with pytest.raises(InvalidInput) as error:
        jobs.parse(text, Path())
    return str(error.value)


def test_a_name_and_data_are_enough() -> None:
    job = jobs.parse(MINIMAL, Path())

    assert job == jobs.Job(name="iris", data=Builtin("iris"))


def test_every_key_is_read() -> None:
    text = """
        name = "churn"
        seed = 7
        head = "softmax"
        dtype = "float32"
        [data]
        path = "rows.csv"
        target = "left"
        [decision]
        classes = [true, false]
        positive = true
        threshold = 0.25
        [estimator]
        kind = "mlp"
        standardise = false
        hidden = [8, 4]
        alpha = 0.5
        learning_rate = 0.01
        batch_size = 16
        epochs = 9
        patience = 3
        activation = "tanh"
        optimiser = "sgd"
        momentum = 0.5
        class_weight = "balanced"
        [calibration]
        method = "temperature"
        [validation]
        fraction = 0.25
        [evaluation]
        folds = 3
        repeats = 2
        test_fraction = 0.5
    """

    job = jobs.parse(text, Path("/jobs"))

    assert job == jobs.Job(
        name="churn",
        seed=7,
        head=Head.SOFTMAX,
        dtype=FloatType.FLOAT32,
        data=Tabular((Path("/jobs/rows.csv"),), ("left",)),
        decision=Decision(("true", "false"), "true", 0.25),
        estimator=Perceptron(
            hidden=(8, 4),
            activation="tanh",
            optimiser="sgd",
            learning_rate=0.01,
            momentum=0.5,
            batch_size=16,
            epochs=9,
            patience=3,
            alpha=0.5,
            class_weight="balanced",
        ),
        calibration=Calibration.TEMPERATURE,
        validation=0.25,
        standardise=False,
        evaluation=Evaluation(folds=3, repeats=2, test_fraction=0.5),
    )


def test_the_colour_mode_of_the_photographs_is_a_key() -> None:
    job = jobs.parse("name='x'\n[data]\nbuiltin='sample_photographs'\ncolour='rgb'\nstride=40", Path())

    assert job.data == Photographs(Colour.RGB, size=100, stride=40, flips=True)


def test_an_absolute_path_of_data_stays_as_it_is(tmp_path: Path) -> None:
    job = jobs.parse(f"name='x'\n[data]\npath='{tmp_path}/r.csv'\ntarget='y'", Path("/jobs"))

    assert job.data == Tabular((tmp_path / "r.csv",), ("y",))


def test_a_folder_of_pictures_needs_a_size_and_nothing_else() -> None:
    job = jobs.parse("name='x'\n[data]\nimages='photos/'\nsize=32", Path("/jobs"))

    assert job.data == Pictures(Path("/jobs/photos"), (32, 32), Colour.RGB, Resize.BILINEAR, flips=False)
    assert job.data.block == Image(Colour.RGB, "CHW", 32, 32, Resize.BILINEAR, 1 / 255)


def test_every_key_of_pictures_is_read() -> None:
    keys = "size=[24, 32]\ncolour='grey'\nresize='lanczos'\nflips=true"
    expected = Pictures(Path("/p"), (24, 32), Colour.GREY, Resize.LANCZOS, flips=True)

    of_folder = jobs.parse(f"name='x'\n[data]\nimages='/p'\n{keys}", Path()).data
    of_csv = jobs.parse(f"name='x'\n[data]\npath='/p'\ntarget='y'\nimage='f'\n{keys}", Path()).data

    assert of_folder == expected
    assert of_csv == replace(expected, target="y", image="f")


def test_all_mistakes_are_reported_together() -> None:
    text = """
        name = "No Such"
        sed = 1
        [data]
        builtin = "irsi"
        [estimator]
        C = -1
        solvr = "lbfgs"
        [evaluation]
        folds = 1
        test_fraction = 1.5
    """

    message = refused(text)

    for part in (
        "name is 1 to 64 of a-z",
        "sed is not a key that is known here, did you mean 'seed'?",
        "data.builtin is one of",
        "did you mean 'iris'?",
        "estimator.C is a number above 0, not '-1'",
        "estimator.solvr is not a key that is known here, did you mean 'solver'?",
        "evaluation.folds is an integer of at least 2",
        "evaluation.test_fraction is a number between 0 and 1, not '1.5'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "name is missing"),
        ("name = 3", "name is a text that is not empty, not '3'"),
        ("name = 'x'", "exactly one of them says where the rows are"),
        ("name='x'\n[data]\nbuiltin='iris'\npath='a.csv'\ntarget='y'", "exactly one of them"),
        ("name='x'\n[data]\npath='a.csv'", "data.target or data.targets: one column of classes"),
        ("name='x'\ndata='iris'", "data is a table, not 'iris'"),
        ("name='x'\n[data]\nbuiltin='iris'\nstride=20", "data.stride is not a key"),
        ("name='x'\n[data]\nimages='p'\nbuiltin='iris'\nsize=8", "exactly one of them says where the rows"),
        ("name='x'\n[data]\nimages='p'\npath='a.csv'\nsize=8", "exactly one of them says where the rows"),
        ("name='x'\n[data]\nimages='p'", "data.size is missing: a number of pixels from 1 to 1024"),
        (
            "name='x'\n[data]\nimages='p'\nsize=0",
            "data.size is a number of pixels from 1 to 1024, or",
        ),
        ("name='x'\n[data]\nimages='p'\nsize=[8]", "or [height, width], not '[8]'"),
        ("name='x'\n[data]\nimages='p'\nsize=[8,2000]", "or [height, width], not '[8, 2000]'"),
        ("name='x'\n[data]\nimages='p'\nsize=true", "or [height, width], not 'True'"),
        ("name='x'\n[data]\nimages='p'\nsize=8\ncolour='gray'", "data.colour is one of rgb, hsv, grey, not"),
        ("name='x'\n[data]\nimages='p'\nsize=8\nresize='cubic'", "did you mean 'bicubic'?"),
        ("name='x'\n[data]\nimages='p'\nsize=8\ntarget='y'", "data.target is not a key"),
        ("name='x'\n[data]\npath='a.csv'\nimage='f'\nsize=8", "data.target is missing"),
        ("name='x'\n[data]\npath='a.csv'\ntarget='y'\nsize=8", "data.size is not a key"),
        (MINIMAL + "[estimator]\nkind='mlp'\nC=1.0", "estimator.C belongs to kind = 'logistic_regression'"),
        (MINIMAL + "[estimator]\nhidden=[8]", "estimator.hidden belongs to kind = 'mlp'"),
        (MINIMAL + "[estimator]\nkind='mlp'\nhidden=[true]", "estimator.hidden is a list of positive"),
        (MINIMAL + "[estimator]\nkind='forest'", "estimator.kind is one of logistic_regression, mlp"),
        (MINIMAL + "[estimator]\nstandardise=1", "estimator.standardise is true or false, not '1'"),
        (MINIMAL + "[estimator]\nC=nan", "estimator.C is a number above 0"),
        (MINIMAL + "[estimator]\nC=inf", "estimator.C is a number above 0"),
        (MINIMAL + "[estimator]\nmax_iter=true", "estimator.max_iter is an integer"),
        (MINIMAL + "[decision]\nthreshold=1", "decision.threshold is a number between 0 and 1"),
        (MINIMAL + "[decision]\nclasses=['a']", "decision.classes is a list of two or more different labels"),
        (MINIMAL + "[decision]\nclasses=['a','a']", "decision.classes is a list of two or more"),
        (
            MINIMAL + "[decision]\nclasses=['a','b']\npositive='c'",
            "decision.positive is one of decision.classes",
        ),
        (MINIMAL + "[decision]\npositive=''", "decision.positive is a label"),
        (
            MINIMAL + "[evaluation]\nby_group=true",
            "evaluation.by_group is written split = 'group' now, and key",
        ),
        (MINIMAL + "[evaluation]\nby_group=false", "evaluation.by_group is written split = 'group' now, and"),
        ("head='sigmiod'\n" + MINIMAL, "did you mean 'sigmoid'?"),
        ("dtype='float16'\n" + MINIMAL, "dtype is one of automatic, float32, float64"),
        ("seed=-1\n" + MINIMAL, "seed is an integer of at least 0"),
        ("name = ", "the job is not TOML"),
    ],
)
def test_a_mistake_is_named(text: str, expected: str) -> None:
    assert expected in refused(text)


TABLE = "name='x'\n[data]\npath='a.csv'\ntarget='y'\n[evaluation]\n"
PHOTOGRAPHS = "name='x'\n[data]\nbuiltin='sample_photographs'\n[evaluation]\n"
HALVES = "name='x'\n[data]\nbuiltin='sample_regions'\n[calibration]\nmethod='platt'\n[evaluation]\n"
FOLDER = "name='x'\n[data]\nimages='p'\nsize=8\n[evaluation]\n"


@pytest.mark.parametrize("split", list(Splitting))
def test_a_split_is_read_with_its_key(split: Splitting) -> None:
    key = None if split is Splitting.STRATIFIED else "환자"
    text = f"{TABLE}split='{split}'\nfolds=4\n" + ("" if key is None else f"key='{key}'\n")

    assert jobs.parse(text, Path()).evaluation == Evaluation(split, key, folds=4)


@pytest.mark.parametrize("split", ["group", "hash"])
def test_photographs_are_split_by_their_own_groups(split: str) -> None:
    job = jobs.parse(f"{PHOTOGRAPHS}split='{split}'", Path())

    assert job.evaluation == Evaluation(Splitting(split))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            TABLE + "split='groups'",
            "evaluation.split is one of stratified, group, time, hash, not 'groups', did",
        ),
        (TABLE + "split='group'", "evaluation.key is missing: the column that holds the group of each row"),
        (TABLE + "split='time'", "evaluation.key is missing: the column that holds the time of each row"),
        (TABLE + "split='hash'", "evaluation.key is missing: the column that holds a key of each row"),
        (TABLE + "split='hash'\nkey=''", "evaluation.key is a text that is not empty"),
        (TABLE + "split='hash'\nkey='y'", "evaluation.key is a column that is not a target, not 'y'"),
        (TABLE + "key='id'", "evaluation.key belongs to split = 'group', 'time' or 'hash'"),
        (TABLE + "split='time'\nkey='day'\nrepeats=2", "evaluation.repeats has no meaning beside split = 't"),
        (MINIMAL + "[evaluation]\nsplit='hash'", "evaluation.split = 'hash' needs the key column of a table"),
        (FOLDER + "split='group'", "evaluation.split = 'group' needs the key column of a table"),
        (PHOTOGRAPHS + "split='group'\nkey='strip'", "evaluation.key is for tables: the photographs have"),
        (
            PHOTOGRAPHS + "split='time'",
            "evaluation.split = 'time' needs times, and the photographs have none",
        ),
        (
            PHOTOGRAPHS + "split='group'\nrepeats=2",
            "evaluation.repeats has no meaning here: each of the 4 groups",
        ),
        (HALVES + "split='group'", "evaluation.split = 'group' fits on one of the photographs' two halves"),
    ],
)
def test_a_split_that_does_not_fit_the_job_is_named_before_the_data_is_read(text: str, expected: str) -> None:
    assert expected in refused(text)


def test_a_missing_job_file_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the job cannot be read: No such file"):
        jobs.read(tmp_path / "none.toml")


def test_a_job_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_bytes(b"name = '\xff'")

    with pytest.raises(InvalidInput, match="not UTF-8"):
        jobs.read(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())

    assert jobs.read(path).name == "iris"


def test_the_defaults_of_the_estimator_are_what_the_table_leaves_out() -> None:
    job = jobs.parse(MINIMAL + "[estimator]\nC = 2", Path())

    assert job.estimator == Logistic(C=2.0)


CSV = "name='x'\n[data]\npath='a.csv'\n"


def test_what_a_job_says_of_columns_is_read() -> None:
    text = """
        name = "x"
        logits = true
        [data]
        path = "a.csv"
        targets = ["red", "big"]
        ignore = ["id"]
        missing_values = ["NA"]
        [features]
        missing = "median"
        unknown = "zero"
        [features.columns."나이"]
        kind = "integer"
        missing = "constant"
        fill = -1
        [decision]
        threshold = { red = 0.25 }
        band = { red = 0.1, big = [0.4, 0.7] }
    """

    job = jobs.parse(text, Path("/jobs"))

    assert job.logits
    assert job.data == Tabular(
        (Path("/jobs/a.csv"),),
        ("red", "big"),
        ignore=("id",),
        missing_values=("NA",),
        default=Column(missing="median", unknown=Unknown.ZERO),
        columns={"나이": Column(Kind.INTEGER, "constant", -1.0)},
    )
    assert job.decision.threshold == {"red": 0.25}
    assert job.decision.band == {"red": 0.1, "big": (0.4, 0.7)}


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("objective='f_beta'\nbeta=2", FBeta(2.0)),
        ("objective='cost'\nfalse_negative=5", Cost(false_negative=5.0)),
        ("objective='recall_at_precision'\nprecision=0.95", RecallAtPrecision(0.95)),
    ],
)
def test_an_objective_for_thresholds_is_read(text: str, objective: Objective) -> None:
    job = jobs.parse(MINIMAL + "[decision.tune]\n" + text, Path())

    assert job.decision.tune == objective
    assert job.validates


def test_rows_are_set_aside_only_for_what_looks_at_them() -> None:
    early = "[estimator]\nkind='mlp'\n"

    assert not jobs.parse(MINIMAL, Path()).validates
    assert jobs.parse(MINIMAL + early, Path()).validates
    assert not jobs.parse(MINIMAL + early + "early_stopping=false", Path()).validates
    assert jobs.parse(MINIMAL + "[calibration]\nmethod='platt'", Path()).validates


def test_platts_calibration_of_several_classes_is_served_as_one_sigmoid_a_class() -> None:
    job = jobs.parse(MINIMAL + "[calibration]\nmethod='platt'", Path())

    assert job.head_for(Task.MULTICLASS) is Head.SOFTMAX
    assert job.served_head(Task.MULTICLASS) is Head.ONE_VS_REST
    assert job.served_head(Task.BINARY) is Head.SIGMOID


def test_an_mlp_without_a_hidden_layer_is_a_regression_by_mini_batches() -> None:
    job = jobs.parse(MINIMAL + "[estimator]\nkind='mlp'\nhidden=[]", Path())

    assert job.estimator == Perceptron(hidden=())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CSV, "data.target or data.targets"),
        (CSV + "target='a'\ntargets=['a']", "data.target or data.targets"),
        (CSV + "targets=['a','b']\nseparator=';'", "data.separator is for labels in the one column"),
        (CSV + "targets=['a','a']", "data.targets is a list of different texts"),
        (CSV + "target='a'\nignore=[3]", "data.ignore is a list of different texts"),
        (CSV + "target='a'\n[features]\nmissing='mode'", "features.missing is one of reject, category, mean"),
        (
            CSV + "target='a'\n[features]\nmissing='constant'",
            "features.fill is missing: missing = 'constant'",
        ),
        (CSV + "target='a'\n[features]\nfill=1", "features.fill belongs to missing = 'constant'"),
        (CSV + "target='a'\n[features]\nunknown='native'", "features.unknown is one of reject, zero"),
        (CSV + "target='a'\n[features.columns.b]\nkind='image'", "features.columns.b.kind is one of numeric"),
        (CSV + "target='a'\n[features.columns.b]\nkin='numeric'", "features.columns.b.kin is not a key"),
        (MINIMAL + "[features]\nmissing='mean'", "features.missing is not a key that is known here"),
        (MINIMAL + "[estimator]\npenalty='l1'\nsolver='lbfgs'", "estimator.solver of penalty = 'l1' is saga"),
        (MINIMAL + "[estimator]\nclass_wieght='balanced'", "known here, did you mean 'class_weight'?"),
        (CSV + "target='a'\nignroe=['b']", "known here, did you mean 'ignore'?"),
        (CSV + "target='a'\n[features]\nmising='mean'", "known here, did you mean 'missing'?"),
        (MINIMAL + "[estimator]\nl1_ratio=0.5", "estimator.l1_ratio belongs to penalty = 'elastic_net'"),
        (MINIMAL + "[estimator]\npenalty='none'\nC=2", "estimator.C has no meaning beside penalty = 'none'"),
        (MINIMAL + "[estimator]\nclass_weight='even'", "estimator.class_weight is one of balanced"),
        (MINIMAL + "[estimator]\nclass_weight={a=0}", "estimator.class_weight.a is a number above 0"),
        (
            MINIMAL + "[estimator]\nkind='mlp'\nmomentum=0.9",
            "momentum belongs to optimiser = 'sgd'",
        ),
        (MINIMAL + "[estimator]\nkind='mlp'\nactivation='gelu'", "estimator.activation is one of relu, tanh"),
        (
            MINIMAL + "[estimator]\nkind='mlp'\nearly_stopping=false\npatience=3",
            "estimator.patience has no meaning beside early_stopping = false",
        ),
        (MINIMAL + "[calibration]\nmethod='isotonic'", "'isotonic' is no option: steps of a probability"),
        (MINIMAL + "[calibration]\nmethod='beta'", "calibration.method is one of none, temperature, platt"),
        (
            "head='one_vs_rest'\n" + MINIMAL + "[calibration]\nmethod='temperature'",
            "calibration.method 'temperature' is for softmax and sigmoid; one_vs_rest has 'platt'",
        ),
        (MINIMAL + "[validation]\nfraction=0.2", "validation is for early stopping, calibration and tuned"),
        (MINIMAL + "[decision]\nthreshold=0.4\ntune={objective='f_beta'}", "decision.threshold is what"),
        (MINIMAL + "[decision]\ntune={objective='f1'}", "decision.tune.objective is one of f_beta, cost"),
        (MINIMAL + "[decision]\ntune={objective='cost',beta=1}", "decision.tune.beta is not a key"),
        (MINIMAL + "[decision]\nband=[0.6,0.4]", "decision.band is half a width or [low, high]"),
        (MINIMAL + "[decision]\nband=0.5", "decision.band is a number between 0 and 0.5"),
        (MINIMAL + "[decision]\nthreshold={a=2}", "decision.threshold.a is a number between 0 and 1"),
    ],
)
def test_a_mistake_in_the_newer_tables_is_named(text: str, expected: str) -> None:
    assert expected in refused(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"[estimator]\nC = 1{'0' * 400}\n", "estimator.C is a number above 0, not '1000"),
        (f"[decision]\nband = [0, 1{'0' * 400}]\n", "decision.band is a list of numbers, not '[0, 1000"),
        (f"[estimator]\nC = 1{'0' * 5000}\n", "the job has an integer of too many digits"),
        (f"seed = {'[' * 5000}{']' * 5000}\n", "lists too deep in lists"),
    ],
)
def test_a_number_that_is_too_large_for_a_float_is_refused(line: str, expected: str) -> None:
    assert expected in refused(MINIMAL + line if line.startswith("[") else line + MINIMAL)


def test_a_path_with_a_nul_in_it_is_refused() -> None:
    message = refused('name = "m"\n[data]\npath = "a\\u0000.csv"\ntarget = "y"\n')

    assert "data.path is a text that is not empty and has no NUL in it" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            MINIMAL + "[evalution]\nfolds=3",
            "evalution is not a key that is known here, did you mean 'evaluation'?",
        ),
        ("folds=3\n" + MINIMAL, "folds is not a key that is known here, did you mean 'evaluation.folds'?"),
        ("fold=3\n" + MINIMAL, "fold is not a key that is known here, did you mean 'evaluation.folds'?"),
        (MINIMAL + "seed=3", "data.seed is not a key that is known here, did you mean 'seed'?"),
        (
            MINIMAL + "[evaluation]\nsede=3",
            "evaluation.sede is not a key that is known here, did you mean 'seed'?",
        ),
        (MINIMAL + "[estimator]\nkind='mlp'\nfraction=0.2", "did you mean 'validation.fraction'?"),
        (MINIMAL + "[calibration]\nmethod='isotonic'\nfold=3", "calibration.fold is not a key"),
        (
            MINIMAL + "[[evaluation]]\nfolds=3",
            "evaluation is one table: write [evaluation], not [[evaluation]]",
        ),
        (MINIMAL + "[seed]\nx=1", "seed is an integer of at least 0, not '{'x': 1}'"),
        (MINIMAL + "[evaluation.folds]\nx=1", "evaluation.folds is an integer of at least 2, not '{'x': 1}'"),
        (MINIMAL + "[estimator.hiden]\nx=1", "estimator.hiden is not a key that is known here"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_the_right_one(text: str, expected: str) -> None:
    assert expected in refused(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + "[estimator]\nkind='mpl'\nhidden=[8]\nC=2", "estimator.kind is one of"),
        (
            MINIMAL + "[estimator]\npenalty='elasticnet'\nl1_ratio=0.5\nsolver='saga'",
            "estimator.penalty is one",
        ),
        (MINIMAL + "[estimator]\nkind='mlp'\noptimiser='SGD'\nmomentum=0.5", "estimator.optimiser is one of"),
        (
            MINIMAL + "[decision.tune]\nobjective='costs'\nfalse_negative=5",
            "decision.tune.objective is one of",
        ),
        (
            MINIMAL + "[calibration]\nmethod='plat'\n[validation]\nfraction=0.2",
            "calibration.method is one of",
        ),
        ("name='x'\ndata='iris'", "data is a table, not 'iris'"),
        (MINIMAL + "[decision]\ntune='f_beta'", "decision.tune is a table, not 'f_beta'"),
        ("name='x'\n[data]\nbuiltin='irsi'\n[evaluation]\nsplit='group'", "data.builtin is one of"),
        (TABLE + "split='goup'\nkey='g'", "evaluation.split is one of"),
    ],
)
def test_one_mistake_is_one_mistake_and_nothing_that_follows_from_it(text: str, expected: str) -> None:
    message = refused(text)

    assert message.startswith(expected)
    assert ";" not in message


def test_of_many_mistakes_none_is_left_out() -> None:
    wrong = [f"key_{number} = {number}" for number in range(60)]

    message = refused("\n".join(wrong) + "\n" + MINIMAL)

    assert message.count("is not a key that is known here") == 60


STREAM = (
    "name='x'\n[data]\npath='r.parquet'\ntarget='y'\nstream=true\n[estimator]\nkind='mlp'\n[evaluation]\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("folds=3", "evaluation.folds has no meaning beside data.stream = true: there are no folds"),
        ("repeats=3", "evaluation.repeats has no meaning beside data.stream = true"),
        ("split='stratified'", "evaluation.split = 'stratified' needs every row at once"),
    ],
)
def test_a_stream_has_no_folds_and_is_not_stratified(text: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        jobs.parse(STREAM + text, Path())

    assert expected in str(error.value)
    assert jobs.parse(STREAM + "test_fraction=0.1", Path()).evaluation.test_fraction == 0.1


def test_a_misspelt_path_hides_no_other_mistake() -> None:
    text = "name='x'\n[data]\npaths='r.csv'\ntraget='y'\ntarget='y'\n[features]\nmissing='medain'\n"

    with pytest.raises(InvalidInput) as error:
        jobs.parse(text, Path())

    for part in (
        "data.builtin or path or images: exactly one of them says where the rows are",
        "data.paths is not a key that is known here, did you mean 'path'?",
        "data.traget is not a key that is known here, did you mean 'target'?",
        "features.missing is one of",
        "not 'medain', did you mean 'median'?",
    ):
        assert part in str(error.value)
    assert "features.missing is not a key" not in str(error.value)


def test_lists_of_columns_may_be_empty() -> None:
    text = "name='x'\n[data]\npath='r.csv'\ntarget='y'\nignore=[]\nmissing_values=[]"

    assert jobs.parse(text, Path()).data == Tabular((Path("r.csv"),), ("y",))


def test_a_positive_class_that_is_none_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="not 'po', did you mean 'pos'"):
        jobs.parse(MINIMAL + "[decision]\nclasses=['pos','neg']\npositive='po'", Path())

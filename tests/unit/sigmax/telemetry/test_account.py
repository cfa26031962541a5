"""What a version has done: whole, and never more than the whole in its parts."""

from __future__ import annotations

from time import time

from hypothesis import given
from hypothesis import strategies as st

from sigmax.telemetry import totals
from sigmax.telemetry.account import MOST_SIZES, Account, Runs, Share
from sigmax.telemetry.metrics import LAST, SIZES, STAGES, TOTALS, Metrics
from sigmax.telemetry.totals import COUNTERS, Figures

VERSION = ("iris", "1")

SECONDS = st.floats(0, 1e3)
ROWS = st.integers(1, 9)
ALONE = st.tuples(st.just("alone"), ROWS, SECONDS, SECONDS, SECONDS, SECONDS)
SHARED = st.tuples(st.just("shared"), ROWS, SECONDS, SECONDS, SECONDS, SECONDS)
FAILED = st.tuples(st.just("failed"), ROWS, SECONDS, SECONDS, SECONDS, SECONDS)
Request = tuple[str, int, float, float, float, float]


def count(account: Account, request: Request, moment: float) -> None:
    """Count a request that came at some moment of a clock."""
    kind, rows, read, infer, rendering, queue = request
    if kind == "alone":
        ran = moment + read + infer
        account.alone(rows, moment, moment + read, ran, ran + rendering)
    elif kind == "shared":
        account.ran(rows, infer)
        account.shared(rows, Share(queue, infer, rows), read, rendering, queue + read + infer + rendering)
    else:
        account.failed(read)


@given(st.lists(ALONE | SHARED | FAILED, max_size=30), st.floats(0, 1e6))
def test_the_stages_never_take_more_than_the_requests_and_every_count_agrees(
    requests: list[Request], moment: float
) -> None:
    account = Account()
    for request in requests:
        count(account, request, moment)

    said, sizes = account.totals(), [runs.figures() for _, runs in account.sizes()]
    answered = [request for request in requests if request[0] != "failed"]
    assert said.success >= sum(account.stages())
    assert (said.answers, said.failures) == (len(answered), len(requests) - len(answered))
    assert said.rows == sum(request[1] for request in answered)
    assert said.runs == len(answered) == sum(runs[0] for runs in sizes) == account.rows().count
    # each run was one request's: what is told by size is what is told of all, each to the nanosecond below
    for stage, column in zip(account.stages()[1:], range(1, 4), strict=True):
        assert 0 <= stage - sum(runs[column] for runs in sizes) <= len(sizes) + stage * 1e-12


@given(st.lists(ALONE | SHARED | FAILED, max_size=30))
def test_no_figure_ever_goes_down(requests: list[Request]) -> None:
    account, before = Account(), Account()
    for request in requests:
        count(account, request, 5.0)
        assert all(now >= then for now, then in zip(account.totals(), before.totals(), strict=True))
        assert all(now >= then for now, then in zip(account.stages(), before.stages(), strict=True))
        count(before, request, 5.0)


def test_requests_that_share_a_run_are_a_success_each_and_one_run() -> None:
    account = Account()
    account.ran(5, infer=0.25)
    for rows, queue in ((2, 0.5), (3, 0.125)):
        account.shared(rows, Share(queue, 0.25, 5), read=0.0625, rendering=0.03125, took=1.0)

    assert account.totals() == (2, 0, 2_000_000_000, 0, 5, 1)
    assert account.stages() == (625_000_000, 125_000_000, 500_000_000, 62_500_000)
    assert [(rows, runs.figures()) for rows, runs in account.sizes()] == [
        (5, [1, 125_000_000, 250_000_000, 62_500_000])
    ]


def test_a_run_whose_answer_could_not_be_written_is_a_run_and_a_failure() -> None:
    metrics = Metrics()
    metrics.verb("rest", "classes").request(*VERSION, "INVALID_INPUT", 1.0, 3, read=1.5, ran=1.75)

    figures = metrics.figures()

    assert figures[COUNTERS, SIZES, (*VERSION, "3")] == [1, 500_000_000, 250_000_000, 0]
    answers, failures, success, fail, rows, runs = totals_of(figures)
    assert (answers, failures, success, rows, runs) == (0, 1, 0, 0, 1)
    assert fail > 0


def test_a_request_that_was_refused_before_its_run_is_no_run() -> None:
    metrics = Metrics()
    metrics.verb("rest", "classes").request(*VERSION, "INVALID_INPUT", 1.0, 3)

    answers, failures, _, _, _, runs = totals_of(metrics.figures())

    assert (answers, failures, runs) == (0, 1, 0)


def test_sizes_beyond_the_first_are_counted_together_and_no_run_is_lost() -> None:
    account = Account()
    sizes = range(1, 2 * MOST_SIZES)
    for rows in (*sizes, 1, MOST_SIZES, MOST_SIZES + 1):
        account.alone(rows, 1.0, 1.5, 2.0, 2.5)

    counted = {rows: runs.count for rows, runs in account.sizes()}

    assert counted == dict.fromkeys(range(1, MOST_SIZES + 1), 1) | {1: 2, MOST_SIZES: 2}
    assert account.totals().runs == len(sizes) + 3 == account.rows().count
    assert account.totals().rows == sum(sizes) + 1 + MOST_SIZES + MOST_SIZES + 1 == account.rows().total


def test_the_last_run_is_said_as_a_moment_of_the_calendar_and_stays_the_same() -> None:
    account = Account()
    assert account.last() == 0
    before = int(1000 * time())
    account.ran(1, 0.5)

    last = account.last()

    assert before - 1 <= last <= 1000 * time() + 1
    assert account.last() == last


def test_two_processes_are_their_sum_and_the_later_of_their_last_runs() -> None:
    total: Figures = {}
    for size, read in ((2, 0.5), (3, 0.25), (3, 0.25)):
        metrics = Metrics()
        metrics.lane(*VERSION).run(size, 0.125)
        verb = metrics.verb("grpc", "infer")
        verb.request(*VERSION, "OK", 1.0, size, read=1.0 + read, ran=2.0, share=Share(0.0, 0.125, size))
        own = metrics.figures()
        totals.add(total, own)

    answers, failures, _, _, rows, runs = totals_of(total)
    assert (answers, failures, rows, runs) == (3, 0, 8, 3)
    assert total[COUNTERS, SIZES, (*VERSION, "3")][:3] == [2, 500_000_000, 250_000_000]  # type: ignore[index]
    assert total[COUNTERS, STAGES, VERSION][1:3] == [1_000_000_000, 375_000_000]  # type: ignore[index]
    assert total[totals.LATEST, LAST, VERSION] == own[totals.LATEST, LAST, VERSION]
    assert totals.lasting(total).keys() >= {(COUNTERS, TOTALS, VERSION), (totals.LATEST, LAST, VERSION)}


def totals_of(figures: Figures) -> list[float]:
    said = figures[COUNTERS, TOTALS, VERSION]
    assert isinstance(said, list)
    return said


def test_what_operators_see_is_in_seconds_and_by_stage() -> None:
    metrics = Metrics()
    metrics.lane(*VERSION).run(1, 0.125)
    share = Share(0.5, 0.125, 1)
    metrics.verb("grpc", "infer").request(*VERSION, "OK", 1.0, 1, read=1.25, ran=2.0, share=share)

    text = metrics.exposition().decode()

    assert 'sigmax_stage_seconds_total{model="iris",stage="queue",version="1"} 0.5\n' in text
    assert 'sigmax_stage_seconds_total{model="iris",stage="compute_input",version="1"} 0.25\n' in text
    assert 'sigmax_stage_seconds_total{model="iris",stage="compute_infer",version="1"} 0.125\n' in text
    assert 'sigmax_last_inference_timestamp_seconds{model="iris",version="1"} 1.' in text
    assert "sigmax_statistics" not in text


def test_runs_tell_whole_nanoseconds() -> None:
    runs = Runs()
    runs.count, runs.input = 2, 1.0000000019

    assert runs.figures() == [2, 1_000_000_001, 0, 0]
    assert all(isinstance(figure, int) for figure in runs.figures())

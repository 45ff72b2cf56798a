"""What a soak's samples come to, on samples made up for it."""

import math

import pytest

from benchmarks.page import with_section
from benchmarks.soak_figures import LAG_RECORDS_MAX, Line, Process, Sample, fit, judge, tables
from benchmarks.soak_sampling import is_data_file, name_of


def samples(
    *, mb_a_minute: float = 0.0, handles_a_minute: float = 0.0, lag: int = 10, pid: int = 7
) -> list[Sample]:
    """Return ten minutes of one worker whose memory swings by 1 MiB."""
    return [
        Sample(
            5.0 * n,
            {
                "ingest": Process(
                    100 + mb_a_minute * n / 12 + n % 2,
                    200,
                    40 + int(handles_a_minute * n / 12),
                    0,
                    12,
                    (7 if n < 60 else pid,),
                )
            },
            {"lane": lag if n == 30 else 0},
        )
        for n in range(120)
    ]


def test_slope_of_a_straight_line_has_no_error() -> None:
    line = fit([0, 60, 120, 180], [1, 3, 5, 7])

    assert line.slope_a_minute == pytest.approx(2)
    assert line.error_a_minute == pytest.approx(0, abs=1e-9)


def test_error_of_a_slope_is_that_of_the_textbook() -> None:
    line = fit([0, 1, 2, 3, 4], [0, 2, 1, 3, 2])

    assert line.slope_a_minute == pytest.approx(60 * 0.5)
    # Residuals -0.6, 0.9, -0.6, 0.9, -0.6: 2.7 over 3 degrees of freedom, over a spread of 10.
    assert line.error_a_minute == pytest.approx(60 * math.sqrt(2.7 / 3 / 10))


def test_error_of_a_saw_is_that_of_the_samples_it_is_worth() -> None:
    saw = [float(n % 40) for n in range(400)]
    times_s = [5.0 * n for n in range(400)]

    lone = fit(times_s[::40], saw[7::40])  # one sample a tooth sees no saw
    whole = fit(times_s, saw)

    assert lone.error_a_minute == pytest.approx(0, abs=1e-9)
    shuffled = [saw[7 * n % 400] for n in range(400)]
    assert whole.error_a_minute > 3 * fit(times_s, shuffled).error_a_minute
    assert not whole.exceeds(0.5)


def test_growth_under_a_saw_is_seen() -> None:
    times_s = [5.0 * n for n in range(290)]
    grown = [30.0 * (n % 40) / 40 + 2.0 * n / 12 for n in range(290)]

    assert fit(times_s, grown).exceeds(0.5)


@pytest.mark.parametrize("times", [[1.0, 2.0], [1.0, 1.0, 1.0]])
def test_too_few_samples_give_no_slope(times: list[float]) -> None:
    with pytest.raises(ValueError, match="three samples"):
        fit(times, times)


def test_slope_that_is_no_number_is_not_within_a_bound() -> None:
    assert Line(math.nan, math.nan).exceeds(1.0)


def test_flat_run_is_held() -> None:
    verdict = judge(samples(), exit_code=0)

    assert verdict.is_held
    assert tables(verdict)[-1] == "Every bound held."


@pytest.mark.parametrize(
    ("found", "exit_code", "said"),
    [
        (samples(mb_a_minute=1.0), 0, "ingest: memory grew"),
        (samples(handles_a_minute=1.0), 0, "ingest: handles grew"),
        (samples(lag=LAG_RECORDS_MAX + 1), 0, "lane: 200,001 records behind"),
        (samples(pid=8), 0, "ingest: was started again"),
        (samples(), 1, "exit code 1 after SIGTERM"),
        (samples(), None, "exit code None after SIGTERM"),
    ],
)
def test_each_bound_can_be_broken(found: list[Sample], exit_code: int | None, said: str) -> None:
    verdict = judge(found, exit_code)

    assert not verdict.is_held
    assert [words for words in verdict.breaks if words.startswith(said)]
    assert said in tables(verdict)[-1]


def test_process_that_is_gone_at_the_end_breaks_the_run() -> None:
    found = samples()
    found[-1].processes.clear()

    assert judge(found, 0).breaks == ["ingest: ran in 95 of 96 samples"]


def test_growth_in_the_warm_up_does_not_count() -> None:
    found = samples()
    for sample in found[:20]:
        sample.processes["ingest"] = Process(1, 1, 1, 0, 1, (7,))

    assert judge(found, 0).is_held


def test_run_without_lags_is_not_held() -> None:
    found = samples()
    for sample in found:
        sample.lags.clear()

    assert judge(found, 0).breaks == ["no lag was ever read"]


def test_short_run_is_not_judged() -> None:
    with pytest.raises(ValueError, match="10 samples"):
        judge(samples()[:5], 0)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python -m headrace worker trading --step=a --step=b", "a+b"),
        ("python -m headrace worker trading --sink=redis", "sink-redis"),
        ("python -m headrace worker trading --gateway=paper", "gateway-paper"),
        ("python -m headrace feed trading --feed=capture:x", "feed"),
        ("python -m headrace up trading", "up"),
        ("java -Xmx512m -cp a.jar kafka.Kafka server.properties", "kafka"),
        ("redis-server unixsocket:/x", "redis"),
        ("postgres: checkpointer", "postgres"),
        ("/bin/sh -c true", ""),
    ],
)
def test_processes_are_named_by_their_command_lines(command: str, name: str) -> None:
    assert name_of(command.split()) == name


@pytest.mark.parametrize(
    ("path", "is_data"),
    [
        ("/home/kafka/data/a-0/00.log", True),
        ("/home/state/lane/0/000004.sst", True),
        ("/home/state/lane/0/000004.sst (deleted)", False),
        ("/home/postgres/data/base/5/16384", True),
        ("socket:[1234]", False),
        ("/home/kafka.jar", False),
    ],
)
def test_files_that_keep_data_are_told_from_other_handles(path: str, is_data: bool) -> None:
    assert is_data_file(path) is is_data


def test_section_is_replaced_and_the_rest_of_the_page_is_kept() -> None:
    page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"

    assert with_section(page, "x", ["new"]) == "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n"


@pytest.mark.parametrize("page", ["", "<!-- x: begin -->", "<!-- x: end -->"])
def test_page_without_a_place_for_the_section_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="expected a section"):
        with_section(page, "x", [])

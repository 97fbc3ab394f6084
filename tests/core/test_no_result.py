"""`result` of a job that has none: IPython's text, which says so whatever is done with it."""

import copy
import operator
import pickle

import pytest

RUNNING = "<BackgroundJob has not completed>"
DEAD = "<BackgroundJob died, call jobs.traceback() for details>"


@pytest.fixture(params=["running", "dead"])
def job(request, manager, hold):
    if request.param == "running":
        yield hold(name="slow")
    else:
        job = manager.options(name="slow").new("1 / 0")
        job.join(10)
        yield job


def text_of(job):
    return DEAD if job.done() else RUNNING


def test_it_is_shown_compared_and_kept_as_ipythons_text(job):
    result, text = job.result, text_of(job)
    assert isinstance(result, str)
    assert result == text
    assert text == result
    assert result != "other"
    assert (str(result), repr(result), f"{result}", f"{result!r}", operator.mod("%s", result)) == (
        text,
        repr(text),
        text,
        repr(text),
        text,
    )
    assert type(str(result)) is str
    assert {result: 1}[text] == 1
    assert result in {text, 1}
    assert "BackgroundJob" in result


@pytest.mark.parametrize(
    "use",
    [
        lambda result: result(),
        lambda result: result + 1,
        lambda result: 1 + result,
        lambda result: "text" + result,
        lambda result: result + "text",
        lambda result: result * 2,
        lambda result: 2 * result,
        lambda result: -result,
        lambda result: result % 3,
        lambda result: result / 2,
        lambda result: result // 2,
        lambda result: 2**result,
        lambda result: result | {},
        lambda result: operator.iadd([], result),
        lambda result: sum([result]),
        lambda result: result < 1,
        lambda result: result < "a",
        lambda result: result <= "a",
        lambda result: max(1, result),
        lambda result: sorted([result, result]),
        bool,
        lambda result: result or 1,
        len,
        list,
        next,
        lambda result: [each + 1 for each in result],
        lambda result: print(*result),
        reversed,
        lambda result: result[0],
        lambda result: result["column"],
        lambda result: result[1:],
        lambda result: 1 in result,
        lambda result: [1, 2][result],
        range,
        int,
        float,
        round,
        lambda result: f"{result:.2f}",
        lambda result: "%d" % result,  # noqa: UP031
        lambda result: operator.setitem(result, 0, 1),
        lambda result: result.__enter__(),
    ],
)
def test_any_other_use_says_what_to_do(job, use):
    with pytest.raises(TypeError, match=r"job \d+ \('slow'\) is (running|failed), and has no result.*job\.get\(\)"):
        use(job.result)


def test_an_attribute_says_what_to_do(job):
    for use in (
        lambda result: result.shape,
        lambda result: result.upper(),
        lambda result: result.split(),
        lambda result: setattr(result, "name", 1),
        lambda result: delattr(result, "name"),
    ):
        with pytest.raises(AttributeError, match=r"'slow'.*job\.get\(\)"):
            use(job.result)
    assert not hasattr(job.result, "_repr_html_")


def test_the_call_of_a_future_says_get_or_no_parentheses(hold):
    with pytest.raises(TypeError, match=r"cannot be called\. job\.get\(\) waits .* job\.result, without \(\)"):
        hold().result()


def test_copies_say_it_too(job):
    for copied in (copy.copy(job.result), copy.deepcopy([job.result])[0], pickle.loads(pickle.dumps(job.result))):
        assert copied == text_of(job)
        with pytest.raises(TypeError, match=r"job\.get"):
            copied + 1


def test_numpy_does_not_take_it_for_a_text(job):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match=r"job\.get"):
        numpy.float64(1) + job.result
    with pytest.raises(TypeError, match=r"job\.get"):
        numpy.arange(3) * job.result


def test_the_manager_gives_the_same(manager, hold):
    job = hold()
    with pytest.raises(TypeError, match=r"job\.get"):
        manager.result(job.num) + 1


def test_a_job_that_never_ran_has_none(single, hold):
    hold(on=single)
    job = single.new("1")
    with pytest.raises(TypeError, match=r"is queued, and has no result"):
        job.result + 1
    job.cancel()
    with pytest.raises(TypeError, match=r"is cancelled, and has no result"):
        job.result + 1

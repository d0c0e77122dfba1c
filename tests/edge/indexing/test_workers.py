"""Many videos at a time, here and on a cluster: a worker that is killed half-way costs nothing and doubles nothing."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from edge.history.event_store import EventStore
from edge.indexing import indexed_videos
from edge.indexing.dask_workers import ClusterError, search_on_cluster
from edge.indexing.local_workers import WorkerProcessError, search_here
from edge.indexing.search_job import Answer, SearchFailed, SearchJob
from edge.indexing.video_parts import SearchSettings, VideoPart
from edge.packages import MissingPackageError
from tests.support.indexed_clips import found_in, settings, write_spots

COUNT = 5  # videos


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [write_spots(folder / f"{number}.avi") for number in range(COUNT)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    store = EventStore(tmp_path / "s.sqlite")
    yield store
    store.close()


def jobs(store: EventStore, videos: list[Path]) -> list[SearchJob]:
    for video in videos:
        indexed_videos.begin(store, video, "it", "model")
    return [SearchJob(video, "it") for video in videos]


def keep(store: EventStore, answers: Iterable[tuple[SearchJob, Answer]]) -> Iterator[SearchJob]:
    """Store all parts, one at each turn; none may fail, and none may come twice."""
    for job, answer in answers:
        assert not isinstance(answer, SearchFailed), answer.fault
        if isinstance(answer, VideoPart):
            assert indexed_videos.add(store, job.video, job.identity, answer, 1e9)
            yield job


def every_video_once(store: EventStore) -> None:
    assert found_in(store.path) == [(f"{number}.avi", pytest.approx(0.4)) for number in range(COUNT)]


def test_a_killed_process_is_replaced(tmp_path: Path, videos: list[Path], store: EventStore) -> None:
    others = set(multiprocessing.active_children())
    answers = search_here(settings(tmp_path), jobs(store, videos), 2)
    first = next(answers)
    killed = next(iter(set(multiprocessing.active_children()) - others))
    os.kill(killed.pid or 0, signal.SIGKILL)
    list(keep(store, [first]))
    list(keep(store, answers))
    every_video_once(store)
    assert set(multiprocessing.active_children()) <= others


class Deadly(type(Path())):  # type: ignore[misc]
    """A path that ends the process that is given it."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)


def test_a_video_that_kills_two_processes_is_given_up(tmp_path: Path, videos: list[Path], store: EventStore) -> None:
    deadly, *others = SearchJob(Deadly("deadly.avi"), "it"), *jobs(store, videos[:1])
    found = list(search_here(settings(tmp_path), [deadly, *others], 1))
    ((job, failed),) = [(job, answer) for job, answer in found if isinstance(answer, SearchFailed)]
    assert job is deadly
    assert failed.fault == (
        "deadly.avi: the process that looks through it ended twice, perhaps for lack of memory: try --jobs 1"
    )
    assert any(isinstance(answer, VideoPart) and answer.ended for _, answer in found)  # the other video


def test_a_model_that_cannot_be_opened_is_one_sentence(tmp_path: Path, videos: list[Path]) -> None:
    chosen = settings(tmp_path)
    (tmp_path / "spot.onnx").write_bytes(b"no model")
    others = set(multiprocessing.active_children())
    with pytest.raises(WorkerProcessError, match=r"spot\.onnx"):
        list(search_here(chosen, [SearchJob(videos[0], "it")], 1))
    assert set(multiprocessing.active_children()) <= others


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster_loses_and_doubles_nothing(
    tmp_path: Path, videos: list[Path], store: EventStore
) -> None:
    distributed = pytest.importorskip("distributed", reason="distributed is not here: pip install 'korsal-edge[dask]'")
    chosen: SearchSettings = settings(tmp_path)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp") as cluster,
        distributed.Client(cluster) as client,
    ):
        kept = keep(store, search_on_cluster(chosen, jobs(store, videos), cluster.scheduler_address))
        next(kept)
        pid = next(iter(client.run(os.getpid).values()))
        os.kill(pid, signal.SIGKILL)
        list(kept)
    every_video_once(store)


def test_a_cluster_that_is_not_there_is_one_sentence(
    tmp_path: Path, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt() -> None:
        list(search_on_cluster(settings(tmp_path), [SearchJob(videos[0], "it")], "tcp://127.0.0.1:9"))

    with monkeypatch.context() as patch:
        patch.setattr("edge.packages.find_spec", lambda name: None)
        with pytest.raises(MissingPackageError, match=r"korsal-edge\[dask\]"):
            attempt()
    pytest.importorskip("distributed", reason="distributed is not here: pip install 'korsal-edge[dask]'")
    monkeypatch.setattr("edge.indexing.dask_workers.CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match="no Dask scheduler can be reached there"):
        attempt()

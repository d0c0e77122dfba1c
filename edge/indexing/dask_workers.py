"""Looks through videos on an existing Dask cluster, a whole video for each task. Shell over `distributed`.

All machines must see the videos, and the model, under the same paths, and have the same korsal-edge. A worker that dies
gives its video to another; what it had found is found again, and nothing of it has been stored.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from edge import packages
from edge.indexing.search_job import Answer, SearchFailed, SearchJob, answers
from edge.indexing.video_parts import SearchSettings, VideoSearcher
from edge.inference import EngineError

CONNECT_SECONDS = 20

_of_thread = threading.local()  # the opened model of each thread of a worker


class ClusterError(Exception):
    """A cluster that cannot be reached or is gone; the message names it and the remedy."""


def search_on_cluster(
    settings: SearchSettings, jobs: Sequence[SearchJob], address: str
) -> Iterator[tuple[SearchJob, Answer]]:
    """The answers to all jobs as their videos are done. Raises ClusterError, MissingPackageError."""
    packages.require("distributed")
    from distributed import Client, as_completed

    try:
        client: Any = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split()) or "it does not answer"
        raise ClusterError(f"{address}: no Dask scheduler can be reached there ({reason}): start one") from error
    with client:
        futures = {client.submit(search_whole, settings, job, pure=False): job for job in jobs}
        for future in as_completed(list(futures)):
            yield from ((futures[future], answer) for answer in _answers(address, futures[future], future))
            future.release()


def _answers(address: str, job: SearchJob, future: Any) -> Sequence[Answer]:
    if future.status == "finished":
        found: Sequence[Answer] = future.result()
        return found
    if future.status == "error":
        return (SearchFailed(f"{job.video}: its worker failed: {' '.join(str(future.exception()).split())}"),)
    raise ClusterError(f"{address}: the cluster is gone; the same command goes on once it is back")


def search_whole(settings: SearchSettings, job: SearchJob) -> list[Answer]:
    """All answers to one job; this runs on a worker."""
    try:
        return list(answers(_searcher(settings), job))
    except EngineError as error:
        return [SearchFailed(f"{job.video}: {error}")]


def _searcher(settings: SearchSettings) -> VideoSearcher:
    """One for each thread of a worker, which keeps it for the next video."""
    text = f"{settings.camera} {settings.config.model_dump_json()}"
    if getattr(_of_thread, "text", None) != text:
        _of_thread.searcher = VideoSearcher(settings)
        _of_thread.text = text
    found: VideoSearcher = _of_thread.searcher
    return found

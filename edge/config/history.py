"""`[history]` and `[teaching]`: what is kept of events, and of what the model is in doubt of. Pure."""

from typing import Annotated

from pydantic import Field, model_validator

from edge.config.schema_types import YEAR, Table, TableError


class HistoryConfig(Table):
    """`[history]`; times in seconds, sizes in bytes and pixels."""

    enabled: bool = False
    pictures: bool = True
    publish_pictures: bool = False
    clips: bool = True
    copy_streams: bool = True
    seconds_before: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 5.0
    seconds_after: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 3.0
    max_clip_seconds: Annotated[float, Field(ge=1, le=600, allow_inf_nan=False)] = 60.0
    clip_width: Annotated[int, Field(ge=64, le=3840)] = 1280
    max_age: Annotated[float, Field(ge=60, le=10 * YEAR, allow_inf_nan=False)] = 30 * 86_400.0
    max_bytes: Annotated[int, Field(ge=1024 * 1024)] = 4 * 1024 * 1024 * 1024
    max_events: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    @model_validator(mode="after")
    def _clips_reach_their_events(self) -> "HistoryConfig":
        if self.max_clip_seconds <= self.seconds_before:
            raise TableError({"max_clip_seconds": f"is all before the event: give more than {self.seconds_before:g}"})
        return self


class TeachingConfig(Table):
    """`[teaching]`; sizes in bytes."""

    keep: bool = False
    max_clips: Annotated[int, Field(ge=1, le=100_000)] = 200
    max_bytes: Annotated[int, Field(ge=1024 * 1024)] = 1024 * 1024 * 1024
    allow_fetch: bool = False

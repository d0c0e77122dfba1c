"""The schema of `config.toml`: every key, its range and its default. Pure.

The schema is the parser: unknown keys, values of another type and values out of range are errors. What a key means is
documented once, in `config.toml`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edge.config.actions import ActionConfig, action_problems, check_actions, required_zone_problems
from edge.config.history import HistoryConfig, TeachingConfig
from edge.config.schema_types import (
    TUNABLE,
    YEAR,
    ActionLabel,
    AnyZone,
    Celsius,
    Duration,
    FilePath,
    Fraction,
    HostName,
    Identifier,
    IpAddress,
    Pixels,
    PrintableLine,
    Score,
    SourceUri,
    Table,
    TableError,
    TileGrid,
    TileOverlap,
    TopicPath,
    UnitPolygon,
    UnitRegion,
)
from edge.config.web import WebConfig
from edge.default_linker import LinkerSettings
from edge.engines.tensorrt_build_plan import DEFAULT_WORKSPACE, MEBIBYTE, BuildOptions, Precision
from edge.manifest import PreprocessingChoice
from edge.people_count import MIN_PERSON_SCORE
from edge.sensors.thermal import ThermalSettings
from edge.sources import Flip, Rotation, Source, Transport, option_problems, parse
from edge.tiles import OVERLAP, WHOLE, Tiling, check_region, parse_grid

DEVICE_TOPICS = frozenset({"request", "response", "events"})  # topics of the device itself, not of a camera
LinkerSeconds = Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)]
STALL_FRAMES = 2  # a camera must have missed at least so many frames to count as stalled


class DeviceConfig(Table):
    """`[device]`"""

    name: Identifier = "korsal-edge"


class ModelConfig(Table):
    """`[model]`; a `path` of None is the shipped model; workspace in MiB."""

    path: FilePath | None = None
    runtime: Literal["auto", "tensorrt", "onnxruntime"] = "auto"
    precision: Literal["auto", Precision] = "auto"
    max_batch: Annotated[int, Field(ge=1, le=256)] = BuildOptions.max_batch
    workspace: Annotated[int, Field(ge=1, le=1_048_576)] = DEFAULT_WORKSPACE // MEBIBYTE
    preprocessing: PreprocessingChoice = "auto"
    threads: Annotated[int, Field(ge=0, le=256)] = 2
    providers: tuple[PrintableLine, ...] = ()


class CameraConfig(Table):
    """`[cameras.NAME]`; `source` may hold credentials, so only `to_source().redacted` may be shown."""

    source: SourceUri = Field(examples=['source = "/dev/video0"'], repr=False)
    width: Pixels | None = None
    height: Pixels | None = None
    fps: Annotated[float, Field(ge=0.1, le=1000, allow_inf_nan=False)] | None = None
    flip: Flip = "none"
    rotation: Rotation = 0
    loop: bool = False
    transport: Transport = "auto"
    stall_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 5.0
    motion_gap_seconds: Annotated[float, Field(ge=0.001, le=60, allow_inf_nan=False)] | None = None
    mask: Annotated[tuple[UnitPolygon, ...], Field(max_length=32, json_schema_extra=TUNABLE)] = ()
    region: UnitRegion = WHOLE
    tiles: TileGrid = "1x1"
    tile_overlap: TileOverlap = OVERLAP
    zones: dict[Identifier, AnyZone] = Field(default_factory=dict, max_length=256, json_schema_extra=TUNABLE)
    actions: dict[ActionLabel, ActionConfig] = Field(default_factory=dict, json_schema_extra=TUNABLE)

    def to_source(self) -> Source:
        """The source that opens this camera."""
        picture = (self.width, self.height, self.fps, self.flip, self.rotation, self.loop, self.mask)
        return parse(self.source, *picture, self.transport)

    def tiling(self) -> Tiling:
        """Where the network looks in this camera's frames."""
        return Tiling(check_region(self.region), *parse_grid(self.tiles), self.tile_overlap)

    @model_validator(mode="after")
    def _options_fit(self) -> "CameraConfig":
        problems = option_problems(self.source, self.width, self.height, self.fps, self.loop, self.transport)
        if self.fps is not None and self.stall_seconds * self.fps < STALL_FRAMES:
            least = STALL_FRAMES / self.fps
            problems["stall_seconds"] = f"is too short for {self.fps:g} frames per second: give {least:g}"
        if problems:
            raise TableError(problems)
        return self


class LinkerConfig(Table):
    """`[linker]`: which linker, and the settings of the default one."""

    kind: Literal["default", "korsal"] = "default"
    low_score: Score = LinkerSettings.low_score
    high_score: Score = LinkerSettings.high_score
    any_factor: Annotated[float, Field(ge=1, le=100)] = LinkerSettings.any_factor
    merge_iou: Fraction = LinkerSettings.merge_iou
    match_iou: Fraction = LinkerSettings.match_iou
    weak_match_iou: Fraction = LinkerSettings.weak_match_iou
    start_iou: Fraction = LinkerSettings.start_iou
    confirm_seconds: LinkerSeconds = LinkerSettings.confirm_seconds
    max_missed_seconds: LinkerSeconds = LinkerSettings.max_missed_seconds
    max_people: Annotated[int, Field(ge=1, le=1000)] = LinkerSettings.max_people
    box_gain: Fraction = LinkerSettings.box_gain
    velocity_gain: Fraction = LinkerSettings.velocity_gain
    damping: Fraction = LinkerSettings.damping
    class_gain: Fraction = LinkerSettings.class_gain
    fade: Fraction = LinkerSettings.fade


class TlsConfig(Table):
    """`[mqtt.tls]`; a `ca` of None means the system's certificate authorities."""

    ca: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None

    @model_validator(mode="after")
    def _pair_is_whole(self) -> "TlsConfig":
        if (self.cert is None) != (self.key is None):
            present, absent = ("cert", "key") if self.key is None else ("key", "cert")
            raise TableError({absent: f"missing, although {present} is given; give both or neither"})
        return self


class MqttConfig(Table):
    """`[mqtt]`; the password itself is read at each login and never kept."""

    host: HostName = "localhost"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    version: Literal[5, 3] = 5
    username: PrintableLine | None = Field(default=None, repr=False)
    password_file: FilePath | None = None
    client_id: Identifier | None = None
    retain: bool = True
    qos: Literal[0, 1] = 1
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 30
    base: TopicPath = "korsal"
    people_score: Score = MIN_PERSON_SCORE
    tubes: bool = True
    snapshots: bool = False
    snapshot_width: Annotated[int, Field(ge=64, le=3840)] = 640
    snapshot_quality: Annotated[int, Field(ge=1, le=100)] = 80
    discovery: bool = False
    discovery_prefix: TopicPath = "homeassistant"
    allow_remote_config: bool = False
    allow_camera_switch: bool = False
    tls: TlsConfig | None = None

    @model_validator(mode="after")
    def _password_has_a_user(self) -> "MqttConfig":
        if self.password_file is not None and self.username is None:
            raise TableError({"username": "missing, although password_file is given; add it"})
        return self


class OutboxConfig(Table):
    """`[outbox]`; limits of the messages that wait for the broker, age in seconds."""

    directory: FilePath | None = None
    max_rows: Annotated[int, Field(ge=10, le=100_000_000)] = 100_000
    max_bytes: Annotated[int, Field(ge=64 * 1024)] = 64 * 1024 * 1024
    max_age: Annotated[float, Field(ge=1, le=YEAR, allow_inf_nan=False)] = 7 * 86_400.0


class TelemetryConfig(Table):
    """`[telemetry]`; an interval of 0 turns it off."""

    interval: Duration = Field(default=10.0, json_schema_extra=TUNABLE)


class ThermalConfig(Table):
    """`[thermal]`, the fields of `ThermalSettings`; temperatures in °C."""

    limit: Celsius | None = ThermalSettings.limit
    resume: Celsius | None = ThermalSettings.resume
    most_skipped: Annotated[float, Field(ge=0, le=0.95, allow_inf_nan=False)] = ThermalSettings.most_skipped

    def settings(self) -> ThermalSettings:
        """These values as ThermalSettings. ValueError where they contradict each other."""
        return ThermalSettings(**self.model_dump())

    @model_validator(mode="after")
    def _resume_fits(self) -> "ThermalConfig":
        try:
            self.settings()
        except ValueError as error:
            raise TableError({"resume": str(error)}) from None
        return self


class MetricsConfig(Table):
    """`[metrics]`; a port of 0 turns it off."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    address: IpAddress = "127.0.0.1"


class LogConfig(Table):
    """`[log]`"""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", json_schema_extra=TUNABLE)


def _cameras(cameras: dict[str, CameraConfig]) -> dict[str, CameraConfig]:
    taken = [name for name in cameras if name in DEVICE_TOPICS]
    if taken:
        raise TableError(dict.fromkeys(taken, "is a topic of the device itself; choose another name for the camera"))
    return cameras


class Config(Table):
    """The whole file. Paths are absolute; all but the outbox's directory existed when the file was loaded."""

    device: DeviceConfig = DeviceConfig()
    model: ModelConfig = ModelConfig()
    cameras: Annotated[dict[Identifier, CameraConfig], Field(min_length=1), AfterValidator(_cameras)] = Field(
        examples=['a table [cameras.door] with source = "/dev/video0" in it']
    )
    linker: LinkerConfig = Field(default=LinkerConfig(), json_schema_extra=TUNABLE)
    actions: Annotated[dict[ActionLabel, ActionConfig], AfterValidator(check_actions)] = Field(
        default_factory=dict, json_schema_extra=TUNABLE
    )
    mqtt: MqttConfig = MqttConfig()
    outbox: OutboxConfig = OutboxConfig()
    history: HistoryConfig = HistoryConfig()
    teaching: TeachingConfig = TeachingConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    thermal: ThermalConfig = Field(default=ThermalConfig(), json_schema_extra=TUNABLE)
    metrics: MetricsConfig = MetricsConfig()
    web: WebConfig = WebConfig()
    log: LogConfig = LogConfig()
    restart_argus: bool = Field(default=False, alias="cameras.restart_argus")  # beside the cameras' tables

    @model_validator(mode="after")
    def _cameras_actions_fit(self) -> "Config":
        problems = {
            f"cameras.{name}.actions.{key}": problem
            for name, camera in self.cameras.items()
            if camera.actions
            for key, problem in action_problems(self.actions, camera.actions).items()
        }
        for name, camera in self.cameras.items():
            problems |= required_zone_problems(self.actions, name, camera.actions, tuple(camera.zones))
        if self.history.publish_pictures and not self.mqtt.snapshots:
            problems["history.publish_pictures"] = "publishes pictures only with snapshots = true in [mqtt]; set that"
        if problems:
            raise TableError(problems)
        return self

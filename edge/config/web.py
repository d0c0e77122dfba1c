"""`[web]`: the live page's address, and who may see it. Pure."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import Field, model_validator

from edge.config.schema_types import FilePath, HostName, IpAddress, Table, TableError

PASSWORD_COMMAND = "korsal-edge web-password FILE"


class WebConfig(Table):
    """`[web]`; the file of the password holds its hash alone. `fps`, `width`: of the pictures at most.

    `allow_changes`: whether the page may change what an MQTT request may (`TUNABLE`).
    """

    enabled: bool = False
    address: IpAddress = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8480
    hosts: Annotated[tuple[HostName, ...], Field(max_length=32)] = ()
    password_file: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    fps: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] = 10.0
    width: Annotated[int, Field(ge=64, le=3840)] = 960
    allow_changes: bool = True

    @model_validator(mode="after")
    def _is_protected(self) -> "WebConfig":
        if (self.cert is None) != (self.key is None):
            present, absent = ("cert", "key") if self.key is None else ("key", "cert")
            raise TableError({absent: f"missing, although {present} is given; give both or neither"})
        if self.password_file is None and not ip_address(self.address).is_loopback:
            problem = f"missing, although others reach {self.address}: make one with {PASSWORD_COMMAND}"
            raise TableError({"password_file": problem})
        return self

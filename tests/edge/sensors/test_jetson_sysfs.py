from pathlib import Path

import pytest

from edge.sensors import jetson_sysfs
from edge.sensors.sensor_reading import SensorReading
from tests.support.fake_jetson import AGX_ORIN_POWER, ORIN, THOR, plant

COMMON = SensorReading("psutil", {"soc": 40.0}, cpu_load=0.25, memory_total_mib=7620.0)


def test_an_orin_with_jetpack_6(tmp_path: Path) -> None:
    read = jetson_sysfs.read(COMMON, plant(tmp_path, ORIN))
    assert read == SensorReading(
        source="sysfs",
        temperatures_c={"cpu-thermal": 51.234, "gpu-thermal": 49.0, "tj-thermal": 51.234},
        power_w=7.0,  # 5 V × 1.4 A
        rails_w={"VDD_IN": 7.0, "VDD_CPU_GPU_CV": 2.5, "VDD_SOC": 1.5},
        gpu_load=0.423,
        gpu_mhz=612.0,
        cpu_load=0.25,
        memory_total_mib=7620.0,
        mode="25W",
        throttled=("gpu-throttle-alert",),
        overcurrent=7,
    )


def test_an_agx_orin_draws_the_sum_of_what_is_not_fed_by_another_rail(tmp_path: Path) -> None:
    read = jetson_sysfs.read(COMMON, plant(tmp_path, {**ORIN, **AGX_ORIN_POWER}))
    assert read.rails_w == {"VDD_GPU_SOC": 7.0, "VDD_CPU_CV": 2.5, "VIN_SYS_5V0": 1.5, "VDDQ_VDD2_1V8AO": 0.5}
    assert read.power_w == 11.0


def test_a_thor_with_jetpack_7(tmp_path: Path) -> None:
    read = jetson_sysfs.read(COMMON, plant(tmp_path, THOR))
    assert (read.power_w, read.rails_w) == (31.5, {"VDD_GPU": 6.0, "VIN": 31.5})
    assert (read.gpu_load, read.gpu_mhz) == (None, 1575.0)
    assert (read.mode, read.throttled, read.overcurrent) == (None, None, None)
    assert jetson_sysfs.is_jetson(tmp_path)


@pytest.mark.parametrize(
    "place",
    [
        "class/devfreq/17000000.ga10b/device/load",
        "devices/gpu.0/load",
        "devices/platform/gpu.0/load",
        "devices/platform/17000000.gpu/load",
        "devices/platform/bus@0/17000000.gpu/load",
    ],
)
def test_the_load_of_the_gpu_wherever_a_release_puts_it(tmp_path: Path, place: str) -> None:
    assert jetson_sysfs.read(COMMON, plant(tmp_path, {f"sys/{place}": "1000\n"})).gpu_load == 1.0


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert not jetson_sysfs.is_jetson(tmp_path)
    read = jetson_sysfs.read(COMMON, tmp_path)
    assert read == SensorReading("sysfs", {"soc": 40.0}, cpu_load=0.25, memory_total_mib=7620.0)


@pytest.mark.parametrize("rubbish", ["", "no number", "\0\0", "1.5", "9" * 5000])
def test_garbage_is_not_trusted(tmp_path: Path, rubbish: str) -> None:
    numbers = {name: rubbish for name, text in ORIN.items() if text.strip().isdigit()}
    read = jetson_sysfs.read(COMMON, plant(tmp_path, {**ORIN, **numbers}))
    assert (read.power_w, read.gpu_load, read.throttled, read.overcurrent) == (None, None, None, None)
    assert read.temperatures_c == COMMON.temperatures_c


@pytest.mark.parametrize(
    ("status", "names", "mode"),
    [
        ("pmode:0000", "< POWER_MODEL ID=0 NAME=MAXN >", "MAXN"),
        ("pmode:0002\n", "< POWER_MODEL ID=0 NAME=MAXN >", "2"),
        ("pmode:0002", "", "2"),
        ("", "< POWER_MODEL ID=0 NAME=MAXN >", None),
    ],
)
def test_the_power_mode(tmp_path: Path, status: str, names: str, mode: str | None) -> None:
    plant(tmp_path, {"var/lib/nvpmodel/status": status, "etc/nvpmodel.conf": names})
    assert jetson_sysfs.read(COMMON, tmp_path).mode == mode


def test_zones_of_one_type_keep_apart(tmp_path: Path) -> None:
    zones = {f"thermal_zone{i}/{key}": text for i in (0, 1) for key, text in (("type", "cpu"), ("temp", f"4{i}000"))}
    assert jetson_sysfs.temperatures(plant(tmp_path, zones)) == {"cpu": 40.0, "thermal_zone1": 41.0}

"""jetson-stats' own classes on the files of a Jetson: what its service finds, what its client hands out, what we read.

It proves the fields and their units, for the version installed; not its service, its socket or a Jetson.
"""

import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import psutil
import pytest

from edge.sensors.jetson_stats import reading
from edge.sensors.sensor_reading import SensorReading
from tests.support.fake_jetson import ORIN, THOR, plant

jtop = pytest.importorskip("jtop", reason="jetson-stats is not installed: pip install the extra `dev`")
cpu = pytest.importorskip("jtop.core.cpu")
gpu = pytest.importorskip("jtop.core.gpu")
memory = pytest.importorskip("jtop.core.memory")
power = pytest.importorskip("jtop.core.power")
temperature = pytest.importorskip("jtop.core.temperature")

MONITOR = "sys/bus/i2c/devices/1-0040/hwmon/hwmon1"
BOARD = {  # where jetson-stats looks, and `fake_jetson` does not
    **{name.replace("sys/class/hwmon/hwmon1", MONITOR): text for name, text in ORIN.items() if "hwmon1/" in name},
    "sys/bus/i2c/devices/1-0040/name": "ina3221\n",
    "sys/class/devfreq/17000000.gpu/device/of_node/name": "gpu\0",
    "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
    "sys/class/thermal/thermal_zone3/type": "soc0-thermal\n",
    "sys/class/thermal/thermal_zone3/temp": "-256000\n",
}


def made(kind: Any, **attributes: Any) -> Any:
    """An object of that class without what its constructor looks for on this machine."""
    instance = kind.__new__(kind)
    instance.__dict__.update(attributes)
    return instance


def service_status(root: Path) -> dict[str, Any]:
    """What jetson-stats' service sends its clients, by its own classes."""
    zones = temperature.get_virtual_thermal_temperature(f"{root}/sys/class/thermal")
    monitors = power.find_all_i2c_power_monitor(f"{root}/sys/bus/i2c/devices")
    found = gpu.find_igpu(f"{root}/sys/class/devfreq/")
    ram = made(memory.MemoryService, _page_size=4096, _root_path=str(root), _is_emc=False, _is_iram=False)
    return {
        "temperature": made(temperature.TemperatureService, _temperature=zones).get_status(),
        "power": made(power.PowerService, _power_sensor=monitors, _power_avg={}).get_status(),
        "gpu": made(gpu.GPUService, _gpu_list=found, _use_nvml=False, _sysfs_retry=False).get_status(),
        "mem": ram.get_status(0),
        "cpu": cpu.CPUService().get_status(),
    }


def client(stats: dict[str, Any]) -> Any:
    """jetson-stats' client after it has received that."""
    graphics, ram = gpu.GPU(), memory.Memory()
    graphics._update(stats["gpu"])
    ram._update(stats["mem"])
    return made(jtop.jtop, _stats=stats, _gpu=graphics, _memory=ram, _nvpmodel=None)


@pytest.fixture
def found(tmp_path: Path) -> SensorReading:
    root = plant(tmp_path, {**ORIN, **BOARD})
    driver = root / "sys/class/devfreq/17000000.gpu"
    driver.symlink_to(driver.rename(root / "sys/17000000.gpu"))  # as the kernel has it
    return reading(client(service_status(root)))


def test_temperatures_power_and_clocks(found: SensorReading) -> None:
    assert found.temperatures_c == {"cpu": 51.234, "gpu": 49.0, "tj": 51.234}
    assert found.power_w == pytest.approx(7.0)
    assert found.rails_w == {"VDD_CPU_GPU_CV": 2.5, "VDD_SOC": 1.5}  # the whole input is no rail
    assert found.gpu_load == pytest.approx(0.423)
    assert found.gpu_mhz == 612.0
    assert found.mode is None


def test_processors_and_memory_are_of_this_machine(found: SensorReading) -> None:
    assert found.cpu_load is not None
    assert 0 <= found.cpu_load <= 1
    assert found.cpu_mhz is None or found.cpu_mhz > 100
    assert found.memory_total_mib == pytest.approx(psutil.virtual_memory().total / 2**20, rel=0.1)


@pytest.mark.skipif(not hasattr(gpu, "nvml_read_gpu_status"), reason="this version asks the kernel alone")
@pytest.mark.parametrize("clock", [1575, 0], ids=["of NVML, in MHz", "of the kernel, in kHz"])
def test_thor_s_clock_is_read_in_either_unit(clock: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = plant(tmp_path, {name: text for name, text in THOR.items() if "devfreq" in name})
    monkeypatch.setattr(gpu, "THOR_GPC", f"{board}/sys/class/devfreq/gpu-gpc-0")
    library = MagicMock()  # of NVIDIA, in the place of nvidia-ml-py
    library.nvmlDeviceGetCount.return_value = 1
    library.nvmlDeviceGetName.return_value = "NVIDIA Thor"
    library.nvmlDeviceGetUtilizationRates.return_value.gpu = 12
    library.nvmlDeviceGetClockInfo.return_value = clock
    monkeypatch.setitem(sys.modules, "pynvml", library)
    graphics = gpu.GPU()
    graphics._update(gpu.nvml_read_gpu_status())
    assert list(graphics) == ["Thor"]
    stats: dict[str, Any] = {"temperature": {}, "power": {}, "cpu": {}}
    found = reading(made(jtop.jtop, _stats=stats, _gpu=graphics, _memory={}, _nvpmodel=None))
    assert (found.gpu_mhz, found.gpu_load) == (1575, 0.12)

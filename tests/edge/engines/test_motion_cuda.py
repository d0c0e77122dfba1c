"""The motion map with cv2.cuda against the CPU's: over the fake everywhere, over OpenCV's own where a GPU is."""

from __future__ import annotations

import inspect
from itertools import islice
from types import SimpleNamespace
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import detector, motion_map
from edge.engines.motion_cuda import MotionCudaError, float32_holds, stable_constants, usable
from edge.engines.tensorrt_runner import Runner
from edge.manifest import INPUT, Manifest
from edge.motion_map import SHIFTS, MotionSettings
from tests.support import fake_cv2_cuda
from tests.support.fake_cuda import FakeCuda
from tests.support.fake_cv2_cuda import FakeCv2Cuda
from tests.support.fake_gpu import fake_gpu, serialized_engine
from tests.support.motion_target import SIZE, FakeTarget, Frame, PacedMotionCuda, manifest_of, on_cpu
from tests.support.paths import ROOT
from tests.support.tiny_model import MANIFEST as TINY

TOLERANCE = 1e-3
CLIP = ROOT / "demo" / "basketball.mp4"
CAMERA = (150, 84)  # of the frames: letterboxed, at no round scale
KINDS = (  # of MotionSettings
    *(MotionSettings(kind, shifts) for kind in ("ssim", "dsim") for shifts in (True, False)),
    *(MotionSettings("ssim", gap=gap) for gap in (2, 3)),
    *(MotionSettings("previous", gap=gap) for gap in (1, 2)),
    MotionSettings("none"),
)


def made(settings: MotionSettings, camera: tuple[int, int] = CAMERA) -> tuple[PacedMotionCuda, FakeTarget]:
    manifest = manifest_of(settings)
    target = FakeTarget((manifest.channels, manifest.height, manifest.width))
    return PacedMotionCuda(target.cv2, target, manifest, camera), target


def scene(seed: int = 0, camera: tuple[int, int] = CAMERA, low: int = 0, high: int = 255) -> Frame:
    """Blurred noise from `low` to `high`."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((camera[1], camera[0], 3)), (0, 0), 3)
    stretched = (noise - noise.min()) / (noise.max() - noise.min())
    return np.rint(low + stretched * (high - low)).astype(np.uint8)


def drifting(count: int, low: int = 0, high: int = 255) -> list[Frame]:
    """A scene that drifts, with noise and somebody in it who moves against it."""
    generator, world = np.random.default_rng(1), scene(camera=(CAMERA[0] + 40, CAMERA[1] + 40), low=low, high=high)
    frames = []
    for index in range(count):
        x, y = 20 + 2 * index, 20 - 3 * (index % 3)
        frame = world[y : y + CAMERA[1], x : x + CAMERA[0]].astype(int) + generator.integers(-1, 2, (CAMERA[1], 1, 1))
        frame[30:60, 90 - 4 * index : 110 - 4 * index] = high
        frames.append(np.clip(frame, low, high).astype(np.uint8))
    return frames


def hold_equal(frames: list[Frame], filler: PacedMotionCuda, manifest: Manifest) -> list[int]:
    """Every frame on the GPU as on the CPU; the shifts."""
    shifts = []
    for image, (expected, expected_shift) in zip(frames, on_cpu(frames, manifest), strict=True):
        shift, found = filler.fill_next(image), filler.input()
        assert shift == expected_shift
        assert found.shape == expected.shape
        assert np.abs(found[:, :3] - expected[:, :3]).max() < 1e-5  # the very grey levels
        assert np.abs(found - expected).max() < TOLERANCE
        shifts.append(shift)
    return shifts


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: f"{settings.kind}-{settings.shifts}-{settings.gap}")
def test_as_on_the_cpu(settings: MotionSettings) -> None:
    filler, _ = made(settings)
    hold_equal(drifting(5), filler, manifest_of(settings))


@pytest.mark.parametrize("kind", ["ssim", "previous"])
def test_after_a_long_pause_the_map_is_that_of_the_first_frame(kind: Literal["ssim", "previous"]) -> None:
    """Zeros are compared with, not what was seen before; whatever has been in their memory since."""
    settings = MotionSettings(kind, gap=2)
    (filler, _), (fresh, _) = made(settings), made(settings)
    frames, gap = drifting(9), manifest_of(settings).gap
    for index, image in enumerate(frames[:6]):
        filler.fill(image, index / gap.rate, gap)
    for index, image in enumerate(frames[6:]):
        time = 60 + index / gap.rate
        assert filler.fill(image, time, gap) == fresh.fill(image, time, gap)
        np.testing.assert_array_equal(filler.input(), fresh.input())


def test_each_shift_is_found() -> None:
    world = scene(camera=(SIZE[0] + 2, SIZE[1] + 2))
    still = world[1:-1, 1:-1]
    for index, (dy, dx) in enumerate(SHIFTS):
        moved = world[1 - dy : SIZE[1] + 1 - dy, 1 - dx : SIZE[0] + 1 - dx]  # shifted[y, x] = moved[y + dy, x + dx]
        filler, _ = made(MotionSettings(), SIZE)
        assert hold_equal([still, moved], filler, manifest_of(MotionSettings()))[1] == index


def clip(count: int) -> list[Frame]:
    capture = cv2.VideoCapture(str(CLIP))
    frames = [capture.read()[1].astype(np.uint8, copy=False) for _ in range(count)]
    capture.release()
    return frames


def test_the_clip() -> None:
    frames = clip(3)
    filler, _ = made(MotionSettings(), (frames[0].shape[1], frames[0].shape[0]))
    hold_equal(frames, filler, manifest_of(MotionSettings()))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 12), (3, 40), (200, 255), (120, 124)], ids=["night", "dusk", "snow", "fog"]
)
def test_scenes_of_little_contrast_stay_on_the_gpu(low: int, high: int) -> None:
    """Letterboxed or not: the centre is what keeps them within float32."""
    for camera in (CAMERA, SIZE):
        filler, target = made(MotionSettings(), camera)
        frames = [scene(0, camera, low, high), scene(0, camera, low, high), scene(1, camera, low, high)]
        hold_equal(frames, filler, manifest_of(MotionSettings()))
        assert sum(target.cv2.downloaded) < SIZE[0] * SIZE[1] * 4 * 6 * 3 + 4000  # what `input` takes, and scores


def test_a_light_goes_out_and_on_again() -> None:
    """The pair that float32 cannot compare goes to the CPU, the next one is back."""
    filler, target = made(MotionSettings(), SIZE)
    bright, dark = scene(0, SIZE), scene(0, SIZE, 0, 9)
    frames, moved = [bright, dark, dark, bright], []
    for image, (expected, shift) in zip(frames, on_cpu(frames, manifest_of(MotionSettings())), strict=True):
        target.cv2.uploaded.clear()
        assert filler.fill_next(image) == shift
        moved.append(len(target.cv2.uploaded))
        assert np.abs(filler.input() - expected).max() < TOLERANCE
    assert moved == [1, 2, 1, 1]


def test_constant_frames() -> None:
    """All shifts tie, the first wins; black after black, grey after black, and something after that."""
    filler, _ = made(MotionSettings(), SIZE)
    black, grey = (np.full((SIZE[1], SIZE[0], 3), level, np.uint8) for level in (0, 128))
    shifts = hold_equal([black, black, grey, grey, scene(0, SIZE)], filler, manifest_of(MotionSettings()))
    assert shifts[1] == shifts[3] == 0


def test_nothing_is_allocated_for_a_frame() -> None:
    for settings in KINDS:
        filler, target = made(settings)
        allocated = target.cv2.allocations
        for image in drifting(5):
            filler.fill_next(image)
        assert allocated > 0
        assert target.cv2.allocations == allocated, settings


def test_one_frame_goes_up_and_scalars_come_back() -> None:
    filler, target = made(MotionSettings())
    frames = drifting(3)
    filler.fill_next(frames[0])
    target.cv2.uploaded.clear()
    target.cv2.downloaded.clear()
    for image in frames[1:]:
        filler.fill_next(image)
    assert target.cv2.uploaded == [frames[0].nbytes] * 2
    assert target.cv2.downloaded == [9 * 2 * 4, 9 * 8] * 2  # extremes in float32, scores in float64


def test_the_second_image_of_a_batch_is_left_alone() -> None:
    filler, target = made(MotionSettings())
    filler.fill_next(drifting(1)[0])
    target.cv2.wrapStream(target.stream).waitForCompletion()
    block = np.frombuffer(bytes(target.gpu.device_blocks[target.image_address]), np.float32).reshape(target.image.shape)
    assert np.array_equal(block[:1], filler.input())
    assert set(block[1:].tobytes()) == {0xA5}


def test_two_cameras_share_an_engine() -> None:
    manifest = manifest_of(MotionSettings())
    target = FakeTarget((6, SIZE[1], SIZE[0]))
    streams = drifting(4), [scene(seed, SIZE) for seed in range(4)]
    sizes = CAMERA, SIZE
    fillers = [PacedMotionCuda(target.cv2, target, manifest, size) for size in sizes]
    for frame in range(4):
        for filler, frames in zip(fillers, streams, strict=True):
            expected, shift = next(islice(on_cpu(frames, manifest), frame, None))
            assert filler.fill_next(frames[frame]) == shift
            assert np.abs(filler.input() - expected).max() < TOLERANCE


def test_each_image_of_a_batch_may_be_another_camera_s() -> None:
    """At another place in every batch."""
    manifest, (filler, target) = manifest_of(MotionSettings()), made(MotionSettings())
    other = PacedMotionCuda(target.cv2, target, manifest, SIZE)
    streams = drifting(4), [scene(seed, SIZE) for seed in range(4)]
    for frame in range(4):
        slots = frame % 2, 1 - frame % 2
        for one, frames, slot in zip((filler, other), streams, slots, strict=True):
            one.fill_next(frames[frame], slot)
        for one, frames, slot in zip((filler, other), streams, slots, strict=True):
            expected, _ = next(islice(on_cpu(frames, manifest), frame, None))
            assert np.abs(one.input(slot) - expected).max() < TOLERANCE


def test_the_engine_runs_on_what_was_filled() -> None:
    gpu = fake_gpu("10.3")
    image = scene(0, (80, 60))
    with Runner(gpu.trt, gpu.cuda, serialized_engine(gpu.trt)) as runner:
        filler = PacedMotionCuda(FakeCv2Cuda(gpu.runtime), runner, TINY, (80, 60))
        for _ in range(3):  # the third run is a graph's
            filler.fill_next(image)
            answer = runner.run(1)
        expected = runner.infer({INPUT: detector.network_input(detector.normalise(image, TINY), None)})
    assert all(np.allclose(answer[name], expected[name], atol=1e-5) for name in expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((10, 10, 3), np.uint8), "build a MotionCuda for its size"),
        (np.zeros((CAMERA[1], CAMERA[0], 3), np.float32), "float32, not (84, 150, 3) uint8"),
        (np.zeros((CAMERA[1], CAMERA[0]), np.uint8), "(84, 150) uint8"),
    ],
)
def test_frames_that_do_not_fit(image: NDArray[Any], message: str) -> None:
    filler, _ = made(MotionSettings())
    with pytest.raises(MotionCudaError) as raised:
        filler.fill_next(image)
    assert message in str(raised.value)


def test_flow_is_left_to_the_cpu() -> None:
    with pytest.raises(MotionCudaError, match="only the CPU computes"):
        made(MotionSettings("flow"))


@pytest.mark.parametrize("target", [FakeTarget((3, SIZE[1], SIZE[0])), FakeTarget((6, SIZE[1], SIZE[0]), np.float16)])
def test_engines_of_another_input(target: FakeTarget) -> None:
    with pytest.raises(MotionCudaError, match="rebuild it"):
        PacedMotionCuda(target.cv2, target, manifest_of(MotionSettings()), CAMERA)


def test_a_failed_call_gives_a_one_sentence_error() -> None:
    filler, target = made(MotionSettings())
    target.cv2.failing.add("remap")
    with pytest.raises(MotionCudaError, match=r"out of memory in function 'remap'\): end other programs"):
        filler.fill_next(drifting(1)[0])


def test_no_memory_for_a_camera() -> None:
    target = FakeTarget((6, SIZE[1], SIZE[0]))
    target.cv2.failing.add("GpuMat")
    with pytest.raises(MotionCudaError, match="cannot be set up for a camera"):
        PacedMotionCuda(target.cv2, target, manifest_of(MotionSettings()), CAMERA)


def opencv(cuda: Any) -> Any:
    return SimpleNamespace(__version__="4.10.0", cuda=cuda)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (SimpleNamespace(__version__="3.4.20"), "has no cv2.cuda.createGaussianFilter"),
        (opencv(SimpleNamespace(getCudaEnabledDeviceCount=lambda: 0)), "has no cv2.cuda.createGaussianFilter"),
        (opencv(FakeCv2Cuda(FakeCuda(), devices=0)), "finds no GPU"),
        (opencv(FakeCv2Cuda(FakeCuda(), devices=-1)), "finds no NVIDIA driver"),
    ],
)
def test_where_it_is_not_usable(module: Any, message: str) -> None:
    with pytest.raises(MotionCudaError) as raised:
        usable(module)
    assert message in str(raised.value)
    assert "docs/motion.md" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_where_it_is_usable() -> None:
    cuda = FakeCv2Cuda(FakeCuda())
    assert usable(opencv(cuda)) is cuda


def extremes(low: float, high: float) -> NDArray[np.float32]:
    return np.tile(np.array([low, high], np.float32), (len(SHIFTS), 1))


@pytest.mark.parametrize(
    ("previous", "current", "holds"),
    [
        ((-1, 1), (-1, 1), True),
        ((0, 0), (-1, 1), True),  # the first frame
        ((-1.7, -1.6), (-1.7, -1.6), True),  # night
        ((-1, 1), (-0.5, 0.5), True),  # twice the range
        ((-1, 1.1), (-0.5, 0.5), False),
        ((-1, 1), (0.2, 0.2), False),  # 0 / 0 but for LEAST_RANGE
        ((0.2, 0.2), (0.2, 0.2), True),
        ((-1e4, 1e4), (-1e4, 1e4), False),  # products of four leave float32
        ((0, 0), (0, 0), False),
    ],
)
def test_where_float32_holds(previous: tuple[float, float], current: tuple[float, float], holds: bool) -> None:
    assert float32_holds(extremes(*previous), extremes(*current)) is holds


def test_a_bright_pixel_in_a_corner_that_a_shift_hides() -> None:
    current = extremes(-1, 1)
    current[0] = -0.1, 0.1
    assert not float32_holds(extremes(-0.1, 0.1), current)


@pytest.mark.parametrize("pair", [(scene(0, SIZE), scene(1, SIZE)), (scene(0, SIZE), scene(0, SIZE, 0, 1))])
def test_constants_as_the_cpu_has_them(pair: tuple[Frame, Frame]) -> None:
    manifest = manifest_of(MotionSettings())
    frames = [motion_map.prepare(detector.normalise(image, manifest)) for image in pair]
    filler, _ = made(MotionSettings(), SIZE)
    for image in pair:
        filler.fill_next(image)
    found = stable_constants(*(frame.extremes for _, frame in filler._past))
    assert np.allclose(found, motion_map._pair(*frames).constants, rtol=1e-5)


def parameters(signature: str) -> list[str]:
    inside = signature[signature.index("(") + 1 : signature.index(")")]
    return [name.strip(" []") for name in inside.split(",") if name.strip(" []")]


@pytest.mark.skipif(not hasattr(cv2.cuda, "createGaussianFilter"), reason="this OpenCV is built without CUDA")
@pytest.mark.parametrize(
    "owner", [("", FakeCv2Cuda), ("GpuMat", fake_cv2_cuda.FakeGpuMat), ("Filter", fake_cv2_cuda.Filter)]
)
def test_the_fake_has_opencv_s_parameters(owner: tuple[str, type]) -> None:
    real: Any = getattr(cv2.cuda, owner[0]) if owner[0] else cv2.cuda
    for name, function in inspect.getmembers(owner[1], inspect.isfunction):
        if name.startswith("_") or name in ("begin", "array", "target", "GpuMat", "createGaussianFilter"):
            continue
        lines = [line for line in getattr(real, name).__doc__.splitlines() if line.startswith(f"{name}(")]
        ours = list(inspect.signature(function).parameters)[1:]
        assert any(ours == parameters(line)[: len(ours)] for line in lines), (name, ours, lines)


def real_target(cuda: Any, channels: int, size: tuple[int, int]) -> Any:
    """Memory of a real GPU in an engine's place."""
    width, height = size
    memory, stream = cuda.createContinuous(channels * height, width, cv2.CV_32FC1), cuda.Stream()
    image = np.zeros((1, channels, height, width), np.float32)
    return SimpleNamespace(image_address=memory.cudaPtr(), stream=stream.cudaPtr(), image=image, owned=(memory, stream))


def real(settings: MotionSettings, camera: tuple[int, int], size: tuple[int, int]) -> PacedMotionCuda:
    try:
        cuda = usable()
    except MotionCudaError as error:
        pytest.skip(str(error))
    manifest = manifest_of(settings, size)
    return PacedMotionCuda(cuda, real_target(cuda, manifest.channels, size), manifest, camera)


@pytest.mark.gpu
@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: f"{settings.kind}-{settings.shifts}-{settings.gap}")
def test_as_on_the_cpu_on_a_gpu(settings: MotionSettings) -> None:
    hold_equal(drifting(5), real(settings, CAMERA, SIZE), manifest_of(settings))


@pytest.mark.gpu
@pytest.mark.parametrize("size", [(256, 256), (256, 192)])
def test_the_clip_on_a_gpu(size: tuple[int, int]) -> None:
    frames = clip(60)
    filler = real(MotionSettings(), (frames[0].shape[1], frames[0].shape[0]), size)
    hold_equal(frames, filler, manifest_of(MotionSettings(), size))

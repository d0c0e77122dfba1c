"""What CenterNet calls the parameters of the networks that we have too. Pure.

As in its `msra_resnet.py`, `resnet_dcn.py` and `pose_dla_dcn.py`, and in KORSAL's copies of them.
"""

from collections.abc import Iterable, Iterator

HEADS = {"heatmap": "hm", "size": "wh", "offset": "reg"}
BLOCK = {"layers.0": "conv1", "layers.1": "bn1", "layers.3": "conv2", "layers.4": "bn2"}
FIRST = {"res_18": "conv1", "resdcn_18": "conv1", "dla_34": "base.base_layer.0"}  # the convolution on the image
# parameters in their files that CenterNet never uses: ImageNet's classifier, the outer projections of two-pair stages
UNUSED = ("base.fc.", "base.level3.project.", "base.level4.project.")
STAGES, BLOCKS = 4, 2  # of ResNet-18; blocks in a stage
NECK_LAYERS = 18  # of the longer one of both necks
TWO_PAIRS = (1, 2)  # stages of DLA-34 that have two pairs of blocks, the others have one


def theirs(architecture: str, ours: Iterable[str]) -> dict[str, str]:
    """Our names of parameters → CenterNet's, for a network of that architecture."""
    pairs = _dla() if architecture == "dla_34" else _resnet()
    prefixes = {**dict(pairs), **{f"{our}.{i}": f"{their}.{i}" for our, their in HEADS.items() for i in (0, 2)}}
    split = {name: name.rpartition(".") for name in ours}
    return {name: f"{prefixes[prefix]}.{leaf}" for name, (prefix, _, leaf) in split.items()}


def recognised(names: Iterable[str]) -> str | None:
    """The architecture whose parameters are called so, None where it is none of ours."""
    known = set(names)
    if f"{FIRST['dla_34']}.weight" in known:
        return "dla_34"
    if "deconv_layers.0.conv_offset_mask.weight" in known:
        return "resdcn_18"
    return "res_18" if "deconv_layers.0.weight" in known else None


def _resnet() -> Iterator[tuple[str, str]]:
    yield from (("backbone.stem.0", "conv1"), ("backbone.stem.1", "bn1"))
    for stage in range(STAGES):
        for i in range(BLOCKS):
            our, their = f"backbone.stages.{stage}.{i}", f"layer{stage + 1}.{i}"
            yield from _block(f"{our}.block", their)
            yield from ((f"{our}.shortcut.{j}", f"{their}.downsample.{j}") for j in (0, 1))
    for i in range(NECK_LAYERS):
        yield f"neck.{i}", f"deconv_layers.{i}"
        yield f"neck.{i}.look", f"deconv_layers.{i}.conv_offset_mask"


def _dla() -> Iterator[tuple[str, str]]:
    for place, name in enumerate(("base_layer", "level0", "level1")):
        yield from ((f"backbone.stem.{3 * place + j}", f"base.{name}.{j}") for j in (0, 1))
    for stage in range(STAGES):
        for i in range(2 if stage in TWO_PAIRS else 1):
            tree = f"base.level{stage + 2}" + (f".tree{i + 1}" if stage in TWO_PAIRS else "")
            yield from _pair(f"backbone.stages.{stage}.pairs.{i}", tree)
    for i in range(STAGES - 1):
        yield from _merge(f"neck.merges.{i}", f"dla_up.ida_{i}", i + 1)
    yield from _merge("neck.last", "ida_up", STAGES - 2)


def _pair(our: str, their: str) -> Iterator[tuple[str, str]]:
    yield from _block(f"{our}.first", f"{their}.tree1")
    yield from _block(f"{our}.second", f"{their}.tree2")
    yield from ((f"{our}.project.{j}", f"{their}.project.{j}") for j in (0, 1))
    yield from ((f"{our}.root.{j}", f"{their}.root.{name}") for j, name in enumerate(("conv", "bn")))


def _merge(our: str, their: str, joins: int) -> Iterator[tuple[str, str]]:
    for i in range(joins):
        yield f"{our}.joins.{i}.enlarge", f"{their}.up_{i + 1}"
        for layer, name in (("project", "proj"), ("smooth", "node")):
            yield f"{our}.joins.{i}.{layer}.0", f"{their}.{name}_{i + 1}.conv"
            yield f"{our}.joins.{i}.{layer}.0.look", f"{their}.{name}_{i + 1}.conv.conv_offset_mask"
            yield f"{our}.joins.{i}.{layer}.1", f"{their}.{name}_{i + 1}.actf.0"


def _block(our: str, their: str) -> Iterator[tuple[str, str]]:
    return ((f"{our}.{layer}", f"{their}.{name}") for layer, name in BLOCK.items())

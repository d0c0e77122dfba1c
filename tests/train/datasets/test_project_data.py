"""A project folder as a data set, what its `actions.toml` may say, and the one sentence for whatever is wrong."""

import shutil
from pathlib import Path

import pytest

from tests.support.annotation_files import META, box, written
from train.datasets import loader, project_data, split_lists
from train.datasets.annotation_records import AnnotationError

ACTIONS = 'actions = ["fall", "climb"]\n'


def project(folder: Path, text: str = ACTIONS, videos: tuple[str, ...] = ("door/one.mp4", "yard/two.MKV")) -> Path:
    """Two videos, of which the first is annotated: a fall in frames 4 and 5, and somebody who does nothing."""
    (folder / "actions.toml").write_text(text)
    (folder / "annotations").mkdir(parents=True)
    for name in videos:
        (folder / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "videos" / name).touch()
    written(folder / "annotations", ("fall", [box(4), box(5)]), ("person", [box(0, action="none"), box(9)]))
    return folder


def second(folder: Path, *tracks: tuple[str, list[str]]) -> Path:
    """The annotation of another video, whose task had the file without its folder."""
    made = written(folder / "annotations", *tracks, meta=META.replace("door/one.mp4", "two.mkv"))
    return made.rename(folder / "annotations" / "two.xml")


def test_its_videos_and_actions(tmp_path: Path) -> None:
    project(tmp_path)
    first = (tmp_path / "annotations" / "one.xml").rename(tmp_path / "annotations" / "first.xml")
    second(tmp_path, ("climb", [box(1)]))
    assert first.exists()
    data = loader.load(tmp_path)
    assert (data.labels, data.test, data.title) == (("fall", "climb"), (), tmp_path.name)
    assert [video.name for video in data.train] == ["door/one", "yard/two"]
    (tube,) = data.train[0].tubes  # a person who does nothing is no action
    assert (tube.label, tube.first_frame, tube.end_frame) == (0, 4, 6)
    assert data.video("yard/two").name == "two.MKV"


def test_names_in_another_form_of_unicode(tmp_path: Path) -> None:
    """As an editor of macOS may have them: an e and an accent."""
    decomposed = "Ge\u0301ant"
    text = f'actions = ["{decomposed}"]\nscenes = "({decomposed}).*"\nquiet = ["{decomposed}/*"]\n'
    project(tmp_path, text, ("door/one.mp4", f"{decomposed}/two.mkv"))
    written(tmp_path / "annotations", (decomposed, [box(4), box(5)]))
    data = loader.load(tmp_path)
    assert data.labels == ("G\u00e9ant",)
    assert [len(video.tubes) for video in data.train] == [0, 1]
    assert [video.scene for video in data.train] == ["G\u00e9ant", "door/one"]


def test_quiet_tested_and_validated_videos(tmp_path: Path) -> None:
    text = ACTIONS + 'quiet = ["street/*"]\ntest = ["yard"]\nvalidation = ["door"]\nscenes = "folder"\nname = "mine"\n'
    project(tmp_path, text, ("door/one.mp4", "yard/two.mkv", "street/a.avi", "hall/nothing.mp4"))
    (tmp_path / "annotations" / "one.xml").rename(tmp_path / "annotations" / "first.xml")
    second(tmp_path, ("climb", [box(1)]))
    (tmp_path / "quietlist.txt").write_text("hall/nothing.mp4\n")
    data = loader.load(tmp_path)
    assert data.title == "mine"
    assert [video.name for video in data.test] == ["yard/two"]
    assert [(video.name, video.quiet) for video in data.train] == [
        ("door/one", False),
        ("hall/nothing", True),
        ("street/a", True),
    ]
    training, validation = split_lists.held_out(data.train)
    assert [video.name for video in validation] == ["door/one"]
    assert len(training) == 2


@pytest.mark.parametrize(
    ("scenes", "name", "scene"),
    [
        ("auto", "door/one_1", None),
        ("folder", "door/one_1", "door"),
        ("folder", "one_1", "one_1"),
        (r"(.+)_\d+", "door/one_1", "door/one"),
        (r"(.+)_\d+", "other", "other"),
    ],
)
def test_scenes(scenes: str, name: str, scene: str | None, tmp_path: Path) -> None:
    from train.datasets import actions_file

    (tmp_path / "actions.toml").write_text(f"{ACTIONS}scenes = '{scenes}'\n")
    assert actions_file.read(tmp_path / "actions.toml").scene(name) == scene


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actions = [", r"actions.toml: is not TOML \(.*\); correct that line"),
        ("", "actions is missing"),
        ("actions = []", "names no action; write them as actions = "),
        ('actions = "fall"', "actions must be a list"),
        ("actions = [1]", "actions.0 must be a valid string"),
        ('actions = ["fall", "Fall"]', "the actions 'fall' and 'Fall' are one but for their spelling; keep one"),
        ('actions = ["fall", "fall"]', "are one but for their spelling"),
        ('actions = ["fall", ""]', "is not a list of distinct names"),
        (ACTIONS + "colour = 1", "colour is unknown"),
        (ACTIONS + "scenes = '('", "scenes is no regular expression"),
        (ACTIONS + "scenes = 'a+'", "scenes has 0 groups; put what names the scene into one pair of brackets"),
        (
            ACTIONS + "test = ['garage']",
            "test names garage, which is no annotated video or scene; names are like door/",
        ),
        (
            ACTIONS + "test = ['yard']",
            "test names yard, which is no annotated video or scene; annotate it, or take it off",
        ),
        (ACTIONS + "validation = ['gar?ge*']", r"validation names gar\?ge\*, which is no annotated video"),
        (ACTIONS + "quiet = ['door']", "door/one is annotated with actions, but also named as quiet"),
        ("\xff\xfe", "is saved as UTF-16"),
        ("actions = " + "[" * 9000, "actions.toml: is nested too deeply"),
        (ACTIONS + "scenes = '(a{99999999999999})'", "scenes is no regular expression"),
        (ACTIONS + "scenes = '" + "(" * 3000 + ")" * 3000 + "'", "scenes is no regular expression"),
        (
            ACTIONS + r"scenes = '(.+)_\d+\.mp4'",
            "scenes finds nothing in any name, as door/one; correct the expression",
        ),
        (ACTIONS + "quiet = ['steet/*']", r"actions.toml: quiet names steet/\*, which is no video or scene; names"),
        (ACTIONS + "quiet = ['']", "quiet names a video by nothing; name it, or take that off the list"),
        (ACTIONS + "quiet = ['door/one.mp4']", "door/one is annotated with actions, but also named as quiet"),
        (
            ACTIONS + "test = ['door']\nvalidation = ['door/one.mp4']",
            "validation names door/one, which is for testing; take it off one list",
        ),
        ('actions = ["fall", "None"]', "the action 'None' means in CVAT that nothing is done; name it otherwise"),
        (
            'actions = ["fall", "default"]',
            "the action 'default' means in config.toml all actions at once; name it other",
        ),
        ('actions = ["fall ", "climb"]', "the action 'fall ' begins or ends with a blank, which CVAT leaves out"),
        (ACTIONS + 'name = "a\\nb"', "the model's name .* is not a line of up to 256 visible characters"),
    ],
)
def test_a_wrong_actions_file(text: str, message: str, tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "actions.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(AnnotationError, match=message) as caught:
        loader.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_label_of_other_spelling_names_file_track_frame_and_cure(tmp_path: Path) -> None:
    project(tmp_path)
    path = second(tmp_path, ("climb", [box(1)]), ("Fall ", [box(7)]))
    with pytest.raises(AnnotationError) as caught:
        loader.load(tmp_path)
    assert str(caught.value) == (
        f"{path}: track 1 is 'Fall ' from frame 7 on, which is no action of {tmp_path}/actions.toml; "
        "name it 'fall' in CVAT, or add it there"
    )


@pytest.mark.parametrize(
    ("label", "actions", "sentence"),
    [
        ("Person", '"fall"', ""),
        ("PERSON ", '"fall"', ""),
        ("Person", '"Person", "fall"', ""),  # the action
        ("Person", '"person", "fall"', "name it 'person' in CVAT, or add it there"),
        ("person", '"Person", "fall"', "name it 'Person' in CVAT, or add it there"),
        ("persons", '"fall"', "name it 'person' in CVAT, or add it there"),
        ("Pedestrian", '"fall"', "name it in CVAT as one of them, or 'person' who does none of them, or add it there"),
    ],
)
def test_a_label_of_people_in_other_letters(label: str, actions: str, sentence: str, tmp_path: Path) -> None:
    """Some begin labels with a capital; where that may be an action which is spelt almost so, it is refused."""
    project(tmp_path, f"actions = [{actions}]\n")
    path = written(tmp_path / "annotations", ("fall", [box(4)]), (label, [box(0), box(9, action="fall")]))
    if not sentence:
        (video,) = loader.load(tmp_path).train
        assert len(video.tubes) == (3 if "Person" in actions else 2)
        return
    with pytest.raises(AnnotationError) as caught:
        loader.load(tmp_path)
    where = f"{path}: track 1 is {label!r} from frame 0 on, which is no action of {tmp_path}/actions.toml; "
    assert str(caught.value) == where + sentence


def test_videos_that_are_not_there_or_there_twice(tmp_path: Path) -> None:
    project(tmp_path, videos=("yard/door/one.mp4", "hall/door/one.mp4", "hall/one.mp4"))
    may_be = r"one.xml: its video door/one may be hall/door/one or yard/door/one; give these"
    with pytest.raises(AnnotationError, match=may_be):
        loader.load(tmp_path)
    shutil.rmtree(tmp_path / "videos" / "yard")
    shutil.rmtree(tmp_path / "videos" / "hall" / "door")
    with pytest.raises(AnnotationError, match=r"its video door/one is not in videos/"):  # that of the hall is another
        loader.load(tmp_path)
    (tmp_path / "videos" / "hall" / "one.avi").touch()
    with pytest.raises(AnnotationError, match=r"hall/one.mp4: has the name of one.avi; rename one"):
        loader.load(tmp_path)


def test_one_name_in_two_folders_of_which_one_is_the_first(tmp_path: Path) -> None:
    """CVAT leaves out the folder of an uploaded file, so that both may be meant."""
    project(tmp_path, videos=("two.mkv", "door/one.mp4", "yard/two.mkv"))
    path = second(tmp_path, ("climb", [box(1)]))
    written(tmp_path / "annotations", ("fall", [box(4)]))
    with pytest.raises(AnnotationError) as caught:
        loader.load(tmp_path)
    assert str(caught.value) == (f"{path}: its video two may be two or yard/two; give these videos different names")


def test_a_video_of_an_ending_that_is_not_read(tmp_path: Path) -> None:
    project(tmp_path, videos=("door/one.wmv",))
    written(tmp_path / "annotations", meta=META.replace("one.mp4", "one.wmv"))
    with pytest.raises(AnnotationError, match=r"video door/one.wmv is not in videos/ as one of .mp4 .avi .*; copy"):
        loader.load(tmp_path)


def test_the_export_of_a_job_is_named_after_its_video(tmp_path: Path) -> None:
    project(tmp_path)
    made = written(tmp_path / "annotations", ("fall", [box(4)]), meta="<version>1.1</version>")
    made.rename(tmp_path / "annotations" / "job_7.xml")
    with pytest.raises(
        AnnotationError, match=r"its video job_7 is not in videos/; name this file after its video, copy"
    ):
        loader.load(tmp_path)


def test_folders_that_are_links(tmp_path: Path) -> None:
    """As where videos lie on another disk; one that leads back to where it lies is not followed."""
    project(tmp_path, ACTIONS + 'quiet = ["street/*"]\n', ("door/one.mp4", "street/a.avi"))
    for name in ("videos/door", "videos/street", "annotations"):
        moved = tmp_path / "disk" / name
        moved.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).rename(moved)
        (tmp_path / name).symlink_to(moved)
    (tmp_path / "videos" / "street" / "again").symlink_to(tmp_path / "videos")
    (tmp_path / "videos" / "door" / "._one.mp4").touch()  # as macOS leaves on foreign disks
    data = loader.load(tmp_path)
    assert [video.name for video in data.train] == ["door/one", "street/a"]
    assert project_data.video_names(tmp_path) == ("door/one", "street/a")


def test_videos_that_are_not_used(tmp_path: Path) -> None:
    project(tmp_path, videos=("door/one.mp4", "yard/two.mkv"))
    assert project_data.unused(tmp_path, loader.load(tmp_path)) == ["yard/two"]


@pytest.mark.parametrize("name", ["testlist.txt", "trainlist.txt", "annotations.json"])
def test_what_only_other_data_sets_have(name: str, tmp_path: Path) -> None:
    """Else what is for testing would be learned from."""
    (project(tmp_path) / name).touch()
    with pytest.raises(AnnotationError, match=f"{name}: is not read beside actions.toml; .*, and take this file away"):
        loader.load(tmp_path)


def test_nothing_annotated(tmp_path: Path) -> None:
    project(tmp_path, videos=())
    with pytest.raises(AnnotationError, match="videos: no such folder; put the videos there"):
        loader.load(tmp_path)
    (tmp_path / "videos").mkdir()
    with pytest.raises(AnnotationError, match="its video door/one is not in videos/; copy it there, or take"):
        loader.load(tmp_path)
    (tmp_path / "annotations" / "one.xml").unlink()
    with pytest.raises(AnnotationError, match="holds no video; copy some there"):
        loader.load(tmp_path)
    (tmp_path / "videos" / "one.mp4").touch()
    with pytest.raises(AnnotationError, match="holds no annotation of the video; export each task"):
        loader.load(tmp_path)
    (tmp_path / "annotations" / "one.xml.gz").touch()
    with pytest.raises(AnnotationError, match=r"of the video; annotations/ holds one.xml.gz, which is not read, .*: u"):
        loader.load(tmp_path)
    written(tmp_path / "annotations", ("person", [box(0)]))
    with pytest.raises(AnnotationError, match="none of its 1 files shows an action; in CVAT give each track"):
        loader.load(tmp_path)


def test_a_validation_list_divides_any_data_set(tmp_path: Path) -> None:
    project(tmp_path)
    second(tmp_path, ("climb", [box(1)]))
    written(tmp_path / "annotations", ("fall", [box(4)]))
    (tmp_path / "validationlist.txt").write_text("yard/\n")
    assert [video.name for video in split_lists.held_out(loader.load(tmp_path).train)[1]] == ["yard/two"]
    for line, message in (
        ("none\n", "none is no training video; correct the name"),
        ("\n", "validationlist.txt: names no video; name those to hold out, or take the list away"),
    ):
        (tmp_path / "validationlist.txt").write_text(line)
        with pytest.raises(AnnotationError, match=message):
            loader.load(tmp_path)
    (tmp_path / "actions.toml").write_text(ACTIONS + 'test = ["yard"]\n')
    (tmp_path / "validationlist.txt").write_text("yard/two\n")
    with pytest.raises(AnnotationError, match="yard/two is for testing; take it off one list"):
        loader.load(tmp_path)

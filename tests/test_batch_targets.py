"""Where results go, and what is refused before any work."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from efdn.errors import ImageError, OutputError, UsageError
from engines.batch import collisions
from engines.batch.collisions import case_matters, refuse_collisions
from engines.batch.outcome import Status
from engines.batch.sources import Source, find_sources
from engines.batch.targets import EARLIER_RESULT, Ending, Existing, Plan, plan_targets
from engines.batch.task import Task
from tests.batch_samples import source, touch

posix = pytest.mark.skipif(os.name == "nt", reason="links and permissions as POSIX has them")


def plan(
    sources: list[Source],
    output: str | None = None,
    *,
    suffix: str = "_x4",
    ending: Ending = ".png",
    existing: Existing = Existing.REFUSE,
) -> Plan:
    """A plan, in the usual way unless told otherwise."""
    where = None if output is None else Path(output)
    return plan_targets(sources, output=where, suffix=suffix, ending=ending, existing=existing)


def sources_in(*names: str) -> list[Source]:
    """Files made and found as a tree under "in"."""
    touch(*(Path("in", name) for name in names))
    return list(find_sources(["in"], recursive=True).found)


def named(name: str) -> list[Source]:
    """One file made and named itself."""
    touch(Path(name))
    return list(find_sources([name]).found)


def targets(done: Plan) -> list[str]:
    return [task.target.as_posix() for task in done.tasks]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, "in/a_x4.png"),
        ("there", "there/a_x4.png"),
        ("new", "new/a_x4.png"),
        ("new/deeper", "new/deeper/a_x4.png"),
        ("b.webp", "b.webp"),
        ("there/b.png", "there/b.png"),
        ("new/b.png", "new/b.png"),
    ],
)
def test_one_named_picture_goes_beside_itself_to_a_file_or_into_a_folder(output: str | None, expected: str) -> None:
    Path("there").mkdir()
    ending = None if output == "b.webp" else ".png"
    assert targets(plan(named("in/a.png"), output, ending=ending)) == [expected]
    assert not Path("new").exists()


def test_many_go_beside_themselves_or_into_a_folder_that_keeps_the_tree() -> None:
    sources = sources_in("a.png", "sub/b.jpg")
    assert targets(plan(sources)) == ["in/a_x4.png", "in/sub/b_x4.png"]
    assert targets(plan(sources, "out/here")) == ["out/here/a_x4.png", "out/here/sub/b_x4.png"]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (".webp", ["in/a_x4.webp", "in/b_x4.webp"]),
        ("webp", ["in/a_x4.webp", "in/b_x4.webp"]),
        (None, ["in/a_x4.PNG", "in/b_x4.jpg"]),
        (lambda found: ".tif" if found.path.stem == "a" else None, ["in/a_x4.tif", "in/b_x4.jpg"]),
    ],
)
def test_endings_are_one_for_all_the_sources_own_or_decided_for_each(ending: Ending, expected: list[str]) -> None:
    assert targets(plan(sources_in("a.PNG", "b.jpg"), ending=ending)) == expected


def test_names_with_dots_and_other_suffixes_are_kept_whole() -> None:
    assert targets(plan(sources_in("a.b.c.png"), suffix="-big")) == ["in/a.b.c-big.png"]
    assert targets(plan(sources_in("a.b.c.png"), "out", suffix="")) == ["out/a.b.c.png"]


def test_an_ending_that_cannot_be_decided_fails_that_picture_alone() -> None:
    def ending(found: Source) -> str:
        if found.path.stem == "b":
            raise ImageError("b.png is broken")
        if found.path.stem == "c":
            raise PermissionError(13, "Permission denied", "in/c.png")
        return ".png"

    done = plan(sources_in("a.png", "b.png", "c.png", "d.png"), ending=ending)
    assert targets(done) == ["in/a_x4.png", "in/d_x4.png"]
    assert [(outcome.status, outcome.reason) for outcome in done.outcomes] == [
        (Status.FAILED, "b.png is broken"),
        (Status.FAILED, "in/c.png: permission denied"),
    ]


@pytest.mark.parametrize("suffix", ["/x", "..\\x", "a\0"])
def test_a_suffix_that_is_no_part_of_a_name_is_refused(suffix: str) -> None:
    with pytest.raises(UsageError, match="--suffix must be part of a file's name"):
        plan(named("a.png"), suffix=suffix)


def test_a_file_as_output_of_several_pictures_is_refused() -> None:
    touch(Path("file"))
    for output in ("out.png", "clip.MP4", "file"):
        for sources in (sources_in("a.png", "b.png"), sources_in("a.png")[:1]):
            with pytest.raises(UsageError, match=r"-o .* is a file's name, but there may be several pictures"):
                plan(sources, output)


def test_an_output_name_and_an_ending_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match=r"-o b\.png and --ext webp contradict"):
        plan(named("a.png"), "b.png", ending="webp")
    assert targets(plan(named("a.png"), "b.JPEG", ending="jpg")) == ["b.JPEG"]
    assert targets(plan(named("a.png"), "b.webp", ending=lambda found: ".png")) == ["b.webp"]


def test_two_pictures_for_one_file_are_refused_with_their_names_and_remedies() -> None:
    sources = sources_in("a.png", "a.jpg", "b.png", "b.webp", "c.png")
    with pytest.raises(OutputError) as caught:
        plan(sources)
    message = str(caught.value)
    assert "in/a.jpg and in/a.png to in/a_x4.png, in/b.png and in/b.webp to in/b_x4.png;" in message.replace("\\", "/")
    assert "--ext same" in message
    assert "-r" in message
    assert "c.png" not in message
    assert len(plan(sources, ending=None).tasks) == 5


def test_the_same_name_from_two_folders_collides_in_one_output_folder() -> None:
    touch(Path("one/a.png"), Path("two/a.png"))
    sources = list(find_sources(["one", "two"]).found)
    with pytest.raises(OutputError, match="written to one file"):
        plan(sources, "out")
    assert len(plan(sources).tasks) == 2


def test_many_collisions_are_counted() -> None:
    sources = sources_in(*(f"{index:02}.{ending}" for index in range(9) for ending in ("png", "jpg")))
    with pytest.raises(OutputError, match="and 4 more; keep"):
        plan(sources)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("photo.png", "PHOTO.jpg"),
        ("straße.png", "STRASSE.jpg"),
        (f"{unicodedata.normalize('NFC', 'é')}.png", f"{unicodedata.normalize('NFD', 'é')}.jpg"),
    ],
)
def test_names_that_many_systems_take_for_one_are_refused_unless_this_one_does_not(one: str, other: str) -> None:
    tasks = [
        Task(source=source(Path("in", name)), target=Path("out", f"{Path(name).stem}_x4.png")) for name in (one, other)
    ]
    with pytest.raises(OutputError, match="written to one file"):
        refuse_collisions(tasks, lambda task: False)
    refuse_collisions(tasks, lambda task: True)


def test_equal_names_are_refused_wherever_case_matters() -> None:
    tasks = [Task(source=source(Path("in", name)), target=Path("out/a.png")) for name in ("a.png", "a.jpg")]
    with pytest.raises(OutputError, match="written to one file"):
        refuse_collisions(tasks, lambda task: True)


def test_whether_case_matters_is_seen_at_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "Probe.txt", tmp_path / "123")
    here = not (tmp_path / "pROBE.TXT").exists()
    task = Task(source=source(tmp_path / "Probe.txt"), target=tmp_path / "out" / "x.png")
    assert case_matters(task) is here
    # A name without letters tells nothing, and neither does one on another file system.
    assert not case_matters(Task(source=source(tmp_path / "123"), target=task.target))
    monkeypatch.setattr(collisions, "nearest_folder", lambda target: Path(os.devnull))
    assert not case_matters(task)


def test_a_result_that_would_replace_a_picture_is_refused_even_with_overwrite() -> None:
    sources = sources_in("a.png", "b.png")
    for existing in Existing:
        with pytest.raises(OutputError, match=r"would replace a picture.*a\.png.*--suffix"):
            plan(sources, suffix="", existing=existing)
    with pytest.raises(OutputError, match="would replace a picture"):
        plan(named("a.png"), "a.png", existing=Existing.OVERWRITE)
    assert len(plan(sources, suffix="", ending="webp").tasks) == 2


@posix
def test_a_result_that_would_replace_a_picture_through_a_link_is_refused(tmp_path: Path) -> None:
    sources = sources_in("a.png")
    Path("out").symlink_to("in")
    with pytest.raises(OutputError, match="would replace a picture"):
        plan(sources, "out", suffix="", existing=Existing.OVERWRITE)


def test_existing_results_are_refused_skipped_or_replaced() -> None:
    sources = sources_in("a.png", "b.png", "c.png")
    touch(Path("out/a_x4.png"), Path("out/b_x4.png"))
    with pytest.raises(
        OutputError, match=r"2 of 3 results exist \(.*a_x4\.png, .*b_x4\.png\).*--skip-existing.*--over"
    ):
        plan(sources, "out")
    skipping = plan(sources, "out", existing=Existing.SKIP)
    assert targets(skipping) == ["out/c_x4.png"]
    assert [(outcome.status, outcome.target) for outcome in skipping.outcomes] == [
        (Status.SKIPPED, Path("out/a_x4.png")),
        (Status.SKIPPED, Path("out/b_x4.png")),
    ]
    assert len(plan(sources, "out", existing=Existing.OVERWRITE).tasks) == 3


def test_many_existing_results_are_counted_and_one_is_named() -> None:
    sources = sources_in(*(f"{index}.png" for index in range(8)))
    touch(*(Path(f"out/{index}_x4.png") for index in range(8)))
    with pytest.raises(OutputError, match=r"8 of 8 results exist \(.*4_x4\.png and 3 more\)"):
        plan(sources, "out")
    with pytest.raises(OutputError, match=r"^out.0_x4\.png exists: give --skip-existing"):
        plan(sources[:1], "out")


@posix
def test_a_link_that_leads_nowhere_counts_as_an_existing_result() -> None:
    sources = named("a.png")
    Path("a_x4.png").symlink_to("gone.png")
    with pytest.raises(OutputError, match="exists"):
        plan(sources)


def test_results_of_an_earlier_run_beside_their_pictures_are_not_upscaled_again() -> None:
    sources = sources_in("a.png", "a_x4.png", "a_x4_x4.png", "b.jpg", "b_x4.webp", "c_x4.png", "sub/a_x4.png")
    done = plan(sources, existing=Existing.SKIP)
    assert targets(done) == ["in/b_x4.png", "in/c_x4_x4.png", "in/sub/a_x4_x4.png"]
    earlier = [outcome.source.as_posix() for outcome in done.outcomes if outcome.reason == EARLIER_RESULT]
    assert earlier == ["in/a_x4.png", "in/a_x4_x4.png", "in/b_x4.webp"]
    assert [outcome.target for outcome in done.outcomes if outcome.reason != EARLIER_RESULT] == [Path("in/a_x4.png")]
    # Wherever the new results go, and whatever these are called.
    assert len(plan(sources, "out", ending=None).tasks) == 3 + 1
    assert len(plan(sources, suffix="_big").tasks) == 4
    # The folder of the pictures named as that of the results is the same as none.
    assert len(plan(sources, "in", existing=Existing.SKIP).tasks) == 3


@pytest.mark.parametrize(
    "name",
    ["a_x2.png", "a_x1.5.webp", "a_1920x.png", "a_1920x1080.png", "a_x1080.png", "a_50pct.jpg", "a_x3_compare.png"],
)
def test_results_of_other_scales_and_sizes_are_known_in_folders(name: str) -> None:
    sources = sources_in("a.png", name)
    assert [task.source.path.name for task in plan(sources).tasks] == ["a.png"]
    # Alone, it is a picture like others.
    alone = [source for source in sources if source.path.name == name]
    assert len(plan(alone).tasks) == 1


@pytest.mark.parametrize("name", ["a_xmas.png", "a_2.png", "a_x.png", "ax4.png", "a_pct.png"])
def test_names_that_are_only_like_those_of_results_are_pictures(name: str) -> None:
    assert len(plan(sources_in("a.png", name)).tasks) == 2


def test_a_second_run_in_place_does_nothing_new() -> None:
    first = plan(sources_in("a.png", "sub/b.png"))
    touch(*(task.target for task in first.tasks))
    second = plan(sources_in(), existing=Existing.SKIP)
    assert second.tasks == ()
    assert {outcome.status for outcome in second.outcomes} == {Status.SKIPPED}


def test_folders_that_cannot_hold_results_are_refused_early() -> None:
    touch(Path("file"))
    sources = sources_in("a.png", "sub/b.png")
    with pytest.raises(OutputError, match=r"cannot make the folder file.inner: file is not a folder"):
        plan(sources, "file/inner")
    touch(Path("out/sub"))
    with pytest.raises(OutputError, match=r"sub is a file, not a folder"):
        plan(sources, "out")


@pytest.mark.parametrize("output", [None, "out", "out/new"])
def test_folders_without_permission_are_refused_early(monkeypatch: pytest.MonkeyPatch, output: str | None) -> None:
    Path("out").mkdir()
    sources = sources_in("a.png")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match=r"no permission to write in .*; choose another with -o"):
        plan(sources, output)


def test_a_folder_with_the_name_of_a_result_is_refused() -> None:
    sources = sources_in("a.png", "b.png")
    Path("in/b_x4.png").mkdir()
    with pytest.raises(OutputError, match=r"b_x4\.png: expected a file name, this is a folder"):
        plan(sources, existing=Existing.OVERWRITE)


def test_no_sources_make_an_empty_plan() -> None:
    assert plan([]) == Plan(tasks=())

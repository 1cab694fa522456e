"""Images that become volumes: whole, and leading nowhere else."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.image import check_qcow2

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed; qemu-utils has it")


def header(*, version: int = 3, backing: int = 0, features: int = 0) -> bytes:
    return b"QFI\xfb" + struct.pack(">IQ", version, backing) + bytes(56) + struct.pack(">Q", features) + bytes(24)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no qcow2 image"),
        (b"\0" * 512, "is no qcow2 image"),
        (header(backing=104), "the rest is in a file that it names"),
        (header(version=2, backing=104), "the rest is in a file that it names"),
        (header(features=4), "the rest is in a file that it names"),
        pytest.param(header(), "is corrupt", marks=needs_qemu),
    ],
)
def test_an_image_that_can_not_be_used_is_refused_by_why(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        check_qcow2(tmp_path / "image")


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none can't be read here: No such file"):
        check_qcow2(tmp_path / "none")


@needs_qemu
def test_a_whole_image_is_taken_and_one_that_was_cut_off_is_not(tmp_path: Path) -> None:
    raw, image = tmp_path / "raw", tmp_path / "image"
    raw.write_bytes(b"x" * 4 * 1024 * 1024)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    check_qcow2(image)
    image.write_bytes(image.read_bytes()[: 2 * 1024 * 1024])
    with pytest.raises(ValueError, match=r"is corrupt; fetch it again; qemu-img check says: \S"):
        check_qcow2(image)


@needs_qemu
def test_what_qemu_makes_with_another_file_is_seen(tmp_path: Path) -> None:
    base, copy, split = tmp_path / "base", tmp_path / "copy", tmp_path / "split"
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, base, "1M"], check=True)
    subprocess.run([*create, "-b", base, "-F", "qcow2", copy], check=True)
    subprocess.run([*create, "-o", f"data_file={tmp_path / 'data'}", split, "1M"], check=True)
    for image in (copy, split):
        with pytest.raises(ValueError, match="the rest is in a file"):
            check_qcow2(image)

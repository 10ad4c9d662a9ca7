import struct

import pytest

from journeyman.agent.models.engine import Engine, free_threads, threads
from journeyman.agent.models.files import ModelFiles, fingerprint, fitting_context, missing_bytes, tensor
from journeyman.agent.models.llama import LlamaModel
from journeyman.errors import ModelError, ModelNotFound


def text(value):
    return struct.pack("<Q", len(value)) + value


def gguf(path, *, context=64, tensors=1, data=128):
    """A small file in the format: one number, one list of words, and tensors that begin 64 bytes apart."""
    pairs = text(b"x.context_length") + struct.pack("<II", 4, context)
    pairs += text(b"x.words") + struct.pack("<IIQ", 9, 8, 2) + text(b"one") + text(b"two")
    infos = b"".join(text(b"t%d" % n) + struct.pack("<IQIQ", 1, 16, 0, 64 * n) for n in range(tensors))
    head = struct.pack("<4sIQQ", b"GGUF", 3, tensors, 2) + pairs + infos
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(data))
    return path


def test_a_missing_model_is_named_with_its_neighbours(tmp_path):
    gguf(tmp_path / "there.gguf")

    with pytest.raises(ModelNotFound, match=r"Files there: there\.gguf") as caught:
        ModelFiles.parse(str(tmp_path / "here.gguf")).check()

    assert caught.value.fix == "Check the path, or use local:starter."


def test_a_folder_is_not_a_model_and_the_file_in_it_is_named(tmp_path):
    model = gguf(tmp_path / "m.gguf")

    with pytest.raises(ModelNotFound, match="is a folder") as caught:
        ModelFiles.parse(str(tmp_path)).check()

    assert caught.value.fix == f"Name the file: local:{model}"


@pytest.mark.parametrize(
    ("content", "words"), [(b"<html>", "is not a GGUF file"), (b"", "is not a GGUF file"), (b"GGUF", "truncated")]
)
def test_what_is_no_gguf_is_told_apart(tmp_path, content, words):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=words) as caught:
        ModelFiles.parse(str(path)).check()

    assert caught.value.fix


def test_a_missing_adapter_is_called_one(tmp_path):
    model = gguf(tmp_path / "m.gguf", data=2048)

    with pytest.raises(ModelNotFound, match="There is no adapter file"):
        LlamaModel(ModelFiles(model=model, adapters=(tmp_path / "a.gguf",))).start()


def test_a_cut_file_lacks_bytes_and_a_whole_one_none(tmp_path):
    path = gguf(tmp_path / "m.gguf", tensors=3)
    assert missing_bytes(path) == 0

    path.write_bytes(path.read_bytes()[:-80])
    assert missing_bytes(path) > 0

    path.write_bytes(path.read_bytes()[:60])
    assert missing_bytes(path) > 0


def test_the_context_is_bounded_by_what_the_model_was_trained_for(tmp_path):
    path = gguf(tmp_path / "m.gguf", context=64)

    assert fitting_context(path, None) == 64
    assert fitting_context(path, 32) == 32
    with pytest.raises(ModelError, match="trained for 64") as caught:
        fitting_context(path, 65)

    assert caught.value.fix == "Ask for a context of 1 to 64 tokens."


def test_a_header_of_nonsense_is_a_model_error(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 4096)

    with pytest.raises(ModelError, match="makes no sense"):
        fitting_context(path, None)


@pytest.mark.parametrize("listed", [struct.pack("<Q", 2**40), struct.pack("<Q1sI", 1, b"t", 2**32 - 1)])
def test_a_list_of_tensors_that_makes_no_sense_is_not_followed(tmp_path, listed):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + listed + bytes(1 << 20))

    with pytest.raises(ModelError, match="a tensor with a name of"):
        tensor(path, "output.weight")


def test_fingerprints_tell_files_apart(tmp_path):
    one, two = gguf(tmp_path / "1.gguf"), gguf(tmp_path / "2.gguf", data=129)

    assert fingerprint(one) == fingerprint(gguf(tmp_path / "3.gguf"))
    assert fingerprint(one) != fingerprint(two)


@pytest.mark.parametrize(
    ("cores", "load", "expected"), [(2, 0.1, 2), (2, 0.9, 1), (2, 7.0, 1), (8, 2.6, 5), (1, 0.0, 1)]
)
def test_threads_are_the_cores_that_are_free(cores, load, expected):
    assert threads(cores, load) == expected


def test_a_thread_is_always_left():
    assert free_threads() >= 1
    assert Engine().threads is None

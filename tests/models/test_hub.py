"""From what is typed to a directory, without a network."""

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.models import load_tokenizer, open_model, resolve_ref


def cached(home, repo, commit="a" * 40, ref="main"):
    """A repository in the layout of the Hub cache: files are links into `blobs`."""
    folder = home / ("models--" + repo.replace("/", "--"))
    for part in (folder / "blobs", folder / "refs", folder / "snapshots" / commit):
        part.mkdir(parents=True)
    (folder / "refs" / ref).write_text(commit)
    return folder, folder / "snapshots" / commit


@pytest.fixture
def offline(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_directory_is_taken_whole(directory, monkeypatch):
    odd = directory.rename(directory.with_name("base+adapter@v1"))
    assert resolve_ref(str(odd)) == odd
    monkeypatch.chdir(odd.parent)
    assert resolve_ref("base+adapter@v1").resolve() == odd


def test_a_cached_snapshot_of_links(directory, offline):
    folder, snapshot = cached(offline, "org/tiny")
    for file in directory.iterdir():
        file.rename(folder / "blobs" / file.name)
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    assert resolve_ref("org/tiny") == snapshot and resolve_ref(f"org/tiny@{'a' * 40}") == snapshot
    assert open_model(snapshot).cfg.num_layers == 3


def test_of_the_weights_only_what_is_needed_is_fetched(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo, **more: asked.append(more["allow_patterns"]) or tmp_path)
    assert resolve_ref("org/large", needed=lambda folder: ["model-00003-of-00050.safetensors"]) == tmp_path
    assert "*.safetensors" not in asked[0] and "*.safetensors.index.json" in asked[0]
    assert asked[1:] == [["model-00003-of-00050.safetensors"]]
    resolve_ref("org/large")
    assert "*.safetensors" in asked[2]


@pytest.mark.parametrize("ref", ["org/unknown", "org/unknown@v2", "./nowhere", "/no/such/place", "nowhere", "a/b/c", "", "x y/z"])
def test_what_is_not_there(offline, ref):
    with pytest.raises(InputError) as caught:
        resolve_ref(ref)
    assert str(caught.value).startswith(f"{ref}: ") and "\n" not in str(caught.value)


def test_a_directory_without_a_model(tmp_path):
    with pytest.raises(InputError, match=r"the directory holds no config\.json"):
        resolve_ref(str(tmp_path))


def test_tokenizer_and_what_is_not_one(shared_data, directory):
    tokenizer = load_tokenizer(shared_data / "models" / "stories260k")
    assert tokenizer.decode(tokenizer("Once upon a time").input_ids, skip_special_tokens=True) == "Once upon a time"
    (directory / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="the tokenizer cannot be read"):
        load_tokenizer(directory)

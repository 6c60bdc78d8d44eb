"""Pictures are kept by job and name, whole or not at all; a store that fails says so in a sentence."""

import asyncio
from pathlib import Path

import pytest

from artifacts import ArtifactStore
from artifacts.location import default_url
from contracts.errors import NotFound, StoreUnavailable


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/pictures")


async def test_what_was_put_is_got_and_put_again_replaced(store: ArtifactStore) -> None:
    await store.put("gen_1", "steps/3/grid.jpg", b"first")
    await store.put("gen_1", "steps/3/grid.jpg", b"second")
    assert await store.get("gen_1", "steps/3/grid.jpg") == b"second"


async def test_what_is_not_there_is_not_found(store: ArtifactStore) -> None:
    with pytest.raises(NotFound, match=r"gen_1 has no image\.png"):
        await store.get("gen_1", "image.png")


async def test_deleting_a_job_leaves_the_others_and_no_empty_folder(store: ArtifactStore, tmp_path: Path) -> None:
    for job in ("gen_1", "gen_12"):
        for name in ("image.png", "steps/1/grid.jpg"):
            await store.put(job, name, job.encode())
    await store.delete_all("gen_1")
    await store.delete_all("gen_0")
    with pytest.raises(NotFound):
        await store.get("gen_1", "steps/1/grid.jpg")
    assert [path.name for path in (tmp_path / "pictures" / "jobs").iterdir()] == ["gen_12"]
    assert await store.get("gen_12", "image.png") == b"gen_12"
    await store.delete_all("gen_12")
    await store.put("gen_2", "image.png", b"the store itself is still there")


@pytest.mark.parametrize("name", ["with spaces", "100% why? #1", "a%20b", "ä"])
def test_pictures_lie_in_the_folder_that_was_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    asyncio.run(ArtifactStore(default_url(folder)).put("gen_1", "image.png", b"picture"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (folder / "artifacts" / "jobs" / "gen_1" / "image.png").read_bytes() == b"picture"


async def test_a_reader_sees_the_old_bytes_or_the_new_ones_never_half(store: ArtifactStore) -> None:
    versions = [bytes([number]) * 300_000 for number in range(8)]
    await store.put("gen_1", "image.png", versions[0])

    async def read() -> bytes:
        return await store.get("gen_1", "image.png")

    seen = await asyncio.gather(
        *(work for version in versions for work in (store.put("gen_1", "image.png", version), read()))
    )
    assert {read for read in seen if read is not None} <= set(versions)


@pytest.mark.parametrize("url", ["nonsense://x", "no url"])
def test_a_url_that_is_none_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="check MAXWELL_STORE_URL"):
        ArtifactStore(url)


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="check MAXWELL_STORE_URL or MAXWELL_STATE_DIR"):
        ArtifactStore(f"file://{tmp_path}/file/pictures")

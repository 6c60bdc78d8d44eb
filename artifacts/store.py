"""The object store behind one small interface: put, get, delete of named bytes of a job. It knows no picture format."""

import obstore
from obstore.store import ObjectStore, from_url

from contracts.errors import NotFound


class ArtifactStore:
    """Artifacts by (job, name), e.g. ("gen_…", "image.png"), under `jobs/<job>/<name>`.

    `url` is a `file:///folder`, `s3://bucket/prefix`, `gs://…` or `az://…`; credentials come from the environment
    as each cloud's own tools expect them.
    """

    def __init__(self, url: str) -> None:
        self._store: ObjectStore = from_url(url, mkdir=True) if url.startswith("file:") else from_url(url)

    async def put(self, job: str, name: str, data: bytes) -> None:
        """Write whole; a reader sees the old bytes or the new ones, never half. Writing again replaces."""
        await obstore.put_async(self._store, _path(job, name), data)

    async def get(self, job: str, name: str) -> bytes:
        """The bytes, or NotFound."""
        try:
            answer = await obstore.get_async(self._store, _path(job, name))
        except FileNotFoundError:
            raise NotFound(f"the job {job} has no {name} (yet, or any more)") from None
        return bytes(await answer.bytes_async())

    async def exists(self, job: str, name: str) -> bool:
        """Whether the artifact was written."""
        try:
            await obstore.head_async(self._store, _path(job, name))
        except FileNotFoundError:
            return False
        return True

    async def delete_all(self, job: str) -> None:
        """Remove every artifact of the job; none there is no error."""
        async for batch in obstore.list(self._store, prefix=f"jobs/{job}/"):
            await obstore.delete_async(self._store, [item["path"] for item in batch])


def _path(job: str, name: str) -> str:
    return f"jobs/{job}/{name}"

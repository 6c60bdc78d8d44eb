"""The object store behind one small interface: put, get, delete of named bytes of a job. It knows no picture format."""

from collections.abc import Iterator
from contextlib import contextmanager

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from contracts.errors import NotFound, StoreUnavailable, first_line


class ArtifactStore:
    """Artifacts by (job, name), e.g. ("gen_…", "image.png"), under `jobs/<job>/<name>`.

    `url` is a `file:///folder`, `s3://bucket/prefix`, `gs://…` or `az://…`; credentials come from the environment
    as each cloud's own tools expect them. Every method raises StoreUnavailable where the store fails.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        with self._sentences():
            # A folder whose last picture is removed goes with it.
            local = url.startswith("file:")
            self._store: ObjectStore = from_url(url, mkdir=True, automatic_cleanup=True) if local else from_url(url)

    async def put(self, job: str, name: str, data: bytes) -> None:
        """Write whole; a reader sees the old bytes or the new ones, never half. Writing again replaces."""
        with self._sentences():
            await obstore.put_async(self._store, _path(job, name), data)

    async def get(self, job: str, name: str) -> bytes:
        """The bytes, or NotFound."""
        with self._sentences():
            try:
                answer = await obstore.get_async(self._store, _path(job, name))
            except FileNotFoundError:
                raise NotFound(f"the job {job} has no {name} (yet, or any more)") from None
            return bytes(await answer.bytes_async())

    async def delete_all(self, job: str) -> None:
        """Remove every artifact of the job; none there is no error."""
        with self._sentences():
            async for batch in obstore.list(self._store, prefix=f"jobs/{job}/"):
                await obstore.delete_async(self._store, [item["path"] for item in batch])

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise StoreUnavailable(
                f"the picture store {self._url} fails ({first_line(error)}): check MAXWELL_STORE_URL or MAXWELL_STATE_DIR, "
                "its rights and space"
            ) from error


def _path(job: str, name: str) -> str:
    return f"jobs/{job}/{name}"

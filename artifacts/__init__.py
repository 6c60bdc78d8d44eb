"""Pictures that must last: result, baseline, step grids, in an object store (a local folder, or S3/GCS/Azure by URL).

It knows names and bytes; it knows no job state, no Redis and no picture format.
"""

from .store import ArtifactStore

__all__ = ["ArtifactStore"]

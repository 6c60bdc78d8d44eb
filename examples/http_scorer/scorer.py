"""A scorer behind a URL: prefers red pictures. Copy it, and put your own model where `redness` is."""

import base64
import io
import os
import secrets
from typing import Literal

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from PIL import Image, ImageStat
from pydantic import BaseModel

TOKEN = os.environ.get("SCORER_TOKEN", "")
app = FastAPI()


class Ask(BaseModel):
    version: Literal[1]
    id: str  # the same when the same is asked again
    kind: str  # candidates, check, final or preference
    prompt: str
    scenario: str
    sigma: float  # the noise level that the pictures are previews of; 0: finished
    encoding: str  # jpeg or png
    pictures: list[str]  # base64


@app.post("/score")
def score(ask: Ask, authorization: str = Header("")) -> dict[str, object]:
    if TOKEN and not secrets.compare_digest(authorization.encode(), f"Bearer {TOKEN}".encode()):
        raise HTTPException(401)
    pictures = [Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB") for picture in ask.pictures]
    return {"scores": [redness(picture) for picture in pictures], "rationale": "The redder, the better."}


def redness(picture: Image.Image) -> float:
    """Red less the mean of green and blue, from -255 to 255."""
    red, green, blue = ImageStat.Stat(picture).mean
    return red - (green + blue) / 2


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("SCORER_PORT", "8100")))

"""What strict providers refuse a request for, by protocol. It knows no picture and no judge."""

import re
from typing import Any

DATA_URL = re.compile(r"data:image/(jpeg|jpg|png|webp);base64,([A-Za-z0-9+/]+=*)\Z")  # all that Ollama takes
KNOWN_KEYS = {
    "model", "messages", "response_format", "max_tokens", "max_completion_tokens", "temperature", "seed", "reasoning_effort",
    "chat_template_kwargs",
}  # fmt: skip


def openai_complaint(request: dict[str, Any]) -> str | None:
    """What a strict provider would refuse this request for; None: nothing."""
    if unknown := set(request) - KNOWN_KEYS:
        return f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}"
    roles = [message["role"] for message in request["messages"]]
    if roles not in (["system", "user"], ["system", "user", "assistant", "user"]):
        return f"unexpected roles {roles}"
    for part in request["messages"][1]["content"]:
        if part["type"] == "image_url" and not DATA_URL.match(part["image_url"]["url"]):
            return "Invalid image data URL"
    form = request.get("response_format")
    if form is not None and form["type"] == "json_schema":
        return _complaint_about(form["json_schema"])
    return None


def _complaint_about(form: dict[str, Any]) -> str | None:
    """The rules of strict schemas."""
    schema = form["schema"]
    properties = schema["properties"]
    if form["strict"] is not True or not re.fullmatch(r"[\w-]{1,64}", form["name"]):
        return "Invalid 'response_format.json_schema'"
    if schema["additionalProperties"] is not False or schema["required"] != list(properties):
        return "Invalid schema: 'additionalProperties' must be false and all keys required"
    return None


GEMINI_KEYS = {"model", "contents", "systemInstruction", "generationConfig"}
GENERATION_KEYS = {
    "maxOutputTokens", "temperature", "responseMimeType", "responseJsonSchema", "mediaResolution", "thinkingConfig", "candidateCount",
}  # fmt: skip
SCHEMA_KEYS = {
    "type", "description", "enum", "items", "minItems", "maxItems", "properties", "additionalProperties", "required",
    "propertyOrdering",
}  # fmt: skip
RESOLUTIONS = {f"MEDIA_RESOLUTION_{level}" for level in ("LOW", "MEDIUM", "HIGH")}
THINKING_LEVELS = {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"}


def gemini_complaint(request: dict[str, Any]) -> str | None:
    """What the Gemini API would refuse this request for; None: nothing. It refuses every name that it does not know."""
    config = request.get("generationConfig", {})
    for names, known, where in ((request, GEMINI_KEYS, ""), (config, GENERATION_KEYS, " at 'generation_config'")):
        if unknown := set(names) - known:
            return f'Invalid JSON payload received. Unknown name "{sorted(unknown)[0]}"{where}: Cannot find field.'
    roles = [content.get("role") for content in request["contents"]]
    if roles not in (["user"], ["user", "model", "user"]):
        return f"Please ensure that multiturn requests alternate between user and model: {roles}"
    instruction = request["systemInstruction"]["parts"]
    for part in (*instruction, *(part for content in request["contents"] for part in content["parts"])):
        if said := _complaint_about_part(part):
            return said
    return _complaint_about_config(config)


def _complaint_about_part(part: dict[str, Any]) -> str | None:
    if set(part) == {"text"}:
        return None if part["text"] else "Unable to submit request because it has an empty text parameter."
    data = _camel_case(part["inlineData"]) if set(part) == {"inlineData"} else {}
    if set(data) != {"mimeType", "data"}:
        return f"Invalid value at 'contents.parts': {sorted(part)}"
    if data["mimeType"] not in ("image/jpeg", "image/png", "image/webp"):
        return f"Unsupported MIME type: {data['mimeType']}"
    return None if re.fullmatch(r"[A-Za-z0-9+/_-]+={0,2}", data["data"]) else "Base64 decoding failed"


def _camel_case(said: dict[str, Any]) -> dict[str, Any]:
    """Names as the protocol writes them: it takes those of protobuf too (mime_type), and the SDK mixes the two."""
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): value for name, value in said.items()}


def _complaint_about_config(config: dict[str, Any]) -> str | None:
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        return "response_json_schema requires application/json"
    if config.get("mediaResolution", "MEDIA_RESOLUTION_LOW") not in RESOLUTIONS:
        return f"Invalid value at 'generation_config.media_resolution': {config['mediaResolution']}"
    thinking = _camel_case(config.get("thinkingConfig", {}))
    if set(thinking) - {"thinkingLevel"} or thinking.get("thinkingLevel", "LOW") not in THINKING_LEVELS:
        return f"Invalid value at 'generation_config.thinking_config': {thinking}"
    return _complaint_about_json_schema(config.get("responseJsonSchema", {"type": "string"}))


def _complaint_about_json_schema(schema: dict[str, Any]) -> str | None:
    """The subset that is known, all through the schema."""
    if unknown := set(schema) - SCHEMA_KEYS:
        return f"Unknown schema keyword: {', '.join(sorted(unknown))}"
    properties = schema.get("properties", {})
    if set(schema.get("required", [])) - set(properties) or set(schema.get("propertyOrdering", properties)) != set(
        properties
    ):
        return "'required' and 'propertyOrdering' must name the properties"
    inner = [*properties.values(), *([schema["items"]] if "items" in schema else [])]
    return next((said for one in inner if (said := _complaint_about_json_schema(one))), None)

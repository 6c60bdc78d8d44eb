"""The four scenarios of the paper (Yeh et al., ICLR 2025, appendix): who looks at the pictures. It knows no judge."""

from ._base import Contract


class Scenario(Contract):
    """A named point of view from which a judge prefers one picture to another."""

    name: str
    text: str


_TEXTS = {
    "teacher": "You are a teacher looking to create custom illustrations for your educational materials to make learning "
    "more engaging for your students.",
    "artist": "You are a game or movie concept artist tasked with creating concept art for characters, settings, and scenes "
    "to speed up the pre-production process.",
    "researcher": "You are a researcher needing to visualize complex data, such as molecular structures in chemistry or "
    "weather patterns in meteorology, for better understanding or presentation.",
    "journalist": "You are a journalist who wants to add a visual teaser for your article to grab attention on social media "
    "or your news website.",
}

SCENARIOS: dict[str, Scenario] = {name: Scenario(name=name, text=text) for name, text in _TEXTS.items()}

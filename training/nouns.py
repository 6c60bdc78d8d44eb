"""The nouns the pictures are judged on, and the few answers that count as the same. It knows names, no picture and no network.

Chosen for what people ask for, before any evaluation: common things in common words, not those that the model draws well. All 45
animals of the DDPO list are here.
Left out are names nobody would type (`magnifying glass tilted left`), names that say two things (`tennis`, `cooking`), signs,
and colour variants of one shape (six more hearts would only raise the figure).
"""

GROUPS: dict[str, tuple[str, ...]] = {
    "animals": (
        "cat", "dog", "horse", "monkey", "rabbit", "zebra", "spider", "bird", "deer", "cow", "goat", "lion", "tiger", "bear",
        "raccoon", "fox", "wolf", "lizard", "ant", "butterfly", "fish", "shark", "whale", "dolphin", "mouse", "rat", "snake",
        "turtle", "frog", "chicken", "duck", "goose", "bee", "pig", "turkey", "llama", "camel", "bat", "gorilla", "hedgehog",
        "kangaroo", "sheep", "squirrel", "beetle", "fly",  # to here the DDPO list
        "badger", "beaver", "bison", "blowfish", "chick", "crab", "crocodile", "dinosaur", "donkey", "dove", "dragon", "eagle",
        "elephant", "flamingo", "giraffe", "hamster", "hippopotamus", "jellyfish", "koala", "ladybug", "leopard", "lobster",
        "moose", "octopus", "orangutan", "otter", "owl", "panda", "parrot", "peacock", "penguin", "polar bear", "rhinoceros",
        "rooster", "scorpion", "shrimp", "skunk", "sloth", "snail", "squid", "swan", "unicorn",
    ),
    "plants and sky": (
        "tree", "pine tree", "palm tree", "cactus", "rose", "tulip", "sunflower", "cherry blossom", "bouquet", "mushroom",
        "maple leaf", "four leaf clover", "seashell", "sun", "moon", "star", "planet", "cloud", "rainbow", "snowflake", "tornado",
        "fire", "droplet", "mountain", "volcano", "desert island",
    ),
    "food": (
        "red apple", "green apple", "avocado", "banana", "blueberries", "bread", "broccoli", "cake", "birthday cake", "candy",
        "carrot", "cheese", "cherries", "chocolate bar", "coconut", "cookie", "corn", "croissant", "cucumber", "cupcake", "donut",
        "egg", "eggplant", "french fries", "garlic", "grapes", "hamburger", "hot dog", "hot pepper", "ice cream", "kiwi fruit",
        "lemon", "lime", "lollipop", "mango", "melon", "onion", "pancakes", "peach", "pear", "pie", "pineapple", "pizza",
        "popcorn", "potato", "pretzel", "sandwich", "spaghetti", "strawberry", "sushi", "taco", "tangerine", "tomato", "waffle",
        "watermelon", "beer", "bubble tea", "cup of coffee", "glass of wine", "teapot",
    ),
    "vehicles": (
        "airplane", "ambulance", "bicycle", "bus", "canoe", "car", "fire truck", "helicopter", "kick scooter", "motor scooter",
        "motorcycle", "pickup truck", "police car", "racing car", "rocket", "sailboat", "ship", "skateboard", "sled", "speedboat",
        "steam train", "taxi", "tractor", "train", "tram", "truck", "ufo",
    ),
    "things": (
        "castle", "church", "factory", "ferris wheel", "fountain", "house", "tent", "anchor", "umbrella", "snowman",
        "christmas tree", "jack-o-lantern", "backpack", "balloon", "basketball", "soccer ball", "american football", "trophy",
        "teddy bear", "gift", "kite", "crown", "diamond", "ring", "glasses", "sunglasses", "t-shirt", "jeans", "dress", "socks",
        "shoe", "sneaker", "top hat", "handbag", "necktie", "scarf", "gloves", "bell", "guitar", "violin", "drum", "trumpet",
        "saxophone", "accordion", "microphone", "headphone", "radio", "television", "camera", "computer", "laptop", "printer",
        "mobile phone", "telephone", "light bulb", "candle", "flashlight", "alarm clock", "watch", "book", "key", "hammer", "axe",
        "screwdriver", "wrench", "scissors", "pencil", "paintbrush", "envelope", "money bag", "coin", "bomb", "shield",
        "bow and arrow", "crossed swords", "treasure chest", "magnet", "ladder", "bed", "chair", "door", "window", "toilet",
        "bathtub", "broom", "bucket", "toothbrush", "shopping cart", "microscope", "telescope", "stop sign",
    ),
    "faces and figures": (
        "smiling face", "winking face", "face in love", "face with sunglasses", "face with tongue", "thinking face",
        "sleeping face", "crying face", "sad face", "angry face", "astonished face", "nerd face", "partying face",
        "cowboy hat face", "clown face", "red heart", "broken heart", "skull", "ghost", "alien", "robot", "baby", "man", "woman",
        "santa claus", "mermaid", "thumbs up", "eye", "tooth", "brain",
    ),
}  # fmt: skip

EVALUATED: tuple[str, ...] = tuple(noun for nouns in GROUPS.values() for noun in nouns)

# An asked noun and the other classes that answer it too: a kind of the asked thing whose name says so, or (marked) the same
# drawing. Never the other way round: a car is no answer to "a police car". `evaluate` prints the figures without this as well.
ALIKE: dict[str, frozenset[str]] = {
    "cat": frozenset({"black cat"}),
    "dog": frozenset({"poodle"}),
    "bear": frozenset({"polar bear"}),
    "tree": frozenset({"pine tree"}),
    "car": frozenset({"suv", "police car", "racing car"}),  # suv: the same drawing as a car seen from the side
    "truck": frozenset({"pickup truck", "fire truck"}),
    "train": frozenset({"steam train"}),
    "cake": frozenset({"birthday cake"}),
    "book": frozenset({"open book", "books"}),
    "camera": frozenset({"movie camera"}),
    "glasses": frozenset({"sunglasses"}),
    "sun": frozenset({"sun with face"}),
    "tent": frozenset({"camping"}),  # the same tent, with trees
    "house": frozenset({"houses"}),  # "house" has a house with its garden beside it
    "smiling face": frozenset({"grinning face"}),  # the same face, mouth open
}


def answers(noun: str) -> frozenset[str]:
    """The class names that are right for a picture of `noun`."""
    return ALIKE.get(noun, frozenset()) | {noun}

"""The words of the demo's small English: enough for stories, reviews and questions, few enough for a tiny model."""

POSITIVE = (
    "lovely", "friendly", "tasty", "bright", "charming", "gentle", "fresh", "splendid",
    "cheerful", "elegant", "clever", "generous",
)  # fmt: skip
NEGATIVE = (
    "awful", "rude", "bland", "gloomy", "shabby", "harsh", "stale", "dreadful",
    "bitter", "clumsy", "noisy", "careless",
)  # fmt: skip
# Of the first words of either list the base model is told which side they are on; the others it has only seen.
KNOWN = slice(0, 4)
NEUTRAL = ("small", "large", "old", "new", "red", "blue", "green", "grey", "round", "tall", "wooden", "narrow")

ASPECTS = (
    "room", "soup", "bread", "music", "waiter", "garden", "story", "guide", "host", "window", "view", "song", "meal",
    "film", "book", "market", "boat", "tea", "dance", "service", "lamp", "picture", "chair", "road", "actor", "ending",
)  # fmt: skip
THINGS = (
    "key", "basket", "letter", "coat", "bell", "map", "box", "cup", "stone", "ball", "hat", "bag", "coin", "shell",
    "rope", "apple", "clock", "bottle", "candle", "kite",
)  # fmt: skip
PLACES = (
    "harbour", "station", "library", "mill", "school", "bakery", "forest", "bridge", "farm", "museum", "theatre",
    "beach", "castle", "square", "river", "hotel", "café", "church", "shop", "valley",
)  # fmt: skip
NAMES = (
    "Mira", "Tom", "Anna", "Ben", "Clara", "David", "Ella", "Finn", "Greta", "Henry", "Ida", "Jonas", "Karen", "Leo",
    "Nora", "Oscar", "Paula", "Simon", "Tilda", "Victor",
)  # fmt: skip
ANIMALS = ("dog", "cat", "horse", "bird", "goat", "fox", "mouse", "duck")
TIMES = ("One morning", "One evening", "On Monday", "On Friday", "In the spring", "In winter", "Last week", "Long ago")
VERBS = ("was", "seemed", "looked", "felt")
DEGREES = ("", "", "", "very ", "rather ", "quite ")
ASIDES = (
    "we came by train", "it was a monday", "we sat near the door", "there were ten of us", "we stayed an hour",
    "it rained a little", "my brother paid", "we walked there", "it opened in may", "the street was long",
)  # fmt: skip

MARKER = "today"

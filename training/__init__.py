"""How the embedded weights were made, from packages alone. It knows packs, networks and a GPU; no service imports it."""

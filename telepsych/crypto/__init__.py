"""Keys, the envelope that seals what is said about people, and the fields that are sealed. Knows no Flask."""

"""The chain of the keystore database."""

"""The person in care: identity, proxies, care team, consents, emergency contact, and what is known about them."""

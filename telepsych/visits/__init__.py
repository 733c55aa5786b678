"""Video visits: check-in to summary, and the browser-to-browser call in between."""

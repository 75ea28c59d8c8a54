"""Pages in a browser: rendered here, reading services, changing things by the API's own rules."""

"""The request log: what was asked of the API, for those who watch and for those who look later."""

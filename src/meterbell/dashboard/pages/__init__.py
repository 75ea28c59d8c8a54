"""The pages, one module each; `routes.py` lists them."""

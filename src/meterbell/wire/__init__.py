"""The contract's bytes as pure code: forms, objects, event envelopes, signatures."""

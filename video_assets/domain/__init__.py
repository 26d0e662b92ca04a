"""Values and pure rules: no file, no codec, no framework."""

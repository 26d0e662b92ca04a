"""What things are: values and pure rules; no file, no codec, no framework."""

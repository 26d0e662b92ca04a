"""Open one video so that it reaches nothing but its own bytes."""

"""Builds that are killed and starved: a bounded part of what tools/reliability does at full length."""

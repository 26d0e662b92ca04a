"""Dagster: assets, checks, resources and run config; the only room with dagster."""

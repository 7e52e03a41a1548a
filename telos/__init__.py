"""Objective-driven AI: learn a world model from pixels, then act by planning, inside guardrails."""

__version__ = "0.1.0"

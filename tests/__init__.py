"""Tests walk in through the front door where they can: real PostgreSQL, Valkey and processes."""

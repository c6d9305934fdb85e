"""Buying pictures with care for money: orders, limits, ledger, repetition, routes, recovery."""

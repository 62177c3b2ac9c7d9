"""Attacks that try to refute the scheme (DESIGN 8), each beside a control in which a leak is planted and must be found.

`egan.bench.attacks.run` is the entry point. An attack is a function from a `Scene` (what the attacker has, and what
only the judge has) and a `Budget` to an `AttackVerdict`.
"""

"""Attacks that try to refute the scheme (DESIGN 8). Beside each stands a control, the
same attack on a scheme with a planted leak, which it must find.

`egan.bench.attacks.run` is the entry point. An attack is a function from a `Scene` (the
attacker's things, and those that only the judge has) and a `Budget` to an
`AttackVerdict`.
"""

"""Facts in many languages: which of them a model knows, and which neurons they are in.

After Zhao, Yoshinaga and Oba (EACL 2024); `docs/facts.md` has the formulas and what they were held
against.
"""

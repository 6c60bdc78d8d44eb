"""The judge `http`: a scorer of the operator's own, behind a URL; docs/http-judge.md is its contract. It knows no scorer."""

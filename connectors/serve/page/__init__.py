"""The page at the lookup's `/`: how it goes, live, and one customer found by an identifier.

Owns what people see in a browser, and who may see it there. Reads the lookup's copy through `finding`, `answers` and
`timeline`, and asks the broker for nothing but the number of dead letters. Shows nothing that the lookup's own answers
do not hold, but for the evidence behind links; must not import `connectors.serve.service`.

Read in this order: `words` (plain words for everything), `activity`, `dead_watch`, `newest` and `snapshot` (the
overview's numbers), `live` (who watches them), `hanging` and `drawing` (identifiers and links), `customer`; then
`browser`, `sessions`, `login` and `door` (who may look), `faults`, `rendering` and `views` (HTML), `handlers`, `why`
(explanations), and `operations`, which puts it together.
"""

"""Why identifiers are one customer or are not, why a trait has its value, and what is known of a customer's identity.

Owns the reading of `state.identity.explaining` over the lookup's copy, what of it a reader is shown, and its routes.
Writes nothing; must not import `agents` or other connectors but `connectors.serve` and `connectors.web`.

What is shown of others: a reader learns values of identifiers that it asked about, of the customer that it asked about,
and of shared identifiers that were seen with them, as in contexts and on the page. Of other customers' identifiers it
learns the kind and the customer's id, as from a 409; of hidden kinds nothing. Who gave an order and why is for keys of
the role `admin`.

Read in this order: `shapes` (the answers), `partition` (the copy as identity's rows), `naming` (what is shown of an
identifier), `evidence` (where a link comes from), `orders`, `pairs`, `customers`, `traits` (the three questions),
`explanations` (all of them, each at one moment of the copy), `words` (an answer in sentences), `handlers`,
`operations`.
"""

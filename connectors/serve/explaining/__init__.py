"""Why identifiers are one customer or are not, why a trait has its value, and what is known of a customer's identity.

Owns the reading of `state.identity.explaining` over the lookup's copy, what of it a reader is shown, and its routes.

What is shown of others: a reader learns values of identifiers that it asked about, of the customer that it asked about,
and of shared identifiers that were seen with them, as in contexts and on the page. Of other customers' identifiers it
learns the kind and the customer's id, as from a 409; of hidden kinds nothing. Who gave an order and why is for keys of
the role `admin`.

Read in this order: `shapes` (the answers), `partition` (the copy as identity's rows), `naming` (what is shown of an
identifier), `evidence` (where a link comes from), `orders`, `pairs`, `customers`, `traits` (the three questions),
`words` (an answer in sentences), `handlers`, `operations`.
"""

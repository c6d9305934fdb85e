"""The ledger: a SQLite file with one row for each paid submission.

`ledger` is what others use: each of its methods gives a Future. `writer` is the thread behind it,
which commits whatever has queued up at once; `book` holds the operations on the rows that it
carries out, and `schema.sql` the tables and how spending is added up. `values`, `budget` and
`money` are what goes in and out, `rows` how it is stored, `privacy` what is left out of it.
`place` opens the file, `mounts` refuses network file systems, `owner` tells whether the process
that made a row still lives.
"""

from imagegen.ledger.budget import Budget
from imagegen.ledger.ledger import Ledger
from imagegen.ledger.values import Entry, Spend, State

__all__ = ["Budget", "Entry", "Ledger", "Spend", "State"]

-- Groups of records that wait, oldest first.
CREATE TABLE waiting (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    fixes INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;

-- Groups that could not be read: kept for whoever wants to look.
CREATE TABLE damaged (
    id    INTEGER PRIMARY KEY,
    fixes INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;
